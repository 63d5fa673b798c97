"""The objects of a commit: compressed lines, and their rows for the commit log."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from cxai.cluster.names import pending_name
from cxai.cluster.rows import Written
from cxai.core.entry import Outcome
from cxai.output.codecs import COMPRESS
from cxai.output.compression import Compression

_FRAME_BYTES = 1 << 20
"""Bytes of one frame, before compression. So the lines of a commit are never joined as a whole,
and frames of a MiB compress almost as well as a single one."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An object to be written: its content, and its row for the commit log."""

    content: bytes
    written: Written


def pack(
    outcomes: Collection[Outcome], worker: int, sequence: int, compression: Compression
) -> Sequence[Packed]:
    """Return one object for each set that `outcomes` have lines in; pure, and slow.

    The same arguments give the same objects.
    """
    by_set: defaultdict[str, list[bytes]] = defaultdict(list)
    for outcome in outcomes:
        for part_set, text in outcome.lines.items():
            if text:
                by_set[part_set].append(text)
    packed = []
    for part_set, lines in sorted(by_set.items()):
        pending = pending_name(worker, sequence, part_set, compression)
        content = b"".join(_frames(lines, compression))
        records = sum(text.count(b"\n") for text in lines)
        sha256 = hashlib.sha256(content).digest()
        packed.append(Packed(content, Written(part_set, pending, records, len(content), sha256)))
    return packed


def _frames(lines: Sequence[bytes], compression: Compression) -> Iterator[bytes]:
    frame: list[bytes] = []
    size = 0
    for text in lines:
        frame.append(text)
        size += len(text)
        if size >= _FRAME_BYTES:
            yield from COMPRESS[compression](frame)
            frame, size = [], 0
    if frame:
        yield from COMPRESS[compression](frame)
