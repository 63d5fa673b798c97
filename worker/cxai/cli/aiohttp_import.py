"""A faster import of aiohttp, which is safe for a command but not for a program."""

_READ_THEM = "set_default_verify_paths"


def import_aiohttp() -> None:
    """Import aiohttp without the system's certificates, which it would read twice (40 ms).

    It keeps them for requests that don't say what to trust. Ours all do (cxai/api/tls.py), and so
    do aiobotocore's; one that did not would be refused. A program may make requests of its own
    that rely on them: only a command calls this.
    """
    import ssl  # noqa: PLC0415 - not for `cxai --help`

    contexts = ssl.SSLContext
    own = vars(contexts).get(_READ_THEM)  # none in Python's class; truststore's has one
    setattr(contexts, _READ_THEM, lambda _context: None)
    try:
        import aiohttp  # noqa: F401, PLC0415 - to import it is what this is for
    finally:
        if own is None:
            delattr(contexts, _READ_THEM)  # the method of its base class is there again
        else:
            setattr(contexts, _READ_THEM, own)
