"""An Amazon SQS queue, standard or FIFO, as a source of IDs."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from cxai.core.entry import Entry
from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.sources.message import MessageReader
from cxai.sources.options import SourceOptions
from cxai.sources.queue import (
    DeniedError,
    IdleTimer,
    Outage,
    QueueSource,
    UnreachableError,
    options_in,
    refuse_other_options,
)

try:
    from cxai.sources.sqs_client import MOST, Message, SqsQueue
except ModuleNotFoundError as error:
    raise UsageError(
        f"sqs:// needs a package that is not installed ({error.name}):"
        ' pip install "cxai-worker[sqs]"'
    ) from None

_URL = re.compile(
    r"sqs://(?:(?P<account>\d{12})/)?(?P<name>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)(?:\?(?P<query>.*))?",
    re.IGNORECASE,
)
_OPTIONS = {"region": "such as eu-central-1; AWS_REGION by default"}

_DELETE_ATTEMPTS = 3
_BETWEEN_DELETES_S = 0.2


def open_source(names: Sequence[str], options: SourceOptions) -> "SqsSource":
    """Return the source of a queue, not yet connected. Raises UsageError."""
    parts = _URL.fullmatch(names[0])
    if parts is None:
        shown = printable(re.sub(r"(?<=//).*@|\?.*", "…", names[0]))
        raise UsageError(
            f"{shown} does not name a queue. Use sqs://NAME or sqs://ACCOUNT/NAME, with ?region=…"
            " if AWS_REGION is not set. Credentials come from the environment, never from the URL."
        )
    account, queue = parts["account"], parts["name"]
    name = f"sqs://{account}/{queue}" if account else f"sqs://{queue}"
    refuse_other_options(name, names=len(names), column=options.column, kind="SQS queue")
    region = options_in(parts["query"] or "", name, _OPTIONS).get("region")
    return SqsSource(name, SqsQueue(queue, account, region), options)


class SqsSource(QueueSource):
    """Messages of a queue: a bare ID, or JSON (cxai/sources/message.py).

    A message is held for milliseconds, from its delivery to its entry in the ledger, so its
    visibility is never extended; the ledger recognizes redelivered messages. One call at a time is
    enough: ten messages per call make hundreds per second.

    The end is `until_idle_s` seconds without a message, and at least the visibility timeout if any
    message was delivered and not deleted: if a worker died with it, it is redelivered by then.
    """

    def __init__(self, name: str, queue: SqsQueue, options: SourceOptions) -> None:
        outage = Outage(name, options.patience_s, options.emit)
        super().__init__(outage, queue, connect=queue.open)
        self._name = name
        self._queue = queue
        self._until_idle_s = options.until_idle_s
        self._emit = options.emit
        self._reader = MessageReader(name, options.rule, options.field)
        self._handles: dict[str, str] = {}  # of messages not yet acknowledged

    async def batches(self) -> AsyncGenerator[Sequence[Entry], None]:
        idle = IdleTimer(self._until_idle_s)

        async def receive() -> Sequence[Message]:
            try:
                return await self._queue.receive(idle.left_s)
            except UnreachableError:
                idle.restart()
                raise

        await self._outage.retry(self._queue.open)
        idle.restart()
        nothing_hidden = False
        while True:
            if messages := await self._outage.retry(receive):
                yield self._entries(messages)
                idle.restart()
                nothing_hidden = False
            elif nothing_hidden:
                return
            elif idle.left_s <= 0:
                # If nothing is hidden now, the next empty call is the last one.
                nothing_hidden = await self._outage.retry(partial(self._hides_nothing, idle))

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Delete messages. Any that can't be deleted are redelivered, and the ledger skips them."""
        handles = [
            handle
            for entry in entries
            if (handle := self._handles.pop(self._reader.number_of(entry), None)) is not None
        ]
        for start in range(0, len(handles), MOST):
            await self._delete(handles[start : start + MOST])

    async def _delete(self, handles: Sequence[str]) -> None:
        for attempt in range(_DELETE_ATTEMPTS):
            await asyncio.sleep(_BETWEEN_DELETES_S * attempt)
            handles = await self._outage.retry(partial(self._queue.delete, handles))
            if not handles:
                return
        self._emit("queue_messages_not_deleted", queue=self._name, count=len(handles))

    async def _hides_nothing(self, idle: IdleTimer) -> bool:
        """Whether no delivered message can still be redelivered."""
        try:
            in_flight, hidden_s = await self._queue.in_flight()
        except DeniedError:  # this permission is optional
            return True
        return not in_flight or idle.elapsed_s > hidden_s

    def _entries(self, messages: Sequence[Message]) -> Sequence[Entry]:
        """Return one entry per message; a standard queue may deliver duplicates in one reply."""
        distinct = {message.id: message for message in messages}
        self._handles.update((number, one.handle) for number, one in distinct.items())
        return [
            self._reader.read(one.body.encode(errors="surrogatepass"), number)
            for number, one in distinct.items()
        ]
