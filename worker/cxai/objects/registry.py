"""The kinds of object stores. Another kind is one file, and one line here."""

import re
from collections.abc import Callable, Iterator, Mapping

from cxai.errors import UsageError
from cxai.objects.port import ObjectStore
from cxai.output.local_path import local_path, scheme_of

_CREDENTIALS = re.compile(r"[^/]*://[^/]*@")


def _volume(destination: str) -> ObjectStore:
    from cxai.objects.volume import Volume

    known = [f"{scheme}://" for scheme in STORES if scheme]
    supported = f"local paths, {', '.join(known[:-1])} and {known[-1]}"
    return Volume(local_path(destination, "The destination", supported=supported).absolute())


def _cloud(destination: str) -> ObjectStore:
    try:
        from cxai.objects.cloud_stores import cloud_store
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("obstore"):
            raise
        raise UsageError(
            f"A destination {scheme_of(destination)}://… needs the package obstore, which is not"
            ' installed: pip install "cxai-worker[cluster]"'
        ) from None
    return cloud_store(destination)


STORES: Mapping[str, Callable[[str], ObjectStore]] = {
    "": _volume,
    **dict.fromkeys(("s3", "gs", "az", "abfss"), _cloud),
}
"""Scheme → what opens the store of a destination, without any IO."""


def places_around(destination: str) -> Iterator[str]:
    """Yield the parents of a destination, from the inside out."""
    scheme, sign, rest = destination.rpartition("://")
    outer = rest.rstrip("/")
    while (outer := outer.rpartition("/")[0]).strip("/"):
        yield f"{scheme}{sign}{outer}"


def open_store(destination: str) -> ObjectStore:
    """Return the store of a destination: a path, or a URL of one of STORES.

    Raises UsageError if it is neither, holds credentials, or needs a package that is not installed.
    """
    scheme = scheme_of(destination)
    # abfss://container@account.dfs.core.windows.net/… has an @ without credentials.
    if scheme != "abfss" and _CREDENTIALS.match(destination):
        raise UsageError(
            "The destination contains a user name or a password. Remove them: credentials come from"
            " the environment, in the variables of the cloud's own tools."
        )
    return STORES.get(scheme, _volume)(destination)
