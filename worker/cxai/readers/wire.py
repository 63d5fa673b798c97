"""The protocol between a worker and its readers: frames of plain values over a socket pair.

A frame is a length in 4 bytes, most significant first, and a value in MessagePack, checked against
its type when it is decoded. That takes the worker 2 µs an ID, as with pickle.
"""

from datetime import datetime
from typing import Any, Self

import msgspec

from cxai.policy.reply import Arrival, Failure, ParsedReply, Record, Refusal, Status
from cxai.resources.options import Shape

HEAD_BYTES = 4
"""The size of the length that begins a frame."""

MOST_ANSWER_BYTES = 2**24
"""Limit for the lines in an answer (2 MB is already much); the worker reads what does not fit."""

MOST_FRAME_BYTES = 2 * MOST_ANSWER_BYTES
"""A longer frame is garbage."""


class ReaderSettings(msgspec.Struct, frozen=True):
    """What a reader needs before its first block. `score_bands` is a file's name and content."""

    resource: str
    shape: Shape
    run_id: str
    score_bands: tuple[str, bytes] | None
    max_ratio: float


class Ready(msgspec.Struct, frozen=True):
    """A reader is ready; its resident memory so far."""

    memory_bytes: int


class Block(msgspec.Struct, frozen=True):
    """Replies to read, which arrived at `at`; `secrets` are the tokens to remove from them."""

    number: int
    at: datetime
    secrets: tuple[str, ...]
    arrived: list[Arrival]

    def __repr__(self) -> str:
        """Return the number only: bodies and tokens must not be shown."""
        return f"Block({self.number})"


class Parsed(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One parsed reply: exactly one of these, or none if the worker has to read it itself."""

    record: Record | None = None
    status: Status | None = None
    refusal: Refusal | None = None
    failure: Failure | None = None

    @classmethod
    def of(cls, reply: ParsedReply) -> Self:
        """Wrap a parsed reply."""
        match reply:
            case Record():
                return cls(record=reply)
            case Status():
                return cls(status=reply)
            case Refusal():
                return cls(refusal=reply)
            case Failure():
                return cls(failure=reply)

    @property
    def reply(self) -> ParsedReply | None:
        """The parsed reply, None if it was left unread."""
        return self.record or self.refusal or self.status or self.failure


class Answer(msgspec.Struct, frozen=True):
    """The parsed replies of block `number`, in the same order."""

    number: int
    parsed: list[Parsed]


_encoder = msgspec.msgpack.Encoder()


def framed(value: Any) -> bytearray:
    """Return the frame of a value."""
    frame = bytearray(HEAD_BYTES)
    _encoder.encode_into(value, frame, HEAD_BYTES)
    frame[:HEAD_BYTES] = (len(frame) - HEAD_BYTES).to_bytes(HEAD_BYTES, "big")
    return frame


def length_of(head: bytearray | memoryview) -> int:
    """Return how many bytes follow the head of a frame."""
    return int.from_bytes(head, "big")
