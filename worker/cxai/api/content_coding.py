"""Decodes content codings (RFC 9110, 8.4), in bounded memory and only to a proven end.

A truncated body is an error, never a shorter result, as it would be with aiohttp's decompression.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cxai.errors import UsageError
from cxai.policy.reply import Failure, FailureKind
from cxai.policy.verdict import FailureStage

try:
    import brotli  # type: ignore[import-untyped] # the package ships no types
except ImportError:
    brotli = None  # `check_codecs` reports it

MAX_CODINGS = 3
"""Most codings stacked on one body, not counting `identity`."""

MAX_MEMBERS = 1024
"""Most gzip members in one body: a server that compresses in pieces makes one of each."""

_RATIO_FREE_BYTES = 2**20
_PIECE_BYTES = 2**20
_WINDOW_BYTES = 2**16
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's names for them ("wbits")

# Names that IANA registers and that are not supported: only these may be quoted in a reason.
_UNSUPPORTED = frozenset(
    ("aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd")
)

_PROBE = b"cxai"
_GZIP_PROBE = bytes.fromhex("1f8b08000000000002034bae48cc0400033dbd1a04000000")
_BR_PROBE = bytes.fromhex("8b01806378616903")


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """The most bytes of a decoded body, and of each intermediate step.

    `ratio` is per byte received, and applies above 1 MiB only. Usual bodies, of 5-60 KB, shrink to
    a third or an eighth.
    """

    decoded_bytes: int
    ratio: float

    def most_bytes(self, received_bytes: int) -> int:
        """Return the most bytes that a body of `received_bytes` may become."""
        return min(self.decoded_bytes, self._by_ratio(received_bytes))

    def too_large(self, received_bytes: int) -> Failure:
        """Return the failure of a larger body; its reason names the limit."""
        if self._by_ratio(received_bytes) < self.decoded_bytes:
            reason = f"decodes to more than {self.ratio:g} times its size (max_ratio)"
        else:
            reason = f"decodes to more than {self.decoded_bytes} bytes (max_decoded_bytes)"
        return _failure(FailureKind.TOO_LARGE, reason)

    def _by_ratio(self, received_bytes: int) -> int:
        return max(_RATIO_FREE_BYTES, int(self.ratio * received_bytes))


def _failure(kind: FailureKind, reason: str) -> Failure:
    return Failure(kind, FailureStage.DECODE, reason)


_CUT = _failure(FailureKind.UNDECODABLE, "truncated: its content coding has no end")
_DAMAGED = _failure(FailureKind.UNDECODABLE, "damaged: its content coding can't be decoded")
_TRAILING = _failure(FailureKind.UNDECODABLE, "has data after the end of its content coding")
_LARGE = _failure(FailureKind.TOO_LARGE, "decodes to too many bytes")  # `decode` names the limit
_MANY_MEMBERS = _failure(FailureKind.TOO_LARGE, f"more than {MAX_MEMBERS} gzip members")


def decode(body: bytes, content_encoding: str, limits: DecodeSettings) -> bytes | Failure:
    """Decode the codings that `content_encoding` lists, last first.

    Supports gzip, x-gzip, deflate (with and without the zlib wrapper), br and identity, in any
    case. Fails with UNSUPPORTED_ENCODING for any other name, UNDECODABLE for a body that is
    truncated, damaged or followed by other data, TOO_LARGE beyond `limits`. It uses at most the
    memory of `limits`, one piece (2 MiB), a copy of the body, and br's window (16 MiB).

    A gzip body cut exactly between two members is a complete gzip body: only HTTP's framing shows
    the cut, and the client has checked that before.
    """
    names = [
        name
        for token in content_encoding.lower().split(",")
        if (name := token.strip()) not in ("", "identity")
    ]
    if len(names) > MAX_CODINGS:
        reason = f"more than {MAX_CODINGS} content codings"
        return _failure(FailureKind.UNSUPPORTED_ENCODING, reason)
    for name in names:
        if name not in _DECODERS:
            what = name if name in _UNSUPPORTED else "with an unregistered name"
            return _failure(FailureKind.UNSUPPORTED_ENCODING, f"content coding {what}")
    received = len(body)
    most = limits.most_bytes(received)
    for name in reversed(names):
        found = _DECODERS[name](body, most)
        if found is _LARGE:
            return limits.too_large(received)
        if isinstance(found, Failure):
            return found
        body = found
    return body if len(body) <= most else limits.too_large(received)


def check_codecs() -> None:
    """Check that gzip and br bodies can be decoded on this machine, within bounds.

    Raises UsageError, with the package to install, if not: a worker that accepts br and can't
    decode it would fail for every ID.
    """
    if not _can_decode("gzip", _GZIP_PROBE):
        raise UsageError(
            "This Python can't decode gzip: its zlib is broken. Install another Python."
        )
    if brotli is None:
        raise UsageError("The package Brotli is missing: pip install 'Brotli>=1.2'.")
    if not _can_decode("br", _BR_PROBE):
        raise UsageError(
            f"The module {getattr(brotli, '__file__', 'brotli')} can't decode br within bounds:"
            " it is too old, or another package. Uninstall brotlipy, then"
            " pip install --force-reinstall 'Brotli>=1.2'."
        )


def _can_decode(name: str, probe: bytes) -> bool:
    try:
        return decode(probe, name, DecodeSettings(1024, ratio=1.0)) == _PROBE
    except (AttributeError, TypeError):  # another module of the same name
        return False


def _decode_gzip(data: bytes, most: int) -> bytes | Failure:
    members: list[bytes] = []
    left, position = most, 0
    while True:
        found = _inflate(data, position, _GZIP, left)
        if isinstance(found, Failure):
            return found
        content, position = found
        members.append(content)
        left -= len(content)
        if position == len(data):
            return content if len(members) == 1 else b"".join(members)
        if len(members) == MAX_MEMBERS:
            return _MANY_MEMBERS


def _decode_deflate(data: bytes, most: int) -> bytes | Failure:
    # RFC 9110 requires the zlib wrapper (RFC 1950, 2.2), but some servers send raw deflate. No raw
    # stream of an encoder looks like the wrapper: it would be a stored block with odd padding.
    head = int.from_bytes(data[:2], "big")
    is_wrapped = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and head % 31 == 0
    found = _inflate(data, 0, _ZLIB if is_wrapped else _RAW_DEFLATE, most)
    if isinstance(found, Failure):
        return found
    content, end = found
    return content if end == len(data) else _TRAILING


def _inflate(data: bytes, start: int, wbits: int, most: int) -> tuple[bytes, int] | Failure:
    """Decode the zlib stream at `start`; return its content and its end.

    The data is fed in windows, since zlib copies the rest of its input after the stream's end.
    """
    stream = zlib.decompressobj(wbits)
    pieces: list[bytes] = []
    size = 0
    view = memoryview(data)
    fed: bytes | memoryview = b""
    position = start
    while True:
        if not fed:
            fed = view[position : position + _WINDOW_BYTES]
            position += len(fed)
        try:
            piece = stream.decompress(fed, min(_PIECE_BYTES, most + 1 - size))
        except zlib.error:
            return _DAMAGED
        size += len(piece)
        if size > most:
            return _LARGE
        if stream.eof:
            end = position - len(stream.unused_data)
            return b"".join((*pieces, piece)) if pieces else piece, end
        if not piece and not fed:
            return _CUT
        pieces.append(piece)
        fed = stream.unconsumed_tail


def _decode_br(data: bytes, most: int) -> bytes | Failure:
    stream = brotli.Decompressor()
    pieces: list[bytes] = []
    size = 0
    while True:
        try:
            # Input after the end is an error.
            piece = stream.process(data, output_buffer_limit=_PIECE_BYTES)
        except brotli.error:
            return _DAMAGED
        size += len(piece)
        if size > most:
            return _LARGE
        if stream.is_finished():
            return b"".join((*pieces, piece)) if pieces else piece
        if not piece:
            return _CUT
        pieces.append(piece)
        data = b""


_DECODERS: Mapping[str, Callable[[bytes, int], bytes | Failure]] = {
    "gzip": _decode_gzip,
    "x-gzip": _decode_gzip,
    "deflate": _decode_deflate,
    **({"br": _decode_br} if brotli else {}),
}
