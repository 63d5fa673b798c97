"""What a reader does: takes blocks of replies from its socket, and sends back what they are."""

import gc
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cxai.api.content_coding import DecodeSettings, decode
from cxai.core.resource import Resource
from cxai.core.secret_str import SecretStr
from cxai.observe.redaction import Redaction
from cxai.policy.reply import Record
from cxai.readers.wire import (
    HEAD_BYTES,
    MOST_ANSWER_BYTES,
    Answer,
    Block,
    Parsed,
    Ready,
    Recipe,
    framed,
    length_of,
)
from cxai.resources.options import RowOptions, ScoreRanges
from cxai.resources.registry import open_resource
from cxai.resources.reply_parser import SMALL_BYTES, ReplyParser, is_too_large


def serve(connection: socket.socket) -> None:
    """Read what the worker at the other end sends, until it has gone."""
    try:
        frames = _Frames(connection)
        recipe: Recipe = frames.receive(msgspec.msgpack.Decoder(Recipe))
        blocks = BlockParser(recipe)
        decoder = msgspec.msgpack.Decoder(Block)
        # As in a worker (cli/gc_tuning.py): nothing made of a body is part of a cycle.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        connection.sendall(framed(Ready(_memory_bytes())))
        while True:
            connection.sendall(framed(blocks.read(frames.receive(decoder))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the worker has ended, or has given this reader up


class _Frames:
    """The frames that come over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self, decoder: "msgspec.msgpack.Decoder[Any]") -> Any:
        """Return the value that comes next. Raises EOFError if none does."""
        return decoder.decode(self._exactly(length_of(self._exactly(HEAD_BYTES))))

    def _exactly(self, count: int) -> bytearray:
        found = bytearray(count)
        view, filled = memoryview(found), 0
        while filled < count:
            if not (more := self._connection.recv_into(view[filled:])):
                raise EOFError
            filled += more
        return found


class BlockParser:
    """Reads blocks of replies for the run that `recipe` is of.

    Left to the worker are bodies of more than SMALL_BYTES, and records that would make the lines
    of an answer take more than `most_bytes`.
    """

    def __init__(self, recipe: Recipe, most_bytes: int = MOST_ANSWER_BYTES) -> None:
        self._most_bytes = most_bytes
        self._resource = _resource(recipe)
        self._max_ratio = recipe.max_ratio
        self._secrets: tuple[str, ...] = ()
        self._parser = self._parser_without(self._secrets)

    def read(self, block: Block) -> Answer:
        """Return what the replies are."""
        if block.secrets != self._secrets:  # the first block, or a token was renewed
            self._secrets = block.secrets
            self._parser = self._parser_without(block.secrets)
        parsed: list[Parsed] = []
        room = self._most_bytes
        for arrival in block.arrived:
            seen = self._parser.parse(arrival, block.at, SMALL_BYTES)
            size = sum(map(len, seen.lines.values())) if isinstance(seen, Record) else 0
            if is_too_large(seen) or size > room:
                parsed.append(Parsed())
            else:
                parsed.append(Parsed.of(seen))
                room -= size
        return Answer(block.number, parsed)

    def _parser_without(self, secrets: Sequence[str]) -> ReplyParser:
        redaction = Redaction()
        for text in secrets:
            redaction.add(SecretStr(text))
        return ReplyParser(self._resource, self._decoded, redaction)

    def _decoded(self, body: bytes, coding: str, most_bytes: int) -> Any:
        return decode(body, coding, DecodeSettings(most_bytes, self._max_ratio))


def _resource(recipe: Recipe) -> Resource:
    ranges = None
    if recipe.score_bands is not None:
        name, content = recipe.score_bands
        ranges = ScoreRanges(Path(name), content)
    return open_resource(recipe.resource, RowOptions(recipe.shape, recipe.run_id, ranges))


def _memory_bytes() -> int:
    """Return the resident memory of this process, or its peak where only that is known."""
    try:
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux, where the peak of a process begins with that of its parent
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident_pages * resource.getpagesize()
