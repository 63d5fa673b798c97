"""Content codings: whole, cut, damaged, lying or swollen. Nothing but the whole body counts."""

import gzip
import subprocess
import sys
import zlib

import brotli
import pytest
from support.bodies import as_body
from support.command import cxai_argv, environment, rows, verdict_by_id
from support.leftovers import go_on
from support.raw_server import RawServer, response
from support.serving import serving

from cxai.simulator import Fault

SEGMENTS = [
    {"startTimeOffset": start, "endTimeOffset": start + 1000, "result": "voice"}
    for start in (0, 4_965, 10_667)
]
BODY = as_body(
    {"participantOne": {"enlightenBundles": [], "voiceActivitySegments": SEGMENTS}, "note": "ünï"}
)


def deflated(data, wbits):
    encoder = zlib.compressobj(wbits=wbits)
    return encoder.compress(data) + encoder.flush()


def in_members(data):
    return b"".join(gzip.compress(data[at : at + 70], mtime=0) for at in range(0, len(data), 70))


ENCODED = {
    "none": ("identity", BODY),
    "gzip": ("gzip", gzip.compress(BODY, mtime=0)),
    "br": ("br", brotli.compress(BODY)),
    "deflate": ("deflate", zlib.compress(BODY)),
    "raw deflate": ("deflate", deflated(BODY, -15)),
    "gzip in members": ("gzip", in_members(BODY)),
    "gzip, then br": ("gzip, br", brotli.compress(gzip.compress(BODY, mtime=0))),
}

ODD = {
    "br, says gzip": ("gzip", brotli.compress(BODY), "corrupt_body"),
    "gzip, says br": ("br", gzip.compress(BODY), "corrupt_body"),
    "plain, says gzip": ("gzip", BODY, "corrupt_body"),
    "gzip, says nothing": ("identity", gzip.compress(BODY), "bad_body"),
    "gzip twice, says once": ("gzip", gzip.compress(gzip.compress(BODY)), "bad_body"),
    "gzip twice, says twice": ("gzip, gzip", gzip.compress(gzip.compress(BODY)), "ok"),
    "gzip once, says twice": ("gzip, gzip", gzip.compress(BODY), "corrupt_body"),
    "zstd": ("zstd", BODY, "unsupported_encoding"),
    "an unknown coding": ("x-rot13", BODY, "unsupported_encoding"),
    "gzip four times": ("gzip, gzip, gzip, gzip", BODY, "unsupported_encoding"),
}


@pytest.fixture
def verdicts_of(guids, export):
    """Serve pairs of (coding, body), one for an ID, to one run; return their verdicts in order."""

    def run(pairs):
        answered, *ids = guids(1 + len(pairs))  # what every ID gets is no ID's verdict
        scripts = {
            one: [response(body, f"Content-Encoding: {coding}")]
            for one, (coding, body) in zip(ids, pairs, strict=True)
        }
        scripts[answered] = [response(ENCODED["none"][1])]
        once = environment(CXAI_MAX_ATTEMPTS="1")
        with serving(RawServer(by_id=scripts)) as api:
            ended = go_on(
                api, export, [answered, *ids], "--max-failed", "1", "--allow-none", env=once
            )
        assert ended.code == 0, ended.err
        verdicts = verdict_by_id(export)
        return [verdicts[one] for one in ids]

    return run


def contents(export):
    """Return the distinct records, without what tells them apart: ID, time and run."""
    own = ("interaction_id", "retrieved_at", "run_id")
    return {
        repr({key: value for key, value in row.items() if key not in own}) for row in rows(export)
    }


@pytest.mark.promise(
    "gzip (also in several members), br, deflate, raw deflate, one upon another", "equal records"
)
def test_the_same_result_in_any_coding_gives_the_same_record(verdicts_of, export):
    assert verdicts_of(list(ENCODED.values())) == ["ok"] * len(ENCODED)
    assert len(contents(export)) == 1


@pytest.mark.promise(
    "A body cut at any byte, with a `Content-Length` that agrees",
    "never a record: `corrupt_body`, or `bad_body` where the coding itself is whole",
)
def test_a_body_cut_at_any_byte_never_becomes_a_record(verdicts_of):
    cuts = [
        (name, coding, whole[:cut])
        for name, (coding, whole) in ENCODED.items()
        for cut in range(len(whole))
    ]
    verdicts = verdicts_of([(coding, body) for _, coding, body in cuts])
    assert set(verdicts) == {"corrupt_body", "bad_body"}
    whole_in_itself = {
        name for (name, *_), verdict in zip(cuts, verdicts, strict=True) if verdict == "bad_body"
    }
    # Of plain JSON, the end is its own; a gzip body that is cut between two members is one, too.
    assert whole_in_itself == {"none", "gzip in members"}


@pytest.mark.promise(
    "A flipped bit at any byte of a gzip body", "`corrupt_body`, or the very same record"
)
def test_a_flipped_bit_in_gzip_is_refused_or_changes_nothing(verdicts_of, export):
    coding, whole = ENCODED["gzip"]
    damaged = [
        (coding, whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        for at in range(len(whole))
        for bit in range(8)
    ]
    verdicts = verdicts_of([ENCODED["none"], *damaged])
    assert set(verdicts) == {"ok", "corrupt_body"}
    assert verdicts.count("ok") < 8 * 10  # bits of the header that say nothing of the content
    assert len(contents(export)) == 1


@pytest.mark.promise(
    "A coding that lies, is undone already, or was applied twice",
    "`corrupt_body` or `bad_body`; codings that are listed one by one are undone in order",
)
@pytest.mark.promise("A content coding that was not requested", "`unsupported_encoding`")
def test_a_coding_that_lies_or_is_unknown_has_its_verdict(verdicts_of):
    verdicts = verdicts_of([(coding, body) for coding, body, _ in ODD.values()])
    wanted = {name: verdict for name, (_, _, verdict) in ODD.items()}
    assert dict(zip(ODD, verdicts, strict=True)) == wanted


# A process's own peak would begin with that of the one that it was forked from: this one is small.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@pytest.mark.promise(
    "Bombs in gzip and br that become 200 MB",
    "`too_large`; the whole run takes at most 50 MB more than without them",
)
def test_bombs_are_too_large_and_take_no_memory(simulated, guids, tmp_path):
    ids = guids(20)

    def peak_bytes(api, name):
        argv = cxai_argv(
            "run", "-o", tmp_path / name, "--base-url", api.base_url, "--rate", "1000",
            "--max-failed", "1",
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *argv],
            input="\n".join(ids).encode(),
            capture_output=True,
            check=True,
            env=environment(),
        )
        code, peak = done.stdout.split()
        assert code == b"0", done.stderr
        return int(peak)

    with simulated() as api:
        without = peak_bytes(api, "calm")
    with simulated(faulty=0.5, faults=(Fault.BOMB_GZIP, Fault.BOMB_BR)) as api:
        with_bombs = peak_bytes(api, "bombs")
    verdicts = list(verdict_by_id(tmp_path / "bombs").values())
    assert verdicts.count("too_large") > 5
    assert verdicts.count("ok") == 20 - verdicts.count("too_large")
    assert with_bombs < without + 50e6, (without, with_bombs)
