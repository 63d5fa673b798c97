"""A Redis stream as a source of IDs, read by a consumer group."""

from collections.abc import AsyncGenerator, Sequence
from typing import Self

from cxai.core.entry import Entry
from cxai.core.run_state import Blocked
from cxai.errors import UsageError
from cxai.sources.message import MessageReader
from cxai.sources.options import SourceOptions
from cxai.sources.queue import (
    Outage,
    RefusedError,
    Silence,
    UnreachableError,
    refuse_other_options,
)
from cxai.sources.redis_password import read_password
from cxai.sources.redis_url import StreamAddress, stream_address

try:
    from cxai.sources.redis_client import FIRST, GROUP_GONE, Message, RedisStream
except ModuleNotFoundError as error:
    raise UsageError(
        f"redis:// needs a package that is not installed ({error.name}):"
        ' pip install "cxai-worker[redis]"'
    ) from None

# A wait for messages is no longer, so that those of dead consumers are looked for in between.
_BLOCK_S = 5.0
_MOST_BETWEEN_CLAIMS_S = 15.0

# How often to look whether messages that other consumers have are settled, or become ours.
_LOOK_S = 1.0

# Before the ID of a message: not this one, but what followed it.
_BEHIND = ">"


def open_source(names: Sequence[str], options: SourceOptions) -> "RedisStreamSource":
    """Return the source of a stream; nothing is connected yet. Raises UsageError."""
    address = stream_address(names[0])
    refuse_other_options(
        address.name, names=len(names), column=options.column, kind="stream of Redis"
    )
    return RedisStreamSource(address, options)


class RedisStreamSource:
    """Messages of a stream: a bare ID, JSON, or named fields (cxai/sources/message.py).

    First come those that this consumer was given and has not acknowledged, after each failure
    again; then those that other consumers have left lying; then new ones. The group is created with
    the first use, and begins with the oldest message. If it is gone later, messages may be lost:
    that breaks the input, between two runs as well (`expect_group`). So does a server that can't be
    reached for longer than the patience.

    A message that was deleted before it was taken in is an entry without an ID, and so are those
    together that were trimmed before anyone got them: they are listed as invalid, and `notice`
    learns of them.

    The end is a silence of `until_idle_s` seconds, with nothing pending for any consumer.
    """

    is_queue = True

    def __init__(self, address: StreamAddress, options: SourceOptions) -> None:
        file, password = options.redis_password_file, options.redis_password
        if file is not None:
            password = read_password(file)
        if password is not None:
            options.rule.secrets.add(password.get_secret_value())
        self._address = address
        self._options = options
        self._reader = MessageReader(address.name, options.rule, options.field)
        self._outage = Outage(address.name, options.patience_s, options.notice)
        self._stream = RedisStream(address, password)
        self._has_group = False
        self._is_new_group = False
        self._expects_group = False

    @property
    def group(self) -> str:
        """The name of the group, that of the stream included."""
        return f"{self._address.name} {self._address.group}"

    def expect_group(self) -> None:
        """Note that earlier runs have read by this group: if it is not there, data are gone."""
        self._expects_group = True

    async def __aenter__(self) -> Self:
        """Connect. Raises UsageError if it is refused; an outage is waited for by `batches`."""
        try:
            await self._outage.begin(self._create_group)
        except BaseException:
            await self._stream.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connection."""
        await self._stream.close()

    async def batches(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield the messages as they come, a hundred at most at a time. Raises InputBrokenError."""
        reading = _Reading(self._stream, self._address, Silence(self._options.until_idle_s))
        await self._outage.outlast(self._has_its_group)
        while (messages := await self._outage.outlast(reading.next)) is not None:
            if messages:
                self._name_lost([message for message in messages if message.fields is None])
                yield [self._entry(message) for message in messages]
                reading.silence.restart()

    @property
    def blocked(self) -> Blocked | None:
        """The outage that it waits for, None if it is within reach."""
        return self._outage.now

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Let go of these messages (XACK); they stay in the stream. Raises InputBrokenError."""
        numbers = map(self._reader.number_of, entries)
        if ids := [one.encode() for one in numbers if not one.startswith(_BEHIND)]:
            await self._outage.outlast(lambda: self._stream.acknowledge(ids))

    async def _create_group(self) -> None:
        """Create the group if this is the first use of it; never once it has been there."""
        if self._has_group:
            return
        if await self._stream.create_group():
            self._is_new_group = True
            self._options.notice(
                "queue_group_created", queue=self._address.name, group=self._address.group
            )
        self._has_group = True

    async def _has_its_group(self) -> None:
        await self._create_group()
        if self._is_new_group and self._expects_group:
            raise RefusedError(GROUP_GONE)

    def _entry(self, message: Message) -> Entry:
        number = message.id.decode()
        if message.missing:
            return self._reader.lost(_BEHIND + number, message.missing)
        if message.fields is None:
            return self._reader.lost(number)
        return self._reader.read_fields(message.fields, number)

    def _name_lost(self, lost: Sequence[Message]) -> None:
        if lost:
            self._options.notice(
                "queue_messages_lost",
                queue=self._address.name,
                count=sum(message.missing or 1 for message in lost),
                first=lost[0].id.decode(),
                reason="they were deleted from the stream before they were taken in",
            )


class _Reading:
    """Where the reading of a stream stands: which messages come next."""

    def __init__(self, stream: RedisStream, address: StreamAddress, silence: Silence) -> None:
        self.silence = silence
        self._stream = stream
        self._claim_after_s = address.claim_after_s
        self._pending_after: bytes | None = FIRST  # None: all that was pending for us is read
        self._claim_from = FIRST
        self._until_claim = Silence(0.0)
        self._gap: Message | None = None  # the last that was named

    async def next(self) -> Sequence[Message] | None:
        """Return the next messages, none if there are none just now, None at the end.

        Raises UnreachableError and RefusedError. After any failure what is pending is read again.
        """
        try:
            return await self._next()
        except UnreachableError:
            self._pending_after = FIRST
            self.silence.restart()
            raise

    async def _next(self) -> Sequence[Message] | None:
        if self._pending_after is not None:
            messages = await self._stream.pending(self._pending_after)
            self._pending_after = messages[-1].id if messages else None
            return messages
        if self._until_claim.left_s <= 0:
            return await self._claim()
        gap = await self._stream.gap()
        if gap is not None and gap != self._gap:
            self._gap = gap
            return [gap]
        if (left_s := self.silence.left_s) > 0:
            return await self._stream.new(min(_BLOCK_S, left_s, self._until_claim.left_s))
        messages = await self._stream.new(0.0)
        if messages or not await self._stream.count_pending():
            return messages or None
        self._pending_after = FIRST  # some may be ours by now, though we have not seen them
        return await self._stream.new(min(_LOOK_S, self._until_claim.left_s))

    async def _claim(self) -> Sequence[Message]:
        self._claim_from, messages = await self._stream.claim(self._claim_after_s, self._claim_from)
        if self._claim_from == FIRST:
            self._until_claim = Silence(min(_MOST_BETWEEN_CLAIMS_S, self._claim_after_s / 4))
        return messages
