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


def without_bom(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks without the UTF-8 byte order mark at their beginning."""
    head = lead(chunks, (_BOM,)).removeprefix(_BOM)
    if head:
        yield head
    yield from chunks
