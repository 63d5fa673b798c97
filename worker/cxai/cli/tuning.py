"""What makes a command fast, and is not for a program: garbage collection, a quicker import."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 100
_YOUNG_AT_START = 100_000
_READ_CERTIFICATES = "set_default_verify_paths"


def tune_for_a_command() -> None:
    """Collect no garbage while this process imports modules, nor when it exits.

    Some 50,000 imported objects stay until the end. Scanning them repeatedly took a tenth of the
    start (60 of 580 ms), and scanning them at exit another 100 ms.
    """
    gc.set_threshold(_YOUNG_AT_START, _MIDDLE, _OLD)
    atexit.register(gc.freeze)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely while entered, and never scan the objects that exist by now.

    A body becomes some thousand objects without cycles, which reference counting frees. By default,
    every few bodies would make the collector scan all of them, and sometimes everything that was
    imported: a sixth of all CPU (600 instead of 500 µs per ID), for the same memory.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def import_aiohttp() -> None:
    """Import aiohttp without the system's certificates, which it would read twice (40 ms).

    It keeps them for requests without a trust setting. Ours all have one (cxai/api/tls.py), and so
    do aiobotocore's. A program may make others: only a command calls this.
    """
    import ssl  # noqa: PLC0415 - not for `cxai --help`

    contexts = ssl.SSLContext
    own = vars(contexts).get(_READ_CERTIFICATES)  # none in Python's class; truststore's has one
    setattr(contexts, _READ_CERTIFICATES, lambda _context: None)
    try:
        import aiohttp  # noqa: F401, PLC0415 - to import it is what this is for
    finally:
        if own is None:
            delattr(contexts, _READ_CERTIFICATES)  # the method of its base class is there again
        else:
            setattr(contexts, _READ_CERTIFICATES, own)
