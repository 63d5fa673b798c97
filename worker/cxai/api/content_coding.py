"""Undoes content codings (RFC 9110, 8.4): bounded while it works, and never without an end.

A body counts only if each of its codings says "this was all". That makes a truncated body an
error, never a shorter result; and it is why aiohttp's own decompression stays switched off.
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
    brotli = None  # `check_codecs` says so in words

MAX_CODINGS = 3
"""Codings stacked on one body, `identity` not counted."""

MAX_MEMBERS = 1024
"""Gzip members in one body: a server that compresses piece by piece makes one of each."""

_RATIO_FREE_BYTES = 2**20
_PIECE_BYTES = 2**20
_WINDOW_BYTES = 2**16
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's names for them ("wbits")

# The names that IANA registers and that we don't undo: only these may be quoted in a reason.
_FOREIGN = frozenset(
    ("aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd")
)

_PROBE = b"cxai"
_GZIP_PROBE = bytes.fromhex("1f8b08000000000002034bae48cc0400033dbd1a04000000")
_BR_PROBE = bytes.fromhex("8b01806378616903")


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How much a body may become while it is decoded.

    `decoded_bytes`: most bytes of a decoded body, and of each step on the way there. `ratio`: most
    decoded bytes per byte received; it counts above 1 MiB decoded only, since small bodies are
    harmless. For scale: bodies of 5-60 KB shrink to a third or an eighth.
    """

    decoded_bytes: int
    ratio: float

    def most_bytes(self, received_bytes: int) -> int:
        """Return the most bytes that a body of `received_bytes` may become."""
        return min(self.decoded_bytes, self._by_ratio(received_bytes))

    def too_large(self, received_bytes: int) -> Failure:
        """Return the failure of a body that becomes larger; its reason names the limit it hit."""
        if self._by_ratio(received_bytes) < self.decoded_bytes:
            reason = f"becomes more than {self.ratio:g} times its size (max_ratio)"
        else:
            reason = f"becomes more than {self.decoded_bytes} bytes decoded (max_decoded_bytes)"
        return Failure(FailureKind.TOO_LARGE, FailureStage.DECODE, reason)

    def _by_ratio(self, received_bytes: int) -> int:
        return max(_RATIO_FREE_BYTES, int(self.ratio * received_bytes))


_CUT = Failure(FailureKind.UNDECODABLE, FailureStage.DECODE, "ends before its content coding does")
_DAMAGED = Failure(
    FailureKind.UNDECODABLE, FailureStage.DECODE, "damaged: its content coding can't be undone"
)
_LARGE = Failure(
    FailureKind.TOO_LARGE, FailureStage.DECODE, "becomes too large"
)  # `decode` names the limit
_TRAILING = Failure(
    FailureKind.UNDECODABLE, FailureStage.DECODE, "goes on behind the end of its coding"
)
_MANY_MEMBERS = Failure(
    FailureKind.TOO_LARGE, FailureStage.DECODE, f"more than {MAX_MEMBERS} gzip members"
)
_MANY_CODINGS = Failure(
    FailureKind.UNSUPPORTED_ENCODING,
    FailureStage.DECODE,
    f"more than {MAX_CODINGS} content codings",
)


def decode(body: bytes, content_encoding: str, limits: DecodeSettings) -> bytes | Failure:
    """Undo the codings that `content_encoding` lists, last first.

    Understands gzip, x-gzip, deflate (with and without the zlib wrapper), br and identity, in any
    case. Fails with UNSUPPORTED_ENCODING for any other name, UNDECODABLE for a body that is
    truncated, damaged or followed by anything, TOO_LARGE beyond `limits`. Until it fails, it has
    taken what `limits` allow, one piece (2 MiB), a copy of the body, and br's window (16 MiB).

    A gzip body cut exactly between two members is a whole gzip body: only HTTP's own framing can
    tell, and the client has checked that before.
    """
    names = [
        name
        for token in content_encoding.lower().split(",")
        if (name := token.strip()) not in ("", "identity")
    ]
    if len(names) > MAX_CODINGS:
        return _MANY_CODINGS
    for name in names:
        if name not in _UNDO:
            return _unsupported(name)
    received = len(body)
    most = limits.most_bytes(received)
    for name in reversed(names):
        found = _UNDO[name](body, most)
        if found is _LARGE:
            return limits.too_large(received)
        if isinstance(found, Failure):
            return found
        body = found
    return body if len(body) <= most else limits.too_large(received)


def check_codecs() -> None:
    """Prove that gzip and br bodies can be decoded here, and bounded.

    Raises UsageError, naming the package to install, if not: a worker that asked for br and can't
    read it would turn every ID into a failure.
    """
    if not _can_decode("gzip", _GZIP_PROBE):
        raise UsageError("This Python can't decode gzip: its zlib is broken. Install another one.")
    if brotli is None:
        raise UsageError("The package Brotli is missing: pip install 'Brotli>=1.2'.")
    if not _can_decode("br", _BR_PROBE):
        raise UsageError(
            f"The module {getattr(brotli, '__file__', 'brotli')} can't decode br within bounds:"
            " it is too old or not Google's. Uninstall brotlipy, then"
            " pip install --force-reinstall 'Brotli>=1.2'."
        )


def _can_decode(name: str, probe: bytes) -> bool:
    try:
        return decode(probe, name, DecodeSettings(1024, ratio=1.0)) == _PROBE
    except (AttributeError, TypeError):  # a module of the same name, but with other methods
        return False


def _undo_gzip(data: bytes, most: int) -> bytes | Failure:
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


def _undo_deflate(data: bytes, most: int) -> bytes | Failure:
    found = _inflate(data, 0, _ZLIB if _has_zlib_header(data) else _RAW_DEFLATE, most)
    if isinstance(found, Failure):
        return found
    content, end = found
    return content if end == len(data) else _TRAILING


def _has_zlib_header(data: bytes) -> bool:
    # RFC 9110 means the zlib wrapper (RFC 1950, 2.2), some servers send raw deflate. No raw stream
    # that an encoder makes passes for the wrapper: it would be a stored block with odd padding.
    return (
        len(data) > 1
        and data[0] & 0x0F == zlib.DEFLATED
        and int.from_bytes(data[:2], "big") % 31 == 0
    )


def _inflate(data: bytes, start: int, wbits: int, most: int) -> tuple[bytes, int] | Failure:
    """Undo the zlib stream that begins at `start`; return its content and where it ends.

    It is fed by windows: of what stands behind the stream, zlib copies the rest of one only.
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


def _undo_br(data: bytes, most: int) -> bytes | Failure:
    stream = brotli.Decompressor()
    pieces: list[bytes] = []
    size = 0
    while True:
        try:
            # Refuses, by an error, input behind the end.
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


_UNDO: Mapping[str, Callable[[bytes, int], bytes | Failure]] = {
    "gzip": _undo_gzip,
    "x-gzip": _undo_gzip,
    "deflate": _undo_deflate,
    **({"br": _undo_br} if brotli else {}),
}


def _unsupported(name: str) -> Failure:
    what = name if name in _FOREIGN else "of an unregistered name"
    return Failure(FailureKind.UNSUPPORTED_ENCODING, FailureStage.DECODE, f"content coding {what}")
