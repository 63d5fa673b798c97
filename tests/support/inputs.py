"""Inputs for tests of file sources: files, pipes and standard input."""

import os
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import PATIENCE_S

from cxai.core.entry import IdRule, IgnoredLine
from cxai.errors import UsageError
from cxai.sources.file import FileSource

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"
C = "0aa52d6b-6a5d-4fc5-bd3d-5c50f3e4b9d7"
TEXT = f"{A}\n"
CSV = f"n,interaction_id\n1,{A}\n"
JSONL = f'{{"interaction_id":"{A}"}}\n'


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def as_stdin(descriptor):
    """Make `descriptor` standard input, and close it afterwards."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@contextmanager
def piped():
    """Yield the writing end of a pipe whose other end is standard input."""
    end, start = os.pipe()
    with as_stdin(end), os.fdopen(start, "wb", buffering=0) as pipe:
        yield pipe


def source(*paths, rule=None, **kind):
    return FileSource([str(path) for path in paths], rule or IdRule(), **kind)


def ids(file_source):
    """Return (file's last name, line, ID or reason) of all items."""
    return [
        (Path(entry.source).name, entry.line, str(entry.invalid or entry.id))
        for block in file_source.blocks()
        for entry in block
        if not isinstance(entry, IgnoredLine)
    ]


def refusal(file_source):
    with pytest.raises(UsageError) as raised:
        file_source.check()
    return str(raised.value)


def check_as(how, path, **kind):
    """Check a file's content as a file, on standard input from a pipe, or as a named pipe."""
    content = path.read_bytes()
    if how == "file":
        return source(path, **kind).check()
    if how == "named pipe":
        path.unlink()
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
        writer.start()
        try:
            return source(path, **kind).check()
        finally:
            writer.join(PATIENCE_S)
    with piped() as pipe:
        pipe.write(content)
        pipe.close()
        return source(**kind).check()


PLACES = ["file", "standard input", "named pipe"]
