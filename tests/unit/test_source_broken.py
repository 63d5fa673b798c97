"""Files that change, disappear or turn out to be damaged during a run."""

import errno
import gzip
import os

import pytest
from backports import zstd
from support.inputs import TEXT, A, B, C, as_stdin, source

from cxai.errors import InputBrokenError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def append_to(path):
    with path.open("a") as file:
        file.write(f"{B}\n")


def replace(path):
    (path.parent / "new").write_text(f"{C}\n")
    (path.parent / "new").replace(path)


@pytest.mark.promise(
    "An input file is emptied, truncated, rewritten, replace or appended to during a run",
    "what was read counts; exit code 4 with its name; rerun the same command to read the rest",
    group="Input",
)
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(""),
        lambda path: os.truncate(path, len(TEXT) * 3_000),
        lambda path: path.write_text(f"{B}\n" * 6_000),
        append_to,
        replace,
    ],
    ids=["emptied", "truncated", "rewritten", "appended to", "replace"],
)
@pytest.mark.parametrize("when", ["before it is opened", "while it is read"])
def test_a_file_that_changes_during_a_run_breaks_the_input(tmp_path, change, when):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT * 6_000)  # several reads
    reading = source(path)
    reading.check()
    blocks = reading.blocks()
    if when == "while it is read":
        next(blocks)
        if change is replace:  # what was opened is still there
            change(path)
            assert sum(map(len, blocks)) > 1_000
            return
    change(path)
    with pytest.raises(InputBrokenError, match=r"ids\.txt changed while it was being read"):
        list(blocks)


@pytest.mark.promise(
    "An input file that is truncated (a damaged `.gz`)",
    "its intact part is processed; then the run stops with its name and line",
    group="Input",
)
@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_truncated_file_yields_its_whole_lines_and_then_fails_with_the_line(tmp_path, compress):
    lines = [f"{number:08x}-0000-0000-0000-{number * 7919:012x}" for number in range(1_000)]
    path = tmp_path / "ids.txt"
    path.write_bytes(compress("\n".join(lines).encode())[:-1_000])
    blocks = []
    with pytest.raises(InputBrokenError) as raised:
        blocks.extend(source(path).blocks())
    found = [entry.id for block in blocks for entry in block]
    assert found == lines[: len(found)]
    assert f"{path} can't be read after line {len(found):,}: its " in str(raised.value)
    assert " data is truncated. " in str(raised.value)


def test_a_file_that_disappears_after_the_check_breaks_the_input(tmp_path):
    (tmp_path / "1.txt").write_text(TEXT)
    blocks = source(tmp_path / "1.txt", tmp_path / "2.txt").blocks()
    assert [entry.id for entry in next(blocks)] == [A]
    with pytest.raises(InputBrokenError, match=r"2.txt can't be opened: No such file"):
        next(blocks)


async def test_a_read_error_contains_the_name_of_the_input(tmp_path):
    with as_stdin(os.open(tmp_path, os.O_RDONLY)):
        with pytest.raises(InputBrokenError, match="<stdin> can't be opened: Is a directory"):
            await anext(source().batches())
        os.dup2(2, 0)
        os.close(0)
        with pytest.raises(InputBrokenError, match=os.strerror(errno.EBADF)):
            await anext(source().batches())
