"""The commands of a Redis stream, over one connection: each is sent once, and answered or failed.

No command is repeated here: a lost reply of XREADGROUP leaves messages pending that were never
seen, so after any failure the messages that are pending for us have to be read again. The client's
pool and its retries are not used.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cxai.core.secret_str import SecretStr
from cxai.sources.queue import DeniedError, RefusedError, UnreachableError
from cxai.sources.redis_url import StreamAddress

MOST = 100
"""The most messages that come at once."""

FIRST = b"0-0"
"""The ID before that of any message."""

_CONNECT_S = 3.0
_REPLY_S = 10.0

# What errors that pass by themselves begin with: a failover, a full disk or memory, a restart.
_PASSING = {
    *("READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "OOM"),
    *("UNBLOCKED", "LOADING"),
}

GROUP_GONE = (
    "its consumer group is gone, or the whole stream, so messages may be lost. Was it"
    " deleted, or has Redis lost its data (FLUSHALL, a restart without persistence)? The next run"
    " begins with the oldest message that the stream has; send again what is no longer there."
)

# What others begin with, and what to say of them to people.
_REFUSALS = {
    "NOGROUP": GROUP_GONE,
    "WRONGTYPE": "that key is no stream. Name the key of a stream.",
    "MOVED": "another node of the cluster has this key ({said}). Name that one.",
}

# From these versions on. An older one adds up wrongly for ever once messages were lost.
_COUNTS_RIGHTLY = {b"valkey_version": (8, 1), b"redis_version": (7, 4, 1)}

Fields = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream; `fields` is None if it was deleted before it was acknowledged.

    With `missing`, it stands for so many messages that were deleted before anyone got them. They
    followed the one with its `id`.
    """

    id: bytes
    fields: Fields | None
    missing: int = 0


class RedisStream:
    """A stream, read by one consumer of one group.

    Each method raises UnreachableError if there was no reply, whose effect is then unknown, and
    RefusedError for an error that does not pass by itself.
    """

    def __init__(self, address: StreamAddress, password: SecretStr | None) -> None:
        self._address = address
        tls: dict[str, Any] = {"ssl_ca_certs": address.ca_file, "ssl_check_hostname": True}
        self._connection: Any = (SSLConnection if address.is_tls else Connection)(
            host=address.host,
            port=address.port,
            db=address.database,
            username=address.user,
            password=None if password is None else password.get_secret_value(),
            socket_connect_timeout=None,  # ours, for the login as well
            socket_timeout=None,  # ours, since it depends on the command
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **(tls if address.is_tls else {}),
        )
        self._one_at_a_time = asyncio.Lock()
        self._shows_gaps: bool | None = None  # not known yet

    async def create_group(self) -> bool:
        """Create the group, which then begins with the oldest message; False if it is there.

        A stream that is not there is created, too. What was deleted from it before counts as read:
        else a gap could not be recognized before the first message is read.
        """
        try:
            gone = await self._count_gone()
            read = () if gone is None else ("ENTRIESREAD", gone)
            await self._call("XGROUP", "CREATE", *self._group, FIRST, "MKSTREAM", *read)
        except RefusedError as error:
            if "BUSYGROUP" in str(error.__cause__):
                return False
            raise
        return True

    async def pending(self, after: bytes) -> Sequence[Message]:
        """Return messages that were delivered to us and not acknowledged, from behind `after`."""
        return _of_one_stream(await self._read(after))

    async def gap(self) -> Message | None:
        """Return what stands for messages that were trimmed before anyone got them, if there are.

        That is seen only until later ones are read. None as well where the server's counts don't
        show it (before Redis 7.4.1 and Valkey 8.1), or the user may not look.
        """
        try:
            if not await self._can_show_gaps():
                return None
            stream = _named(await self._call("XINFO", "STREAM", self._address.stream))
            groups = await self._call("XINFO", "GROUPS", self._address.stream)
        except DeniedError:
            self._shows_gaps = False
            return None
        name = self._address.group.encode()
        for group in map(_named, groups):
            if group[b"name"] == name and group[b"entries-read"] is not None:
                return _gap(stream, group)
        return None

    async def new(self, block_s: float) -> Sequence[Message]:
        """Return messages that no consumer has; wait for one up to `block_s` seconds."""
        milliseconds = max(1, round(block_s * 1_000))  # 0 would be for ever
        return _of_one_stream(await self._read(b">", milliseconds))

    async def claim(self, idle_s: float, start: bytes) -> tuple[bytes, Sequence[Message]]:
        """Take messages that their consumers have left lying for `idle_s` seconds.

        Returns where to start the next time, FIRST after the last, and the messages.
        """
        idle_ms = round(idle_s * 1_000)
        options = (self._address.consumer, idle_ms, start, "COUNT", MOST)
        reply = await self._call("XAUTOCLAIM", *self._group, *options)
        following, messages, *deleted = reply
        lost = [Message(one, None) for one in (deleted[0] if deleted else ())]
        return following, [*map(_message, filter(None, messages)), *lost]

    async def count_pending(self) -> int:
        """Return how many messages any consumer of the group has and has not acknowledged."""
        return int((await self._call("XPENDING", *self._group))[0])

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """Let go of messages. It may be repeated."""
        await self._call("XACK", *self._group, *ids)

    async def close(self) -> None:
        """Close the connection; the next command opens another one."""
        await self._connection.disconnect(nowait=True)

    async def _can_show_gaps(self) -> bool:
        if self._shows_gaps is None:
            self._shows_gaps = _shows_gaps(await self._call("INFO", "server"))
        return self._shows_gaps

    async def _count_gone(self) -> int | None:
        """Return how many messages were deleted from the stream so far, None if that isn't seen."""
        try:
            if not await self._can_show_gaps():
                return None
            stream = _named(await self._call("XINFO", "STREAM", self._address.stream))
        except DeniedError:
            self._shows_gaps = False
            return None
        except RefusedError as error:
            if "no such key" in str(error.__cause__):
                return 0
            raise
        return int(stream[b"entries-added"]) - int(stream[b"length"])

    @property
    def _group(self) -> tuple[str, str]:
        return self._address.stream, self._address.group

    async def _read(self, after: bytes, block_ms: int | None = None) -> Any:
        address = self._address
        block = () if block_ms is None else ("BLOCK", block_ms)
        words = ("GROUP", address.group, address.consumer, "COUNT", MOST, *block)
        timeout_s = _REPLY_S + (block_ms or 0) / 1_000  # above BLOCK, or it would cut a wait off
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
            except exceptions.ResponseError as error:
                understood = _understood(error)
                if isinstance(understood, UnreachableError):
                    await self.close()  # behind the name there may be another server by now
                raise understood from error
            except (
                exceptions.AuthenticationError,
                exceptions.InvalidResponse,
                ValueError,
            ) as error:
                await self.close()
                raise RefusedError(_refused(error)) from error
            except TimeoutError as error:
                await self.close()
                raise UnreachableError("it does not reply") from error
            except (exceptions.RedisError, OSError) as error:
                await self.close()
                raise _failed(error) from error
            except BaseException:  # cancelled: the reply to come is that of no other command
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
    """Return what stands for the messages between the group's last one and the stream's first."""
    last = group[b"last-delivered-id"]
    if stream[b"length"] and _order(stream[b"recorded-first-entry-id"]) <= _order(last):
        return None
    missing = stream[b"entries-added"] - stream[b"length"] - group[b"entries-read"]
    return Message(last, None, missing) if missing > 0 else None


def _order(message_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = message_id.partition(b"-")
    return int(milliseconds), int(number)


def _shows_gaps(info: bytes) -> bool:
    """Whether the server counts what a group has read rightly after the stream was trimmed."""
    for name, since in _COUNTS_RIGHTLY.items():
        if found := re.search(rb"^%s:([0-9.]+)" % name, info, re.MULTILINE):
            return tuple(map(int, found[1].split(b"."))) >= since
    return False


def _understood(error: exceptions.ResponseError) -> Exception:
    """Return what an error reply means for the reading."""
    said = str(error)
    code = getattr(error, "status_code", None) or said.partition(" ")[0]
    if code in _PASSING:
        return UnreachableError(f"it says: {said}")
    if code == "NOPERM":
        return DeniedError(
            f"its user may not do that ({said}). It needs XGROUP, XREADGROUP, XAUTOCLAIM, XPENDING,"
            " XACK and XINFO for this key, and INFO."
        )
    if "unknown command" in said:
        return RefusedError(f"it has no such command: {said}. Redis 6.2 or later is needed.")
    return RefusedError(_REFUSALS.get(code, "it says: {said}.").format(said=said))


def _refused(error: Exception) -> str:
    if isinstance(error, exceptions.AuthenticationError):
        return (
            f"it refuses the login: {error} The password comes from CXAI_REDIS_PASSWORD or from the"
            " file that CXAI_REDIS_PASSWORD_FILE names, the user from the URL (redis://user@host)."
        )
    return "its replies are none of Redis. Check host and port."


def _failed(error: Exception) -> Exception:
    """Return what a failure on the way means, without the address that the client adds."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RefusedError(
            f"its certificate is not trusted: {cause.verify_message}. Name the file of its CA with"
            " ?ca_file=…"
        )
    if isinstance(cause, OSError) and cause.strerror:
        return UnreachableError(cause.strerror)
    return UnreachableError(str(error) or type(error).__name__)
