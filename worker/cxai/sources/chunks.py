"""The bytes of an input as they arrive, a bounded piece at a time."""

import select
from collections.abc import Iterator
from io import FileIO

CHUNK_BYTES = 65_536
"""The most that one read, or one step of decompression, brings into memory."""

_BOM = b"\xef\xbb\xbf"


def chunks_of(raw: FileIO) -> Iterator[bytes]:
    """Yield what each read of an unbuffered file gives, at once, until its end.

    Raises OSError.
    """
    while True:
        chunk = raw.read(CHUNK_BYTES)
        if chunk:
            yield chunk
        elif chunk is None:
            # Whoever shares a pipe or a terminal with us may have made it non-blocking.
            select.select([raw], [], [])
        else:
            return


def lead(chunks: Iterator[bytes], marks: tuple[bytes, ...]) -> bytes:
    """Take only as many chunks as tell whether the input begins with one of `marks`."""
    head = b""
    for chunk in chunks:
        head += chunk
        if not any(len(head) < len(mark) and mark.startswith(head) for mark in marks):
            break
    return head


def with_line_feeds(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks with an LF for every line end: LF, CR LF, and CR alone.

    The one place that decides what ends a line. A CR at the end of a chunk ends its line at once.
    """
    after_cr = False
    for chunk in chunks:
        text = chunk[1:] if after_cr and chunk.startswith(b"\n") else chunk
        after_cr = text.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if text:
            yield text


def without_bom(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks without the UTF-8 byte order mark at their beginning."""
    head = lead(chunks, (_BOM,)).removeprefix(_BOM)
    if head:
        yield head
    yield from chunks
