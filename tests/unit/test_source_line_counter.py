import gzip
import threading

import pytest
from support.waiting import wait_until_blocking

from cxai.core.entry import IdRule
from cxai.sources.line_counter import LineCounter
from cxai.sources.text import items_of_text

CONTENTS = [
    b"",
    b"a",
    b"a\n",
    b"a\r",
    b"a\r\nb",
    b"a\rb\nc\r\n",
    b"\r\r\n",
    b"# x\ra\r\n\n",
    b"\n\r",
]


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("content", CONTENTS)
def test_the_lines_counted_are_those_that_the_run_reads(tmp_path, content, compress):
    path = tmp_path / "ids.txt"
    path.write_bytes(compress(content))
    line_counter = LineCounter([str(path), str(path)])
    line_counter.start()
    wait_until_blocking(lambda: line_counter.lines is not None)
    read = [item for block in items_of_text(iter([content]), "ids", IdRule()) for item in block]
    assert line_counter.lines == 2 * len(read)


@pytest.mark.parametrize(
    ("name", "column"), [("ids.csv", None), ("ids.tsv.gz", None), ("ids", "id")]
)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_header_row_of_csv_is_not_counted(tmp_path, name, column, rows):
    path = tmp_path / name
    path.write_text("id\n" + "a\n" * rows)
    line_counter = LineCounter([str(path)], column=column)
    line_counter.start()
    wait_until_blocking(lambda: line_counter.lines is not None)
    assert line_counter.lines == rows


@pytest.mark.parametrize("names", [[], ["-"], ["ids.txt", "-"], ["redis://host/0"], ["missing"]])
def test_the_number_of_lines_is_unknown_without_regular_files(tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("a\n")
    line_counter = LineCounter(names)
    line_counter.start()
    wait_until_blocking(
        lambda: "line-counter" not in [thread.name for thread in threading.enumerate()]
    )
    assert line_counter.lines is None
