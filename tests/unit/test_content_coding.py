import gzip
import itertools
import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import SAMPLE
from support.defaults import decode_settings

from cxai.api.content_coding import MAX_CODINGS, MAX_MEMBERS, check_codecs, decode
from cxai.policy.reply import Failure, FailureKind
from cxai.policy.verdict import FailureStage

LIMITS = decode_settings()
MIB = 2**20
BODY = json.dumps(SAMPLE).encode()


def compressed(data, wbits):
    encoder = zlib.compressobj(wbits=wbits)
    return encoder.compress(data) + encoder.flush()


def gzip_in_members(data, members=3):
    step = -(-len(data) // members) or 1
    return b"".join(gzip.compress(data[i * step : (i + 1) * step], mtime=0) for i in range(members))


ENCODERS = {
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "x-gzip": ("x-gzip", lambda data: gzip.compress(data, mtime=0)),
    "gzip in members": ("gzip", gzip_in_members),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda data: compressed(data, -15)),
    "br": ("br", lambda data: brotli.compress(data, quality=5)),
    "gzip, then br": ("gzip, br", lambda data: brotli.compress(gzip.compress(data), quality=5)),
}
every_coding = pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS.keys())


def trouble_of(found):
    return found.kind if isinstance(found, Failure) else None


# --- what goes in comes out ---


@every_coding
@given(data=st.binary(max_size=4000))
@settings(max_examples=30, deadline=None)
def test_every_coding_is_decoded(coding, encode, data):
    assert decode(encode(data), coding, LIMITS) == data


@every_coding
def test_large_bodies_are_decoded_completely(coding, encode):
    data = random.Random(1).randbytes(3 * MIB + 12_345)
    assert decode(encode(data), coding, LIMITS) == data


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED])
@pytest.mark.parametrize("wbits", [9, 15, -9, -15])
def test_deflate_and_raw_deflate_are_distinguished_for_all_encoder_settings(level, strategy, wbits):
    for data in (b"", b"x", BODY, bytes(70_000)):
        encoder = zlib.compressobj(level, wbits=wbits, strategy=strategy)
        assert decode(encoder.compress(data) + encoder.flush(), "deflate", LIMITS) == data


@pytest.mark.parametrize("spelling", ["", " ", "identity", "Identity", "identity, identity", ",,"])
def test_a_body_without_a_coding_is_unchanged(spelling):
    assert decode(BODY, spelling, LIMITS) == BODY


@pytest.mark.parametrize(
    "spelling", ["gzip", "GZIP", " gzip\t", "x-GZip", "identity,gzip", ",gzip,"]
)
def test_names_of_codings_are_read_leniently(spelling):
    assert decode(gzip.compress(BODY), spelling, LIMITS) == BODY


def test_stacked_codings_are_decoded_last_first():
    twice = gzip.compress(gzip.compress(BODY))
    assert decode(twice, "gzip, gzip", LIMITS) == BODY
    assert decode(brotli.compress(gzip.compress(BODY)), "gzip, br", LIMITS) == BODY
    found = decode(brotli.compress(gzip.compress(BODY)), "br, gzip", LIMITS)
    assert trouble_of(found) is FailureKind.UNDECODABLE


# --- nothing but the whole counts ---


@every_coding
@pytest.mark.parametrize(
    "data", [BODY, b"", random.Random(5).randbytes(3000)], ids=["body", "empty", "random"]
)
def test_a_body_cut_at_any_byte_is_never_a_success(coding, encode, data):
    whole = encode(data)
    # A gzip body cut between two members is a complete gzip body: only HTTP's framing
    # (Content-Length, the last chunk) shows the cut, and the client checks that.
    ends = member_ends(whole) if encode is gzip_in_members else []
    for cut in range(len(whole)):
        found = decode(whole[:cut], coding, LIMITS)
        if cut in ends:
            assert data.startswith(found)
        else:
            assert trouble_of(found) is FailureKind.UNDECODABLE, cut


def member_ends(whole):
    ends, rest = [], whole
    while rest:
        stream = zlib.decompressobj(31)
        stream.decompress(rest)
        rest = stream.unused_data
        ends.append(len(whole) - len(rest))
    return ends


def test_a_gzip_body_with_a_flipped_bit_is_refused_or_the_same():
    whole = gzip.compress(BODY, mtime=0)
    outcomes = {"refused": 0, "the same": 0}
    for position, bit in itertools.product(range(len(whole)), range(8)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        found = decode(bytes(damaged), "gzip", LIMITS)
        if isinstance(found, Failure):
            outcomes["refused"] += 1
        else:
            assert found == BODY, (position, bit)
            outcomes["the same"] += 1
    # The same: bits of the header that do not concern the content (time, system, hints).
    assert outcomes["the same"] < 8 * 10
    assert outcomes["refused"] > 8 * (len(whole) - 10)


@every_coding
@pytest.mark.parametrize(
    "trailing", [b"\0", b"\n", b"{}", b"\x1f\x8b", random.Random(6).randbytes(40)]
)
def test_data_after_the_end_is_refused(coding, encode, trailing):
    assert trouble_of(decode(encode(BODY) + trailing, coding, LIMITS)) is FailureKind.UNDECODABLE


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB, 2_064_288, 2_064_289, 4_128_576])
@pytest.mark.parametrize("trailing", [b"", b"\0", b"\x03", b"tail"])
def test_the_end_of_br_is_found_wherever_the_pieces_end(size, trailing):
    data = bytes(size)
    found = decode(brotli.compress(data, quality=1) + trailing, "br", decode_settings(ratio=1e9))
    assert (found == data) if not trailing else trouble_of(found) is FailureKind.UNDECODABLE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, br"])
def test_an_empty_body_with_a_coding_is_undecodable(coding):
    assert trouble_of(decode(b"", coding, LIMITS)) is FailureKind.UNDECODABLE


def test_an_empty_body_without_a_coding_is_empty():
    assert decode(b"", "", LIMITS) == b""


@pytest.mark.parametrize(
    ("claimed", "actual"),
    [
        (claimed, actual)
        for claimed in ("gzip", "deflate", "br", "gzip, gzip")
        for actual in ("none", "gzip", "deflate", "br")
        if claimed != actual
    ],
)
def test_a_body_in_another_coding_than_claimed_is_undecodable(claimed, actual):
    body = BODY if actual == "none" else ENCODERS[actual][1](BODY)
    assert trouble_of(decode(body, claimed, LIMITS)) is FailureKind.UNDECODABLE


@given(
    body=st.binary(max_size=300),
    coding=st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "", "?"]), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_with_any_coding_give_bytes_or_a_failure(body, coding):
    found = decode(body, ",".join(coding), LIMITS)
    assert isinstance(found, bytes | Failure)


# --- what is not understood ---


@pytest.mark.parametrize(
    "coding", ["zstd", "compress", "gzip;q=1", "*", "br gzip", "utf-8", "gzip, zstd", "gzïp"]
)
def test_other_codings_are_unsupported(coding):
    found = decode(gzip.compress(BODY), coding, LIMITS)
    assert trouble_of(found) is FailureKind.UNSUPPORTED_ENCODING
    assert found.stage is FailureStage.DECODE


def test_a_reason_names_registered_codings_only():
    assert decode(b"", "zstd", LIMITS).reason == "content coding zstd"
    assert "secret" not in decode(b"", "secret", LIMITS).reason


def test_more_codings_than_the_most_are_unsupported():
    body = BODY
    for _ in range(MAX_CODINGS):
        body = gzip.compress(body)
    assert decode(body, "gzip," * MAX_CODINGS, LIMITS) == BODY
    found = decode(gzip.compress(body), "gzip," * (MAX_CODINGS + 1), LIMITS)
    assert trouble_of(found) is FailureKind.UNSUPPORTED_ENCODING


# --- limits ---


@pytest.mark.parametrize("coding", ["", "gzip", "deflate", "br"])
def test_a_body_may_decode_to_exactly_the_limit(coding):
    encode = ENCODERS[coding][1] if coding else bytes
    for size in (1, 1000, 3 * MIB):
        limits = decode_settings(decoded_bytes=size)
        data = random.Random(2).randbytes(size + 1)
        assert decode(encode(data[:-1]), coding, limits) == data[:-1]
        assert trouble_of(decode(encode(data), coding, limits)) is FailureKind.TOO_LARGE


def test_intermediate_steps_are_limited_as_well():
    small, large = gzip.compress(bytes(10)), gzip.compress(bytes(MIB), compresslevel=0)
    assert decode(gzip.compress(small), "gzip, gzip", decode_settings(decoded_bytes=1000)) == bytes(
        10
    )
    found = decode(gzip.compress(large), "gzip, gzip", decode_settings(decoded_bytes=MIB))
    assert trouble_of(found) is FailureKind.TOO_LARGE


def test_the_ratio_applies_above_one_mebibyte_only():
    limits = decode_settings(ratio=10)
    assert decode(gzip.compress(bytes(MIB)), "gzip", limits) == bytes(MIB)
    assert (
        trouble_of(decode(gzip.compress(bytes(MIB + 1)), "gzip", limits)) is FailureKind.TOO_LARGE
    )
    data = random.Random(3).randbytes(MIB) + bytes(2 * MIB)
    assert decode(gzip.compress(data), "gzip", limits) == data


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (decode_settings(2 * MIB, ratio=1e6), "more than 2097152 bytes (max_decoded_bytes)"),
        (decode_settings(8 * MIB, ratio=12.5), "more than 12.5 times its size (max_ratio)"),
    ],
)
def test_a_reason_names_the_limit_that_was_hit(coding, limits, reason):
    bomb = ENCODERS[coding][1](bytes(4 * MIB)) if coding in ENCODERS else None
    body = bomb or gzip.compress(gzip.compress(bytes(4 * MIB)))
    assert decode(body, coding, limits).reason == f"decodes to {reason}"


@pytest.mark.parametrize(("members", "allowed"), [(MAX_MEMBERS, True), (MAX_MEMBERS + 1, False)])
def test_gzip_members_are_counted(members, allowed):
    found = decode(gzip_in_members(BODY, members), "gzip", LIMITS)
    assert found == BODY if allowed else trouble_of(found) is FailureKind.TOO_LARGE


def test_gzip_members_share_one_limit():
    body = gzip.compress(bytes(600)) * 2
    assert decode(body, "gzip", decode_settings(decoded_bytes=1200)) == bytes(1200)
    found = decode(body, "gzip", decode_settings(decoded_bytes=1199))
    reason = "decodes to more than 1199 bytes (max_decoded_bytes)"
    assert found == Failure(FailureKind.TOO_LARGE, FailureStage.DECODE, reason)


# --- bombs ---


def bomb(coding, block):
    """Return 200 MB of `block` over and over, encoded without ever being in memory."""
    encoder = (
        brotli.Compressor(quality=1, lgwin=24)
        if coding == "br"
        else zlib.compressobj(level=1, wbits=31 if coding == "gzip" else 15)
    )
    encode = encoder.process if coding == "br" else encoder.compress
    end = encoder.finish if coding == "br" else encoder.flush
    return b"".join([encode(block) for _ in range(200 * 10**6 // len(block))]) + end()


HEAVY = random.Random(4).randbytes(2**15) + bytes(2**20 - 2**15)  # stays below the ratio

# Its own process: what another test has taken and given back would hide what this one takes.
DROP_A_BOMB = """
import sys
from cxai.api.content_coding import DecodeSettings, decode

def peak_bytes():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

body = sys.stdin.buffer.read()
before = peak_bytes()
found = decode(body, sys.argv[1], DecodeSettings(8 << 20, 200.0))
print(found.kind, peak_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("coding", "make"),
    [
        ("gzip", lambda: bomb("gzip", bytes(MIB))),
        ("gzip", lambda: bomb("gzip", HEAVY)),
        ("gzip", lambda: gzip.compress(bytes(LIMITS.decoded_bytes)) * MAX_MEMBERS),
        ("deflate", lambda: bomb("deflate", bytes(MIB))),
        ("br", lambda: bomb("br", bytes(MIB))),
        ("br", lambda: bomb("br", HEAVY)),
    ],
    ids=["gzip", "gzip below the ratio", "gzip in members", "deflate", "br", "br below the ratio"],
)
def test_a_bomb_is_too_large_before_it_takes_50_mb(coding, make):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DROP_A_BOMB, coding],
        input=make(),
        capture_output=True,
        check=True,
    )
    trouble, taken_bytes = done.stdout.split()
    assert trouble == b"too_large"
    assert int(taken_bytes) < 50e6


@pytest.mark.promise("A bomb within a bomb", "`too_large`", group="Encoding")
def test_a_bomb_within_a_bomb_is_too_large():
    inner = bomb("gzip", bytes(MIB))
    assert trouble_of(decode(gzip.compress(inner), "gzip, gzip", LIMITS)) is FailureKind.TOO_LARGE


# --- the codecs themselves ---


def test_the_codecs_of_this_environment_work():
    check_codecs()


OTHER_METHODS = """
class error(Exception): ...
class Decompressor:
    def decompress(self, data): return b"cxai"
"""
NO_BOUND = """
class error(Exception): ...
class Decompressor:
    def process(self, data): return b"cxai"
    def is_finished(self): return True
"""
BROKEN = """
class error(Exception): ...
class Decompressor:
    def process(self, data, output_buffer_limit): raise error
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("raise ImportError", "The package Brotli is missing"),
        (OTHER_METHODS, "too old, or another package"),
        (NO_BOUND, "too old, or another package"),
        (BROKEN, "too old, or another package"),
    ],
    ids=["absent", "another make", "older than 1.2", "broken"],
)
def test_a_start_without_a_bounded_br_decoder_is_refused_with_the_package_to_install(
    tmp_path, module, words
):
    (tmp_path / "brotli.py").write_text(module)
    code = "from cxai.api.content_coding import check_codecs; check_codecs()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("cxai.errors.UsageError: ")
    assert words in last_line
    assert "pip install" in last_line
