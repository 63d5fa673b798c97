"""Parses replies in this process: small ones on the event loop, large ones on a thread."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import datetime

from cxai.policy.reply import Arrival, ParsedReply
from cxai.policy.table import has_body
from cxai.resources.reply_parser import SMALL_BYTES, ReplyParser, is_too_large


class BodyReader:
    """Adapter of `ports.Reader`; never raises.

    The body of a 200 is decoded to at most `most_bytes`; large ones on `thread`, as are bombs.
    """

    at_once = 1

    def __init__(self, parser: ReplyParser, most_bytes: int, thread: Executor) -> None:
        self._parser = parser
        self._most_bytes = most_bytes
        self._small_bytes = min(SMALL_BYTES, most_bytes)
        self._thread = thread

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[ParsedReply]:
        return [await self._seen(one, at) for one in arrived]

    async def _seen(self, arrival: Arrival, at: datetime) -> ParsedReply:
        reply = arrival.reply
        if not has_body(reply.status) or len(reply.body) <= self._small_bytes:
            seen = self._parser.parse(arrival, at, self._small_bytes)
            if not is_too_large(seen):
                return seen
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._parser.parse, arrival, at, self._most_bytes
        )
