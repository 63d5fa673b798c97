"""The readers of a run, wired as in a run."""

from contextlib import asynccontextmanager

import psutil
from support.defaults import decode_settings
from support.store import RUN_ID

from cxai.api.content_coding import decode
from cxai.policy.reply import Arrival
from cxai.readers.pool import ReaderPool
from cxai.readers.wire import ReaderSettings
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.options import Shape
from cxai.resources.reader import BodyReader
from cxai.resources.reply_parser import ReplyParser


def reader_of(thread, *, resource=None, most_bytes=8 << 20, secrets=None):
    """Return a reader of nested CX AI records, or of another `resource`."""
    parser = ReplyParser(resource or CxAi(Shape.NESTED, RUN_ID), decoded, secrets)
    return BodyReader(parser, most_bytes, thread)


async def seen_by(reader, interaction_id, endpoint, reply, at):
    """Return the one reply, parsed."""
    (seen,) = await reader.read([Arrival(interaction_id, endpoint, reply)], at)
    return seen


def decoded(body, content_encoding, most_bytes):
    return decode(body, content_encoding, decode_settings(most_bytes))


class Events(list):
    """The events that a pool logs, with their values."""

    def add(self, event, **values):
        self.append((event, values))

    @property
    def names(self):
        return [event for event, _ in self]


class Counted:
    """Counts the replies that a reader in this process reads."""

    at_once = 1

    def __init__(self, own):
        self._own = own
        self.replies = 0

    async def read(self, arrived, at):
        self.replies += len(arrived)
        return await self._own.read(arrived, at)


@asynccontextmanager
async def reader_pool(own, *, shape=Shape.NESTED, bands=None, secrets=(), readers=1, **how):
    """Yield a pool of reader processes; `pool.events` is what it logs."""
    settings = ReaderSettings("cx_ai", shape, RUN_ID, bands, decode_settings().ratio)
    events = Events()
    async with ReaderPool(
        own, settings, readers, lambda: secrets, info=events.add, warning=events.add, **how
    ) as pool:
        pool.events = events
        yield pool


def reader_processes(parent=None):
    """Return the process IDs of the readers of a process, this one by default."""
    return [
        child.pid
        for child in psutil.Process(parent).children()
        if child.status() != psutil.STATUS_ZOMBIE and "cxai.readers" in child.cmdline()
    ]
