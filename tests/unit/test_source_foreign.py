"""Unsupported formats, recognized by their first bytes."""

import gzip

import pytest
from backports import zstd
from support.inputs import TEXT, A, check_as, ids, source

from cxai.errors import UsageError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def wide(encoding, mark=b""):
    return mark + f"interaction_id\r\n{A}\r\n".encode(encoding)


FOREIGN = [
    (wide("utf-16-le", b"\xff\xfe"), "UTF-16 text. Convert it: `iconv -f UTF-16 -t UTF-8 "),
    (wide("utf-16-be", b"\xfe\xff"), "UTF-16 text."),
    ("\ufeff\u4e2d\u6587\r\n".encode("utf-16-le"), "UTF-16 text."),
    (wide("utf-16-le"), "UTF-16LE text. Convert it: `iconv -f UTF-16LE -t UTF-8 "),
    (wide("utf-16-be"), "UTF-16BE text."),
    (wide("utf-32-le", b"\xff\xfe\0\0"), "UTF-32 text."),
    (wide("utf-32-be", b"\0\0\xfe\xff"), "UTF-32 text."),
    (wide("utf-32-le"), "UTF-32LE text."),
    (wide("utf-32-be"), "UTF-32BE text."),
    (b"PK\x03\x04\x14\0", "a ZIP archive or a spreadsheet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"PAR1\x15\x04\x15", "a Parquet file"),
    (b"ARROW1\0\0", "an Arrow or Feather file"),
    (b"Obj\x01\x04\x14", "an Avro file"),
    (b"ORC\n\x03", "an ORC file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x80\x04\x95\x10\0", "a Python pickle"),
    (b"%PDF-1.7\n", "a PDF document"),
    (b"\xfd7zXZ\0\0", "xz data. Decompress it: `xz -dc "),
    (b"BZh91AY&SY", "bzip2 data. Decompress it: `bzip2 -dc "),
    (b"\x04\x22\x4d\x18d", "lz4 data"),
    (b"\x1f\x9d\x90", "compress data (.Z)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07\x01", "a RAR archive"),
    (b"ids.txt".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"), "a tar archive"),
    (gzip.compress(TEXT.encode()), "compressed twice"),
    (zstd.compress(TEXT.encode()), "compressed twice"),
    (b"<!DOCTYPE html>\n<html>", "an HTML page"),
    (b"\n <HTML lang=en><body>", "an HTML page"),
    (b"<!-- x -->\n<html>", "an HTML page"),
    (b'<?xml version="1.0"?>\n', "an XML document"),
    (b"<calls>\n<call/>", "an XML document"),
    (f'["{A}"]'.encode(), "a JSON array, not JSON Lines. Convert it: `jq -c '.[]' "),
    (b'[\n  {"interaction_id": "', "a JSON array"),
    (b"[]", "a JSON array"),
    (b'{\n  "interaction_id": "x"', "one JSON document over several lines"),
    (b"\x89PNG\r\n\x1a\n", "an image"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "an audio file"),
    (b"\0" * 4096, "a damaged file that starts with NUL bytes. Create it again."),
]


@pytest.mark.promise(
    "UTF-16 and UTF-32 with and without a byte order mark, Parquet, Excel, ZIP, HTML, XML, a JSON"
    " array and other formats, in a file or on standard input",
    "recognized by the first bytes: exit code 2 before anything is written, with a command that"
    " converts it",
    group="Input",
)
@pytest.mark.parametrize(("content", "what"), FOREIGN, ids=[what for _, what in FOREIGN])
@pytest.mark.parametrize(
    "kind", [{}, {"column": "id"}, {"field": "id"}], ids=["text", "csv", "jsonl"]
)
def test_a_foreign_format_is_recognized_by_its_first_bytes(tmp_path, content, what, kind):
    path = tmp_path / "ids"
    for data in (content, gzip.compress(content)):
        if content[:2] in (b"\x1f\x8b", b"\x28\xb5") and data is content:
            continue  # that is compressed once
        path.write_bytes(data)
        with pytest.raises(UsageError) as raised:
            check_as("file", path, **kind)
        assert str(raised.value).startswith(f"{path} is {what}")
        with pytest.raises(UsageError, match=r"^<stdin> is ") as raised:
            check_as("standard input", path, **kind)
        assert "<stdin> >" not in str(raised.value)  # a command that can't be typed


@pytest.mark.parametrize(
    "content",
    [f"ORCID,id\n1,{A}\n", f"PAR1,id\n1,{A}\n", f"<x>,id\n1,{A}\n", f"[x],id\n1,{A}\n"],
)
def test_a_header_that_resembles_a_foreign_format_is_accepted(tmp_path, content):
    path = tmp_path / "ids.csv"
    path.write_text(content)
    source(path, column="id").check()


def test_invalid_utf8_at_the_beginning_is_a_line_and_not_a_format(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xff\xfe\n" + TEXT.encode())
    reader = source(path)
    reader.check()
    assert [line for _, line, _ in ids(reader)] == [1, 2]
