"""The port of a place for objects: what is written there is whole, durable and never changed.

Names are relative to the place, with `/` between their parts.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cxai.errors import CxaiError, ExitCode

PENDING = "_pending"
"""What lies below it does not count yet. What a killed process has left behind lies there alone."""


class StoreError(CxaiError):
    """The place can't be used now: the same call may be made again.

    The message says what failed, in a sentence, without credentials.
    """

    exit_code = ExitCode.STOPPED


class StoreRefusedError(StoreError):
    """The place won't do it until rights, credentials or the place itself are changed."""


class TakenError(CxaiError):
    """Under this name something else stands already. Nothing was changed."""

    exit_code = ExitCode.INTEGRITY


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as it is listed: its name and the time (UTC) of its writing."""

    name: str
    written_at: datetime


class ObjectStore(Protocol):
    """A place for objects. Every method raises StoreError if the place can't be used now.

    Whether a call that raised it, or was cancelled, had an effect is unknown; every call may be
    repeated. Calls end by themselves, with a StoreError at the latest (objects/deadline.py).
    """

    @property
    def location(self) -> str:
        """Where it is, for people: a path, or a URL without credentials."""
        ...

    async def prepare(self) -> None:
        """Create what a new place needs, and check it: once, when an export is set up.

        May be repeated. Raises what `check` does.
        """
        ...

    async def check(self) -> None:
        """Do everything that an export needs once, with an object that is deleted again.

        Raises UsageError if it can't work as things are, StoreError if that may pass.
        """
        ...

    async def put_new(self, name: str, data: bytes) -> None:
        """Write an object that survives power loss when this returns.

        One of the same name and content is left as it is: it is from an earlier try. Raises
        TakenError if it has another content.
        """
        ...

    async def publish(self, pending: str, name: str, sha256: bytes) -> None:
        """Give the object `pending` its final name; complete if it has that already.

        `sha256` is that of its content. A final name is that of one object alone: two that publish
        different objects under it at the same moment are not kept apart everywhere. Raises
        TakenError if another content has that name, or neither object is there.
        """
        ...

    async def replace(self, name: str, data: bytes) -> None:
        """Write an object in place of one with that name: the only kind that changes."""
        ...

    def names(self, prefix: str, after: str = "") -> AsyncGenerator[Listed, None]:
        """Yield the objects whose names begin with `prefix/`, in order, those after `after`."""
        ...

    def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the content of an object in chunks. Raises FileNotFoundError if there is none."""
        ...

    async def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


def checked_name(name: str) -> str:
    """Return the name of an object. Raises ValueError if it would lead elsewhere."""
    if not name.isprintable() or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"{name!r} can't be the name of an object")
    return name
