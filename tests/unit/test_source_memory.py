import gzip
import tracemalloc
from itertools import chain, repeat

import pytest
from backports import zstd

from cxai.core.entry import IdRule
from cxai.sources.compression import decompressed
from cxai.sources.jsonl import items_of_jsonl
from cxai.sources.table import items_of_table
from cxai.sources.text import items_of_text

RULE = IdRule()
GUID = b"3f2504e0-4f89-11d3-9a0c-0305e82c3301"
PARSERS = {"text": items_of_text, "csv": items_of_table, "jsonl": items_of_jsonl}


def peak_bytes(iterable):
    """Iterate, keep nothing, and return the peak memory."""
    tracemalloc.start()
    try:
        for _ in iterable:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.promise(
    "Ten million lines",
    "memory does not grow with their number (shown by ten times the lines)",
    group="Input",
)
@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("text", (GUID + b"\n") * 500),
        ("csv", b"interaction_id,x\n" + (GUID + b",x\n" + b'"' + GUID + b'",x\n') * 250),
        ("jsonl", (b'{"interaction_id":"' + GUID + b'"}\n') * 500),
    ],
)
def test_ten_times_the_lines_need_no_more_memory(kind, lines):
    def peak(times):
        return peak_bytes(PARSERS[kind](repeat(lines, times), "ids", RULE))

    peak(2)
    assert peak(30) < 1.2 * peak(3)


@pytest.mark.parametrize("kind", PARSERS)
def test_an_endless_line_needs_no_more_memory_than_a_long_one(kind):
    def peak(megabytes):
        chunks = chain([b"interaction_id\n"], repeat(b"x" * 65_536, 16 * megabytes))
        return peak_bytes(PARSERS[kind](chunks, "ids", RULE))

    assert peak(20) < 1.2 * peak(9)


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_decompression_bomb_is_read_in_bounded_pieces(compress):
    bomb = compress(bytes(32 << 20))
    assert len(bomb) < 100_000
    sizes = []
    peak = peak_bytes(sizes.append(len(piece)) for piece in decompressed(iter([bomb])))
    assert sum(sizes) == 32 << 20
    assert max(sizes) <= 65_536
    assert peak < 500_000
