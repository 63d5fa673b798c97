"""The work of a reader: receive blocks of replies, parse them, and send back the results."""

import gc
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cxai.api.content_coding import DecodeSettings, decode
from cxai.core.secret_str import SecretStr
from cxai.observe.redaction import Redaction
from cxai.policy.reply import Record
from cxai.readers import wire
from cxai.resources.options import RowOptions, ScoreRanges
from cxai.resources.registry import open_resource
from cxai.resources.reply_parser import SMALL_BYTES, ReplyParser, is_too_large


def serve(connection: socket.socket) -> None:
    """Parse the worker's blocks until it closes the connection."""
    try:
        blocks = BlockParser(_next(connection, msgspec.msgpack.Decoder(wire.ReaderSettings)))
        decoder = msgspec.msgpack.Decoder(wire.Block)
        # As in a worker (cli/tuning.py): parsing a body creates no cycles.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        connection.sendall(wire.framed(wire.Ready(_memory_bytes())))
        while True:
            connection.sendall(wire.framed(blocks.read(_next(connection, decoder))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the worker has exited, or given up this reader


def _next(connection: socket.socket, decoder: "msgspec.msgpack.Decoder[Any]") -> Any:
    """Return the value of the next frame. Raises EOFError at the end."""
    length = wire.length_of(_exactly(connection, wire.HEAD_BYTES))
    return decoder.decode(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytearray:
    found = bytearray(count)
    view, filled = memoryview(found), 0
    while filled < count:
        if not (more := connection.recv_into(view[filled:])):
            raise EOFError
        filled += more
    return found


class BlockParser:
    """Parses blocks of replies for a run with these settings.

    It leaves to the worker bodies above SMALL_BYTES, and lines beyond `most_bytes` in an answer.
    """

    def __init__(
        self, settings: wire.ReaderSettings, most_bytes: int = wire.MOST_ANSWER_BYTES
    ) -> None:
        self._most_bytes = most_bytes
        ranges = None
        if settings.score_bands is not None:
            name, content = settings.score_bands
            ranges = ScoreRanges(Path(name), content)
        options = RowOptions(settings.shape, settings.run_id, ranges)
        self._resource = open_resource(settings.resource, options)
        self._max_ratio = settings.max_ratio
        self._secrets: tuple[str, ...] = ()
        self._parser = self._parser_without(self._secrets)

    def read(self, block: wire.Block) -> wire.Answer:
        """Return the parsed replies."""
        if block.secrets != self._secrets:  # the first block, or a token was renewed
            self._secrets = block.secrets
            self._parser = self._parser_without(block.secrets)
        parsed: list[wire.Parsed] = []
        left_bytes = self._most_bytes
        for arrival in block.arrived:
            reply = self._parser.parse(arrival, block.at, SMALL_BYTES)
            size = sum(map(len, reply.lines.values())) if isinstance(reply, Record) else 0
            if is_too_large(reply) or size > left_bytes:
                parsed.append(wire.Parsed())
            else:
                parsed.append(wire.Parsed.of(reply))
                left_bytes -= size
        return wire.Answer(block.number, parsed)

    def _parser_without(self, secrets: Sequence[str]) -> ReplyParser:
        redaction = Redaction()
        for text in secrets:
            redaction.add(SecretStr(text))
        return ReplyParser(self._resource, self._decoded, redaction)

    def _decoded(self, body: bytes, coding: str, most_bytes: int) -> Any:
        return decode(body, coding, DecodeSettings(most_bytes, self._max_ratio))


def _memory_bytes() -> int:
    """Return the resident memory of this process, or its peak where only that is available."""
    try:
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux; there, the peak would include the parent's
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident_pages * resource.getpagesize()
