import gzip
from contextlib import suppress
from itertools import product

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from cxai.sources.compression import DamagedError, decompressed

TEXT = b"".join(b"line %d\n" % number for number in range(40))

CODINGS = {"gzip": gzip.compress, "zstd": zstd.compress}
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def checksummed(data):
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


def cut(data, size):
    return (data[start : start + size] for start in range(0, len(data), size))


def undo(data, size=65_536):
    return b"".join(decompressed(cut(data, size)))


def undo_until_damaged(data):
    """Return what precedes the damage."""
    pieces = []
    with pytest.raises(DamagedError):
        pieces.extend(decompressed(cut(data, 16)))
    return b"".join(pieces)


@pytest.mark.parametrize("size", [1, 2, 7, 65_536])
@pytest.mark.parametrize("coding", CODINGS)
def test_content_is_decompressed_wherever_the_chunks_end(coding, size):
    assert undo(CODINGS[coding](TEXT), size) == TEXT


@pytest.mark.parametrize("size", [1, 5, 65_536])
@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(TEXT),
        gzip.compress(TEXT) + gzip.compress(TEXT) + bytes(512),
        zstd.compress(TEXT) + zstd.compress(TEXT),
        SKIPPABLE + zstd.compress(TEXT) + SKIPPABLE + zstd.compress(TEXT),
    ],
    ids=["gzip", "gzip, padded", "zstd", "zstd, as pzstd writes it"],
)
def test_several_members_are_concatenated(data, size):
    assert undo(data, size) == TEXT + TEXT


@pytest.mark.parametrize("coding", CODINGS)
def test_highly_compressed_content_is_complete(coding):
    data = bytes(1_000_000) + b"end"
    assert undo(CODINGS[coding](data)) == data


@given(st.binary(max_size=64), st.integers(1, 8))
def test_uncompressed_content_passes_unchanged(data, size):
    if not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")) and b"\x2a\x4d\x18" not in data:
        assert undo(data, size) == data


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\x28\xb5", b"P", b"P*M", b"(\n"])
def test_content_that_only_starts_like_a_compressed_one_passes_unchanged(data):
    assert undo(data, 1) == data


def test_only_the_bytes_needed_to_decide_are_read():
    def chunks():
        yield b"(\n"
        raise AssertionError("the first two bytes are enough")

    assert next(decompressed(chunks())) == b"(\n"


@pytest.mark.parametrize("coding", CODINGS)
def test_content_truncated_anywhere_yields_its_intact_part_and_fails(coding):
    whole = CODINGS[coding](TEXT) + CODINGS[coding](TEXT)
    end_of_first = len(CODINGS[coding](TEXT))
    for end in range(4, len(whole)):
        if end != end_of_first:
            before = undo_until_damaged(whole[:end])
            assert (TEXT + TEXT).startswith(before)
            assert end < end_of_first or len(before) >= len(TEXT)


def test_a_missing_trailer_is_an_error():
    with pytest.raises(DamagedError, match=r"^its gzip data is truncated$"):
        undo(gzip.compress(TEXT)[:-1])


@pytest.mark.parametrize("compress", [gzip.compress, checksummed], ids=["gzip", "zstd"])
def test_a_flipped_bit_is_detected_or_harmless(compress):
    whole = compress(TEXT)
    for at, bit in product(range(4, len(whole)), range(8)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        with suppress(DamagedError):
            assert undo(bytes(damaged)) == TEXT  # for example, a name or time in the header


@pytest.mark.parametrize("coding", CODINGS)
def test_anything_after_the_last_member_is_damage(coding):
    assert undo_until_damaged(CODINGS[coding](TEXT) + b"garbage").startswith(TEXT)


@pytest.mark.parametrize("log", [23, 24, 27])
def test_a_zstd_window_of_up_to_128_mib_is_decompressed(log):
    assert undo(with_window(log)) == TEXT


def test_a_larger_zstd_window_is_refused_without_allocation():
    with pytest.raises(DamagedError, match=r"window is larger than 128 MiB; .* --long=31 FILE"):
        undo(with_window(28))


def with_window(log):
    options = {
        zstd.CompressionParameter.window_log: log,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(TEXT) + compressor.flush()


@pytest.mark.promise(
    "A gzip or zstd file with white space or zeros after it, or with empty members",
    "these are ignored; anything else after it is damage, reported with its line",
    group="Input",
)
@pytest.mark.parametrize("size", [1, 65_536])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b" \t\n", b"\0" * 512, b"\n\0\n"])
def test_white_space_after_compressed_data_is_ignored(coding, padding, size):
    compress = CODINGS[coding]
    assert undo(compress(TEXT) + padding, size) == TEXT
    assert undo(compress(b"") + compress(TEXT) + compress(b"") + padding, size) == TEXT
    assert undo_until_damaged(compress(TEXT) + padding + b"x") == TEXT
