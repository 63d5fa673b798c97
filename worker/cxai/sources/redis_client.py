"""The commands of a Redis stream, over one connection. Each is sent once: it succeeds or fails.

A lost reply of XREADGROUP leaves messages pending that the client never saw, so after any failure
our pending messages must be read again.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cxai.core.secret_str import SecretStr
from cxai.sources.queue import DeniedError, RefusedError, UnreachableError
from cxai.sources.redis_errors import meaning
from cxai.sources.redis_url import StreamAddress

MOST = 100
"""Most messages per reply."""

FIRST = b"0-0"
"""The ID before that of any message."""

_CONNECT_S = 3.0
_REPLY_S = 10.0

# The first versions whose counts stay right after messages were lost.
_COUNTS_CORRECTLY = {b"valkey_version": (8, 1), b"redis_version": (7, 4, 1)}

Fields = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream; `fields` is None if it was deleted before it was acknowledged.

    Or, if `missing` is not 0, so many messages after `id`, deleted before any consumer got them.
    """

    id: bytes
    fields: Fields | None
    missing: int = 0


class RedisStream:
    """A stream, read by one consumer of one group.

    Each method raises UnreachableError if there was no reply (the effect is then unknown), and
    RefusedError for an error that does not pass without a change.
    """

    def __init__(self, address: StreamAddress, password: SecretStr | None) -> None:
        self._address = address
        self._group = address.stream, address.group
        tls: dict[str, Any] = {"ssl_ca_certs": address.ca_file, "ssl_check_hostname": True}
        self._connection: Any = (SSLConnection if address.is_tls else Connection)(
            host=address.host,
            port=address.port,
            db=address.database,
            username=address.user,
            password=None if password is None else password.get_secret_value(),
            socket_connect_timeout=None,  # `_call` has its own, which includes the login
            socket_timeout=None,  # `_call` has its own, which depends on the command
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **(tls if address.is_tls else {}),
        )
        self._one_at_a_time = asyncio.Lock()
        self._shows_gaps: bool | None = None  # not known yet

    async def create_group(self) -> bool:
        """Create the group, starting at the oldest message; return False if it exists.

        The stream is created if it does not exist. Messages deleted before that count as read, or a
        gap could not be recognized before the first message is read.
        """
        try:
            deleted = await self._count_deleted()
            read = () if deleted is None else ("ENTRIESREAD", deleted)
            await self._call("XGROUP", "CREATE", *self._group, FIRST, "MKSTREAM", *read)
        except RefusedError as error:
            if "BUSYGROUP" in str(error.__cause__):
                return False
            raise
        return True

    async def pending(self, after: bytes) -> Sequence[Message]:
        """Return messages after `after` that were delivered to us and not acknowledged."""
        return _of_one_stream(await self._read(after))

    async def gap(self) -> Message | None:
        """Return a Message for those that were trimmed before any consumer got them, if any.

        A gap is visible only until later messages are read, to users with the permission, and from
        Redis 7.4.1 and Valkey 8.1 on.
        """
        if not await self._can_show_gaps():
            return None
        stream = await self._inspect("XINFO", "STREAM", self._address.stream)
        groups = await self._inspect("XINFO", "GROUPS", self._address.stream)
        name = self._address.group.encode()
        for group in map(_named, groups or ()):
            if stream and group[b"name"] == name and group[b"entries-read"] is not None:
                return _gap(_named(stream), group)
        return None

    async def new(self, block_s: float) -> Sequence[Message]:
        """Return messages that no consumer has; wait for one up to `block_s` seconds."""
        milliseconds = max(1, round(block_s * 1_000))  # 0 would wait for ever
        return _of_one_stream(await self._read(b">", milliseconds))

    async def claim(self, idle_s: float, start: bytes) -> tuple[bytes, Sequence[Message]]:
        """Take over messages that other consumers have not acknowledged for `idle_s` seconds.

        Returns where to start the next time, FIRST after the last, and the messages.
        """
        idle_ms = round(idle_s * 1_000)
        options = (self._address.consumer, idle_ms, start, "COUNT", MOST)
        reply = await self._call("XAUTOCLAIM", *self._group, *options)
        following, messages, *deleted = reply
        lost = [Message(one, None) for one in (deleted[0] if deleted else ())]
        return following, [*map(_message, filter(None, messages)), *lost]

    async def count_pending(self) -> int:
        """Return how many messages the group's consumers have and have not acknowledged."""
        return int((await self._call("XPENDING", *self._group))[0])

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """Acknowledge messages. It may be repeated."""
        await self._call("XACK", *self._group, *ids)

    async def close(self) -> None:
        """Close the connection; the next command opens another one."""
        await self._connection.disconnect(nowait=True)

    async def _can_show_gaps(self) -> bool:
        if self._shows_gaps is None:
            info = await self._inspect("INFO", "server")
            self._shows_gaps = info is not None and _counts_correctly(info)
        return self._shows_gaps

    async def _count_deleted(self) -> int | None:
        """Return how many messages were deleted from the stream so far, None if unknown."""
        if not await self._can_show_gaps():
            return None
        try:
            reply = await self._inspect("XINFO", "STREAM", self._address.stream)
        except RefusedError as error:
            if "no such key" in str(error.__cause__):
                return 0
            raise
        if reply is None:
            return None
        stream = _named(reply)
        return int(stream[b"entries-added"]) - int(stream[b"length"])

    async def _inspect(self, *words: str) -> Any:
        """Return a reply that is needed for gaps alone; None if the user may not have it."""
        try:
            return await self._call(*words)
        except DeniedError:
            self._shows_gaps = False
            return None

    async def _read(self, after: bytes, block_ms: int | None = None) -> Any:
        address = self._address
        block = () if block_ms is None else ("BLOCK", block_ms)
        words = ("GROUP", address.group, address.consumer, "COUNT", MOST, *block)
        timeout_s = _REPLY_S + (block_ms or 0) / 1_000  # longer than BLOCK
        return await self._call(
            "XREADGROUP", *words, "STREAMS", address.stream, after, timeout_s=timeout_s
        )

    async def _call(self, *words: Any, timeout_s: float = _REPLY_S) -> Any:
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await self._connection.connect()
                async with asyncio.timeout(timeout_s):
                    await self._connection.send_command(*words, check_health=False)
                    return await self._connection.read_response()
            except (exceptions.RedisError, OSError, ValueError) as error:
                understood = meaning(error)
                if not isinstance(error, exceptions.ResponseError) or isinstance(
                    understood, UnreachableError
                ):
                    await self.close()  # the next command may reach another server
                raise understood from error
            except BaseException:  # cancelled: the next command must not get this reply
                await self.close()
                raise


def _of_one_stream(reply: Any) -> Sequence[Message]:
    return [_message(one) for one in reply[0][1]] if reply else []


def _message(raw: Any) -> Message:
    number, flat = raw
    fields = None if flat is None else list(zip(flat[::2], flat[1::2], strict=True))
    return Message(number, fields)


def _named(flat: Any) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _gap(stream: Mapping[bytes, Any], group: Mapping[bytes, Any]) -> Message | None:
    """Return a Message for those between the group's last one and the stream's first, if any."""
    last = group[b"last-delivered-id"]
    if stream[b"length"] and _order(stream[b"recorded-first-entry-id"]) <= _order(last):
        return None
    missing = stream[b"entries-added"] - stream[b"length"] - group[b"entries-read"]
    return Message(last, None, missing) if missing > 0 else None


def _order(message_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = message_id.partition(b"-")
    return int(milliseconds), int(number)


def _counts_correctly(info: bytes) -> bool:
    for name, since in _COUNTS_CORRECTLY.items():
        if found := re.search(rb"^%s:([0-9.]+)" % name, info, re.MULTILINE):
            return tuple(map(int, found[1].split(b"."))) >= since
    return False
