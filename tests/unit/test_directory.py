"""The output directory: one owner, private files, durable names, on any system."""

import fcntl
import os
import select
import stat
import sys
from pathlib import Path

import pytest

from cxai.errors import DirectoryInUseError, UsageError
from cxai.observe.stderr import takes_a_line
from cxai.output import durable
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.local_path import local_path
from cxai.output.part_state import PartState
from cxai.output.parts import OpenPart
from cxai.output.private import open_private

# --- one owner, and no files left after an error ---


def test_what_entering_created_is_removed_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), OutputDirectory(tmp_path / "new" / "deep"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_other_files_stay_after_an_error(tmp_path):
    def interrupted():
        with OutputDirectory(tmp_path / "old" / "new") as directory:
            directory.replace("kept", b"")
            raise ZeroDivisionError

    (tmp_path / "old").mkdir()
    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert [path.name for path in (tmp_path / "old").rglob("*")] == ["new", "kept"]


def test_a_second_owner_removes_no_files_of_the_first(tmp_path):
    with OutputDirectory(tmp_path / "export") as first:
        with pytest.raises(DirectoryInUseError), OutputDirectory(tmp_path / "export"):
            pass
        first.replace("still", b"mine")
    assert (tmp_path / "export" / "still").exists()
    assert (tmp_path / "export" / ".lock").exists()


def test_a_lock_file_that_was_deleted_meanwhile_does_not_lock(tmp_path, monkeypatch):
    plainly = fcntl.flock

    def removed_first(fd, operation):
        (tmp_path / ".lock").unlink()
        (tmp_path / ".lock").touch()  # another process starts
        plainly(fd, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with pytest.raises(DirectoryInUseError), OutputDirectory(tmp_path):
        pass


def test_its_new_place_is_found_after_it_was_moved(tmp_path):
    with OutputDirectory(tmp_path / "here") as directory:
        assert not directory.is_displaced
        (tmp_path / "here").rename(tmp_path / "there")
        assert directory.is_displaced
        assert directory.place_now == tmp_path / "there"
        (tmp_path / "here").mkdir()
        assert directory.is_displaced
        (tmp_path / "there" / ".lock").unlink()
        (tmp_path / "there").rmdir()
        assert directory.place_now is None


# --- modes ---


@pytest.mark.parametrize("umask", [0, 0o077, 0o277, 0o777])
@pytest.mark.parametrize("flags", [os.O_CREAT, os.O_CREAT | os.O_EXCL])
def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path, umask, flags):
    before = os.umask(umask)
    try:
        os.close(open_private(tmp_path / "file", os.O_RDWR | flags))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_file_that_its_owner_has_opened_to_others_keeps_its_mode(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "file").chmod(0o640)
    os.close(open_private(tmp_path / "file", os.O_RDWR | os.O_CREAT))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


# --- syncs of other systems ---


@pytest.fixture
def calls(monkeypatch):
    """Return the syncs that are made, in order."""
    calls = []
    monkeypatch.setattr(os, "fsync", lambda _fd: calls.append("fsync"))
    return calls


def test_without_fdatasync_fsync_is_used(monkeypatch, calls):
    monkeypatch.delattr(os, "fdatasync")
    durable.sync_data(0)
    assert calls == ["fsync"]


@pytest.mark.parametrize("sync", [durable.sync_data, durable.sync])
def test_where_fsync_leaves_data_in_the_drive_the_full_sync_is_used(monkeypatch, calls, sync):
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _fd, what: calls.append(what))
    sync(0)
    assert calls == [51]


def test_where_the_full_sync_is_not_supported_fsync_is_used(monkeypatch, calls):
    def unsupported(_fd, _what):
        raise OSError(45, "Operation not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", unsupported)
    durable.sync(0)
    assert calls == ["fsync"]


def test_without_pwritev_the_same_bytes_are_written(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "pwritev")
    part = OpenPart(tmp_path, PartState("records", 1), Compression.NONE)
    for line in (b"first\n", b"second\n"):
        part.append([line, line])
        part.advance()
    part.close()
    assert part.path.read_bytes() == b"first\nfirst\nsecond\nsecond\n"


def test_where_there_is_no_poll_it_is_known_whether_standard_error_takes_a_line(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    monkeypatch.delattr(select, "poll")
    with open(writer, "w") as pipe:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stderr", pipe)
        assert takes_a_line()
        os.write(writer, b"x" * 10_000_000)  # as much as it takes
        assert not takes_a_line()
        os.close(reader)


# --- paths ---


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("export", "export"),
        ("~/export", "/home/me/export"),
        ("~", "/home/me"),
        ("a~b/~", "a~b/~"),
        ("/data/s3:/x", "/data/s3:/x"),
        ("2026-11-27T03:00", "2026-11-27T03:00"),
        ("night:1", "night:1"),
        ("a b\nc", "a b\nc"),
    ],
)
def test_a_local_path_is_unchanged_except_for_its_tilde(given, path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert local_path(given, "It") == Path(path)
    assert local_path(Path(given), "It") == Path(path)


URLS = ["s3://b/x", Path("s3://b/x"), "HTTPS://x", "gs:b", "x+y:/z"]


@pytest.mark.parametrize("given", [*URLS, "file:///x", "me@host:/x", " 's3://b/x'"])
def test_a_url_is_refused_as_text_and_as_path(given):
    with pytest.raises(UsageError, match=r"The export .* is a URL, and only local paths"):
        local_path(given, "The export")
