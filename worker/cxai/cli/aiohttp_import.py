"""aiohttp, imported as a command can and a program can't."""

import ssl


def import_aiohttp() -> None:
    """Import aiohttp without the system's certificates, which it would read twice (40 ms).

    It keeps them for requests that don't say what to trust. Ours all do (cxai/api/tls.py), and so
    does aiobotocore; one that did not would be refused. A program may have requests of its own,
    for which it relies on them: only a command calls this.
    """
    setattr(ssl.SSLContext, _READS_THEM, lambda _context: None)
    try:
        import aiohttp  # noqa: F401, PLC0415 - to import it is what this is for
    finally:
        delattr(ssl.SSLContext, _READS_THEM)  # what it hides is there again: the method's own class


_READS_THEM = "set_default_verify_paths"
