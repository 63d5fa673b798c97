"""The vendor's edge: HTTP, content codings, and the forms of the API's bodies."""
