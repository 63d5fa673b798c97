"""One damaged byte is found by the checksum alone."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.inspect.verify.damage import differing_byte


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_one_byte_that_differs_is_found_with_its_old_value(content, data):
    offset = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[offset] ^= data.draw(st.integers(1, 255))
    assert differing_byte(bytes(damaged), zlib.crc32(content)) == (offset, content[offset])


@pytest.mark.parametrize("offset", [0, 123_456, 2**20 - 1])
def test_it_is_found_in_a_mebibyte_as_well(offset):
    content = random.Random(1).randbytes(2**20)
    damaged = content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :]
    assert differing_byte(damaged, zlib.crc32(content)) == (offset, content[offset])


def test_of_several_bytes_that_differ_none_is_reported():
    content = bytes(1_000)
    assert differing_byte(b"damaged" + content[7:], zlib.crc32(content)) is None
