import gzip

import pytest
from support.waiting import wait_until_blocking

from cxai.core.entry import IdRule
from cxai.sources.census import Census
from cxai.sources.file import FileSource
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
def test_the_lines_counted_beside_the_run_are_those_that_the_run_reads(tmp_path, content, compress):
    path = tmp_path / "ids.txt"
    path.write_bytes(compress(content))
    census = Census(FileSource([str(path), str(path)], IdRule()).paths)
    census.start()
    wait_until_blocking(lambda: census.lines is not None)
    read = [item for block in items_of_text(iter([content]), "ids", IdRule()) for item in block]
    assert census.lines == 2 * len(read)
