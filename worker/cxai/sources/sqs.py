"""A queue of Amazon SQS, standard or FIFO, as a source of IDs."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Self

from cxai.core.entry import Entry
from cxai.core.run_state import Blocked
from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.sources.message import MessageReader
from cxai.sources.options import SourceOptions
from cxai.sources.queue import (
    DeniedError,
    Outage,
    Silence,
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
    """Return the source of a queue; nothing is connected yet. Raises UsageError."""
    parts = _URL.fullmatch(names[0])
    if parts is None:
        shown = printable(re.sub(r"(?<=//).*@|\?.*", "…", names[0]))
        raise UsageError(
            f"{shown} names no queue. Write sqs://NAME or sqs://ACCOUNT/NAME, with ?region=… where"
            " AWS_REGION doesn't say it; credentials come from the environment, never from a URL."
        )
    account, queue = parts["account"], parts["name"]
    name = f"sqs://{account}/{queue}" if account else f"sqs://{queue}"
    refuse_other_options(name, names=len(names), column=options.column, kind="queue of SQS")
    region = options_in(parts["query"] or "", name, _OPTIONS).get("region")
    return SqsSource(name, SqsQueue(queue, account, region), options)


class SqsSource:
    """Messages of a queue: a bare ID, or JSON (cxai/sources/message.py).

    A message is held for milliseconds, from its delivery until the ledger has it; so it is never
    extended, and a visibility timeout that is too short does no harm: what comes again is found in
    the ledger. One call at a time is enough, as ten messages a call are hundreds a second, more
    than any rate of requests that is usual here.

    The end is a silence of `until_idle_s` seconds, and of the visibility timeout if messages have
    been delivered and not deleted: they come again by then, if a worker has died with them.
    """

    is_queue = True

    def __init__(self, name: str, queue: SqsQueue, options: SourceOptions) -> None:
        self._name = name
        self._queue = queue
        self._until_idle_s = options.until_idle_s
        self._notice = options.notice
        self._reader = MessageReader(name, options.rule, options.field)
        self._outage = Outage(name, options.patience_s, options.notice)
        self._handles: dict[str, str] = {}  # of what was delivered and not acknowledged

    async def __aenter__(self) -> Self:
        """Find the queue. Raises UsageError if it is refused; an outage is waited for later."""
        try:
            await self._outage.begin(self._queue.open)
        except BaseException:
            await self._queue.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._queue.close()

    async def batches(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield the messages as they come, ten at most at a time. Raises InputBrokenError."""
        silence = Silence(self._until_idle_s)

        async def receive() -> Sequence[Message]:
            try:
                return await self._queue.receive(silence.left_s)
            except UnreachableError:
                silence.restart()
                raise

        await self._outage.outlast(self._queue.open)
        silence.restart()
        nothing_hidden = False
        while True:
            if messages := await self._outage.outlast(receive):
                yield self._entries(messages)
                silence.restart()
                nothing_hidden = False
            elif nothing_hidden:
                return
            elif silence.left_s <= 0:
                # What is found out now is true of the next call, which may be the last one.
                nothing_hidden = await self._outage.outlast(partial(self._hides_nothing, silence))

    @property
    def blocked(self) -> Blocked | None:
        """The outage that it waits for, None if it is within reach."""
        return self._outage.now

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Delete these messages. Those that can't be deleted come again, and are known then.

        Raises InputBrokenError.
        """
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
            handles = await self._outage.outlast(partial(self._queue.delete, handles))
            if not handles:
                return
        self._notice("queue_messages_not_deleted", queue=self._name, count=len(handles))

    async def _hides_nothing(self, silence: Silence) -> bool:
        """Whether nothing was delivered that may come again after this silence."""
        try:
            in_flight, hidden_s = await self._queue.in_flight()
        except DeniedError:  # a reader may well do without the permission to look
            return True
        return not in_flight or silence.lasted_s > hidden_s

    def _entries(self, messages: Sequence[Message]) -> Sequence[Entry]:
        """Return an entry for each message; a standard queue may deliver one twice at a time."""
        distinct = {message.id: message for message in messages}
        self._handles.update((number, one.handle) for number, one in distinct.items())
        bodies = {
            number: one.body.encode(errors="surrogatepass") for number, one in distinct.items()
        }
        return [self._reader.read(body, number) for number, body in bodies.items()]
