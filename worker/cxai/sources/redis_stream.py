"""A Redis stream as a source of IDs, read by a consumer group."""

from collections.abc import AsyncGenerator, Sequence

from cxai.core.entry import Entry
from cxai.errors import UsageError
from cxai.sources.message import MessageReader
from cxai.sources.options import SourceOptions
from cxai.sources.queue import (
    IdleTimer,
    Outage,
    QueueSource,
    RefusedError,
    UnreachableError,
    refuse_other_options,
)
from cxai.sources.redis_password import read_password
from cxai.sources.redis_url import StreamAddress, stream_address

try:
    from cxai.sources.redis_client import FIRST, Message, RedisStream
    from cxai.sources.redis_errors import GROUP_GONE
except ModuleNotFoundError as error:
    raise UsageError(
        f"redis:// needs a package that is not installed ({error.name}):"
        ' pip install "cxai-worker[redis]"'
    ) from None

# The longest wait for messages: in between, those of dead consumers are looked for.
_BLOCK_S = 5.0
_MOST_BETWEEN_CLAIMS_S = 15.0

# How often to check, at the end, whether other consumers have acknowledged their messages.
_CHECK_S = 1.0

# In front of a message ID: not this message, but those after it.
_AFTER = ">"


def open_source(names: Sequence[str], options: SourceOptions) -> "RedisStreamSource":
    """Return the source of a stream, not yet connected. Raises UsageError."""
    address = stream_address(names[0])
    refuse_other_options(address.name, names=len(names), column=options.column, kind="Redis stream")
    return RedisStreamSource(address, options)


class RedisStreamSource(QueueSource):
    """Messages of a stream: a bare ID, JSON, or named fields (cxai/sources/message.py).

    First come the messages pending for this consumer (after each failure again), then those that
    dead consumers have not acknowledged, then new ones. The group is created on first use, starting
    at the oldest message. If it disappears later, even between two runs (`expect_group`), messages
    may be lost: that breaks the input.

    A message that was deleted before it was read becomes an invalid entry, and so do, as one, those
    that were trimmed before any consumer got them. Both are events.

    The end is `until_idle_s` seconds without a message, and nothing pending for any consumer.
    """

    def __init__(self, address: StreamAddress, options: SourceOptions) -> None:
        file, password = options.redis_password_file, options.redis_password
        if file is not None:
            password = read_password(file)
        if password is not None:
            options.rule.secrets.add(password.get_secret_value())
        stream = RedisStream(address, password)
        outage = Outage(address.name, options.patience_s, options.emit)
        super().__init__(outage, stream, connect=self._create_group)
        self._address = address
        self._options = options
        self._reader = MessageReader(address.name, options.rule, options.field)
        self._stream = stream
        self._has_group = False
        self._is_new_group = False
        self._expects_group = False

    @property
    def group(self) -> str:
        """The name of the group, including that of the stream."""
        return f"{self._address.name} {self._address.group}"

    def expect_group(self) -> None:
        """Expect the group to exist, since earlier runs used it: else data has been lost."""
        self._expects_group = True

    async def batches(self) -> AsyncGenerator[Sequence[Entry], None]:
        reading = _Reading(self._stream, self._address, IdleTimer(self._options.until_idle_s))
        await self._outage.retry(self._check_group)
        while (messages := await self._outage.retry(reading.next)) is not None:
            if messages:
                self._report_lost([message for message in messages if message.fields is None])
                yield [self._entry(message) for message in messages]
                reading.idle.restart()

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Acknowledge messages (XACK); they stay in the stream."""
        numbers = map(self._reader.number_of, entries)
        if ids := [one.encode() for one in numbers if not one.startswith(_AFTER)]:
            await self._outage.retry(lambda: self._stream.acknowledge(ids))

    async def _create_group(self) -> None:
        """Create the group on first use; never again once it has existed."""
        if self._has_group:
            return
        if await self._stream.create_group():
            self._is_new_group = True
            self._options.emit(
                "queue_group_created", queue=self._address.name, group=self._address.group
            )
        self._has_group = True

    async def _check_group(self) -> None:
        await self._create_group()
        if self._is_new_group and self._expects_group:
            raise RefusedError(GROUP_GONE)

    def _entry(self, message: Message) -> Entry:
        number = message.id.decode()
        if message.missing:
            return self._reader.lost(_AFTER + number, message.missing)
        if message.fields is None:
            return self._reader.lost(number)
        return self._reader.read_fields(message.fields, number)

    def _report_lost(self, lost: Sequence[Message]) -> None:
        if lost:
            self._options.emit(
                "queue_messages_lost",
                queue=self._address.name,
                count=sum(message.missing or 1 for message in lost),
                first=lost[0].id.decode(),
                reason="deleted from the stream before they were read",
            )


class _Reading:
    """The position in a stream: decides which messages come next."""

    def __init__(self, stream: RedisStream, address: StreamAddress, idle: IdleTimer) -> None:
        self.idle = idle
        self._stream = stream
        self._claim_after_s = address.claim_after_s
        self._pending_after: bytes | None = FIRST  # None: nothing more is pending for us
        self._claim_from = FIRST
        self._until_claim = IdleTimer(0.0)
        self._gap: Message | None = None  # the last one reported

    async def next(self) -> Sequence[Message] | None:
        """Return the next messages, an empty list if there are none yet, None at the end.

        Raises UnreachableError and RefusedError. After a failure, pending messages are read again.
        """
        try:
            return await self._next()
        except UnreachableError:
            self._pending_after = FIRST
            self.idle.restart()
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
        if (left_s := self.idle.left_s) > 0:
            return await self._stream.new(min(_BLOCK_S, left_s, self._until_claim.left_s))
        messages = await self._stream.new(0.0)
        if messages or not await self._stream.count_pending():
            return messages or None
        self._pending_after = FIRST  # a lost reply may have made some of them ours
        return await self._stream.new(min(_CHECK_S, self._until_claim.left_s))

    async def _claim(self) -> Sequence[Message]:
        self._claim_from, messages = await self._stream.claim(self._claim_after_s, self._claim_from)
        if self._claim_from == FIRST:
            self._until_claim = IdleTimer(min(_MOST_BETWEEN_CLAIMS_S, self._claim_after_s / 4))
        return messages
