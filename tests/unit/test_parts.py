import errno
import gzip
import hashlib
import os
import re
import stat
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from cxai.errors import IntegrityError
from cxai.output.compression import Compression
from cxai.output.part_state import PartState, part_name, part_pattern
from cxai.output.parts import OpenPart
from cxai.resources.cx_ai.layout import LAYOUT

LINES = [b'{"n": 1}\n', b'{"n": 2}\n{"n": 3}\n', b'{"n": 4}\n']
WHOLE = b"".join(LINES)

UNPACK = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.decompress,
    Compression.ZSTD: zstd.decompress,
}


@pytest.fixture
def part(tmp_path):
    """Return a new part, as a run creates it."""
    part = OpenPart(tmp_path, PartState("records", 1), Compression.NONE)
    yield part
    part.close()


def reopened(part, compression=Compression.NONE):
    """Return the part as the next start finds it, if the ledger has the same state."""
    part.close()
    again = OpenPart(part.path.parent, part.state, compression)
    again.recover()
    return again


def commit(part, lines):
    extent = part.append(lines)
    part.sync()
    part.advance()
    return extent


def refuse(code):
    def call(*_arguments):
        raise OSError(code, os.strerror(code))

    return call


# --- names ---

A_PART = part_pattern(LAYOUT.all_sets)


@pytest.mark.parametrize(
    ("state", "compression", "name"),
    [
        (PartState("records", 1), Compression.NONE, "records-000001.jsonl.open"),
        (PartState("records", 1, sealed=True), Compression.NONE, "records-000001.jsonl"),
        (PartState("scores", 42), Compression.GZIP, "scores-000042.jsonl.gz.open"),
        (PartState("scores", 42, sealed=True), Compression.ZSTD, "scores-000042.jsonl.zst"),
        (PartState("records", 1_234_567, sealed=True), Compression.NONE, "records-1234567.jsonl"),
    ],
)
def test_only_a_sealed_part_has_the_name_that_loaders_look_for(state, compression, name):
    assert part_name(state, compression) == name
    assert A_PART.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "ledger.sqlite",
        "manifest.json",
        "progress.json",
        "records.jsonl",
        "records-1.jsonl",
        "Records-000001.jsonl",
        "records-000001.json",
        "records-000001.jsonl.bz2",
        "records-000001.jsonl.open.bak",
        "my-records-000001.jsonl",
        "ids-20261127.jsonl",
        "records-20261127.jsonl",
        "failures-20261127.jsonl.gz",
        "night-000001.jsonl",
        "records-000001.jsonl\n",
    ],
)
def test_no_other_file_is_a_part(name):
    assert not A_PART.fullmatch(name)


# --- writing ---


@pytest.mark.parametrize("compression", Compression)
def test_each_commit_is_appended_whole(compression, tmp_path):
    part = OpenPart(tmp_path, PartState("records", 1), compression)
    ends = [commit(part, [line]).after.bytes for line in LINES]
    part.close()
    content = part.path.read_bytes()
    for end, lines in zip(ends, range(1, 4), strict=True):
        assert UNPACK[compression](content[:end]) == b"".join(LINES[:lines])
    assert ends[-1] == len(content)


def test_an_extent_has_its_offset_and_the_state_of_the_part_with_it(part):
    commit(part, LINES[:1])
    extent = commit(part, LINES[1:])
    assert extent.offset == len(LINES[0])
    assert extent.crc32 == zlib.crc32(LINES[1] + LINES[2])
    assert extent.after == part.state
    assert part.state == PartState(
        "records", 1, len(WHOLE), 4, hashlib.sha256(WHOLE).hexdigest(), sealed=False
    )


def test_the_first_append_creates_a_private_file(part):
    assert not part.path.exists()
    part.append(LINES)
    assert stat.S_IMODE(part.path.stat().st_mode) == 0o600


def test_appended_lines_do_not_count_before_they_are_committed(part):
    commit(part, LINES[:1])
    state = part.state
    part.append([b"given up, and longer than what comes instead\n"])
    assert part.state == state
    part.cut_back()
    commit(part, LINES[1:])
    assert part.path.read_bytes() == WHOLE


def test_a_commit_with_more_lines_than_one_call_may_write_is_whole(part):
    lines = [b"%d\n" % number for number in range(5_000)]
    commit(part, lines)
    assert part.path.read_bytes() == b"".join(lines)
    assert part.state.records == 5_000


@pytest.mark.parametrize("at_once", [1, 7, 20])
def test_a_short_write_resumes_where_it_ended(part, monkeypatch, at_once):
    commit(part, LINES[:1])
    whole_write, whole_writev = os.pwrite, os.pwritev
    monkeypatch.setattr(os, "pwrite", lambda fd, text, at: whole_write(fd, text[:at_once], at))
    monkeypatch.setattr(
        os, "pwritev", lambda fd, texts, at: whole_writev(fd, [b"".join(texts)[:at_once]], at)
    )
    commit(part, LINES[1:])
    assert part.path.read_bytes() == WHOLE


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1), st.lists(st.integers(0, 100)))
def test_however_the_system_splits_a_write_all_bytes_are_written_once(
    tmp_path_factory, texts, cuts
):
    part = OpenPart(tmp_path_factory.mktemp("part"), PartState("records", 1), Compression.NONE)
    whole_write, whole_writev = os.pwrite, os.pwritev

    def cut(text):
        return text[: cuts.pop()] if cuts else text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, text, at: whole_write(fd, cut(text), at))
        patch.setattr(
            os, "pwritev", lambda fd, some, at: whole_writev(fd, [cut(b"".join(some))], at)
        )
        part.append(texts)
    part.close()
    assert part.path.read_bytes() == b"".join(texts)


@pytest.mark.parametrize("failing", ["pwritev", "pwrite"])
def test_a_full_disk_leaves_the_committed_bytes_alone(part, monkeypatch, failing):
    commit(part, LINES[:1])
    state = part.state
    whole_writev = os.pwritev
    with monkeypatch.context() as patch:
        if failing == "pwrite":  # the disk gets full in the middle
            patch.setattr(os, "pwritev", lambda fd, some, at: whole_writev(fd, [some[0][:3]], at))
        patch.setattr(os, failing, refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            part.append(LINES[1:])
    assert part.state == state
    assert part.path.read_bytes() == LINES[0]
    commit(part, LINES[1:])
    assert part.path.read_bytes() == WHOLE


def test_a_failed_sync_is_raised_and_not_repeated(part, monkeypatch):
    calls = []

    def fail(fd):
        calls.append(fd)
        refuse(errno.EIO)()

    part.append(LINES)
    state = part.state
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        part.sync()
    part.close()
    assert len(calls) == 1
    assert part.state == state


def test_a_part_is_not_written_through_a_symbolic_link(part, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    part.path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        part.append(LINES)
    assert elsewhere.read_bytes() == b"precious"


# --- recovering ---


@pytest.mark.parametrize("compression", Compression)
def test_a_part_continues_at_its_committed_length(compression, tmp_path):
    part = OpenPart(tmp_path, PartState("records", 1), compression)
    commit(part, LINES[:1])
    part.append([b"never committed\n"])
    again = reopened(part, compression)
    commit(again, LINES[1:])
    again.close()
    assert UNPACK[compression](again.path.read_bytes()) == WHOLE
    assert again.state.sha256 == hashlib.sha256(again.path.read_bytes()).hexdigest()
    assert again.state.records == 4


def test_a_tail_is_truncated_durably(part, monkeypatch):
    commit(part, LINES)
    part.append([b"never committed\n"])
    calls = []
    for name in ("ftruncate", "fdatasync"):
        call = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *given, name=name, call=call: (calls.append(name), call(*given))
        )
    again = reopened(part)
    again.close()
    assert part.path.read_bytes() == WHOLE
    assert calls == ["ftruncate", "fdatasync"]


def test_a_part_that_was_never_written_needs_no_file(part):
    part.recover()
    assert not part.path.exists()
    assert not part.is_open


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: os.truncate(path, 5), "has 5 bytes, but the ledger has 36"),
        (lambda path: os.truncate(path, 0), "has 0 bytes, but the ledger has 36"),
        (lambda path: path.write_bytes(WHOLE.replace(b"3", b"5")), "was changed: the checksum"),
        (lambda path: path.write_bytes(bytes(len(WHOLE))), "was changed: the checksum"),
        (lambda path: path.unlink(), r"can't be opened \(No such file or directory\)"),
    ],
    ids=["cut", "empty", "flipped", "zero-filled", "missing"],
)
def test_a_part_without_its_committed_bytes_is_refused_by_name(part, damage, expected):
    commit(part, LINES)
    damage(part.path)
    left = part.path.exists() and part.path.read_bytes()
    with pytest.raises(IntegrityError, match=f"{re.escape(str(part.path))} {expected}"):
        reopened(part)
    assert (part.path.exists() and part.path.read_bytes()) == left
