"""The port of an object store: an object there is complete, durable and never changed.

Names are relative to the destination, with `/` between their parts.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cxai.errors import CxaiError, ExitCode

PENDING = "_pending"
"""The prefix of objects that are not published. A killed process leaves objects only here."""

LEAST_S = 30.0
_SLOWEST_BYTES_PER_S = 512 * 1024


class StoreError(CxaiError):
    """The store can't be used now: the same call may be retried. It shows no credentials."""

    exit_code = ExitCode.STOPPED


class StoreRefusedError(StoreError):
    """The store refuses until rights, credentials or the store itself are changed."""


class TakenError(CxaiError):
    """Another object already has this name. Nothing was changed."""

    exit_code = ExitCode.INTEGRITY


@dataclass(frozen=True, slots=True)
class Listed:
    """A listed object: its name, and when it was written (UTC)."""

    name: str
    written_at: datetime


class ObjectStore(Protocol):
    """An object store. Every method raises StoreError if the store can't be used now.

    A call that raised it, or was cancelled, may have had an effect; every call may be repeated.
    Every call has a time limit (`deadline_s`), and raises StoreError then.
    """

    @property
    def location(self) -> str:
        """The destination, for messages: a path, or a URL without credentials."""

    async def prepare(self) -> None:
        """Create what a new store needs, and `check` it: when an export is set up."""

    async def check(self) -> None:
        """Perform every operation of an export once, with a temporary object.

        Raises UsageError if one can't work, StoreError if that may be temporary.
        """

    async def put_new(self, name: str, data: bytes) -> None:
        """Write an object; it survives power loss once this returns.

        An object of the same name and content, from an earlier attempt, is left as it is. Raises
        TakenError if its content differs.
        """

    async def publish(self, pending: str, name: str, sha256: bytes) -> None:
        """Give the object `pending` its final name, or finish an earlier attempt to.

        `sha256` is that of its content. Never publish two objects under one name: not every store
        can tell concurrent calls apart. Raises TakenError if an object with other content has that
        name, or if neither object exists.
        """

    async def replace(self, name: str, data: bytes) -> None:
        """Write an object, replacing any of that name: the only kind that changes."""

    def names(self, prefix: str, after: str = "") -> AsyncGenerator[Listed, None]:
        """Yield the objects whose names begin with `prefix/`, in order, those after `after`."""

    def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the content of an object in chunks. Raises FileNotFoundError."""

    async def delete(self, name: str) -> None:
        """Delete an object if it exists."""

    async def close(self) -> None:
        """Release connections and threads."""


def deadline_s(size: int = 0, least_s: float = LEAST_S) -> float:
    """Return the time limit in seconds of a call that moves `size` bytes, including retries."""
    return least_s + size / _SLOWEST_BYTES_PER_S


def checked_name(name: str) -> str:
    """Return `name`. Raises ValueError if it would leave the store, or is malformed."""
    if not name.isprintable() or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"{name!r} is not a valid object name")
    return name
