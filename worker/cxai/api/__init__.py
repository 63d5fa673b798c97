"""The connection to the API: HTTP, TLS, proxy, content codings and the token."""
