"""The bytes of an input as they arrive, in pieces of bounded size."""

import select
from collections.abc import Iterator
from io import FileIO

CHUNK_BYTES = 65_536
"""Most bytes that one read, or one step of decompression, puts into memory."""

_BOM = b"\xef\xbb\xbf"


def chunks_of(raw: FileIO) -> Iterator[bytes]:
    """Yield the result of each read of an unbuffered file until its end. Raises OSError."""
    while True:
        chunk = raw.read(CHUNK_BYTES)
        if chunk:
            yield chunk
        elif chunk is None:
            # Another process that shares the pipe or terminal may have made it non-blocking.
            select.select([raw], [], [])
        else:
            return


def beginning_of(chunks: Iterator[bytes], marks: tuple[bytes, ...]) -> bytes:
    """Return just enough to see whether the input starts with one of `marks`."""
    head = b""
    for chunk in chunks:
        head += chunk
        if not any(len(head) < len(mark) and mark.startswith(head) for mark in marks):
            break
    return head


def with_line_feeds(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks with LF for each line break: LF, CR LF, and a single CR, without delay."""
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
    head = beginning_of(chunks, (_BOM,)).removeprefix(_BOM)
    if head:
        yield head
    yield from chunks
