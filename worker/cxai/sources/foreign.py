"""Formats that are not supported but often given, recognized by their first bytes."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from cxai.errors import UsageError
from cxai.sources.paths import STDIN_NAME

# A line of text ends within this many bytes; a tar archive is marked at byte 257.
_ENOUGH_BYTES = 512
_MATCHED_BYTES = 4_096

_UNPACK = "Unpack it first."
_EXPORT = "Export its IDs to a text or CSV file first."
_JQ = "`jq -c '.[]' {path} > ids.jsonl`."


@dataclass(frozen=True, slots=True)
class _Format:
    what: str
    beginning: re.Pattern[bytes]
    advice: str = _EXPORT


_FORMATS = (
    _Format("a ZIP archive or a spreadsheet (.xlsx, .ods)",
            re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
            "Save the spreadsheet as CSV UTF-8, or unpack the archive."),
    _Format("an Excel workbook (.xls) or another OLE file", re.compile(rb"\xd0\xcf\x11\xe0"),
            "Save it as CSV UTF-8."),
    _Format("xz data", re.compile(rb"\xfd7zXZ\x00"),
            "Decompress it: `xz -dc {path} | cxai run …`."),
    _Format("bzip2 data", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
            "Decompress it: `bzip2 -dc {path} | cxai run …`."),
    _Format("lz4 data", re.compile(rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18"),
            "Decompress it: `lz4 -dc {path} | cxai run …`."),
    _Format("compress data (.Z)", re.compile(rb"\x1f[\x9d\xa0]"),
            "Decompress it: `uncompress -c {path} | cxai run …`."),
    _Format("lzip data", re.compile(rb"LZIP[\x00\x01]"),
            "Decompress it: `lzip -dc {path} | cxai run …`."),
    _Format("snappy data", re.compile(rb"\xff\x06\x00\x00sNaPpY"), _UNPACK),
    _Format("compressed twice", re.compile(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd"),
            "Decompress it once: `gzip -dc {path} | cxai run …` (or `zstd -dc`)."),
    _Format("a 7z archive", re.compile(rb"7z\xbc\xaf\x27\x1c"), _UNPACK),
    _Format("a RAR archive", re.compile(rb"Rar!\x1a\x07"), _UNPACK),
    _Format("a cabinet archive", re.compile(rb"MSCF\x00"), _UNPACK),
    _Format("a tar archive", re.compile(rb".{257}ustar", re.DOTALL),
            "Unpack it and name the files in it."),
    _Format("a Parquet file", re.compile(rb"PAR1(?![ -~])|PARE")),
    _Format("an Arrow or Feather file", re.compile(rb"ARROW1\x00|FEA1(?![ -~])|\xff\xff\xff\xff")),
    _Format("an Avro file", re.compile(rb"Obj\x01")),
    _Format("an ORC file", re.compile(rb"ORC\s?[^\s -~]")),
    _Format("an SQLite database", re.compile(rb"SQLite format 3\x00")),
    _Format("an Access database", re.compile(rb"\x00\x01\x00\x00Standard ")),
    _Format("a PostgreSQL dump", re.compile(rb"PGDMP|PGCOPY\n\xff")),
    _Format("an HDF5 file", re.compile(rb"\x89HDF\r\n")),
    _Format("a NumPy array", re.compile(rb"\x93NUMPY")),
    _Format("a Python pickle", re.compile(rb"\x80[\x02-\x05]")),
    _Format("serialized Java objects", re.compile(rb"\xac\xed\x00\x05")),
    _Format("a PDF document", re.compile(rb"%PDF-")),
    _Format("an RTF document", re.compile(rb"\{\\rtf")),
    _Format("PEM or PGP data", re.compile(rb"-----BEGIN ")),
    _Format("an image", re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL)),
    _Format("an audio file",
            re.compile(rb"RIFF....WAVE|ID3[\x02-\x04]|OggS\x00|fLaC\x00|\xff[\xfb\xf3\xf2]",
                       re.DOTALL),
            "Name the list of IDs instead."),
    _Format("a program", re.compile(rb"\x7fELF|MZ\x90\x00|\xcf\xfa\xed\xfe"), "Name another file."),
    _Format("an HTML page",
            re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b",
                       re.IGNORECASE | re.DOTALL),
            "It may be an error page or a log-in page, saved in place of the list."),
    _Format("an XML document", re.compile(
        rb"\s*<(\?xml\b|[a-z][\w:.-]*(\s[^<>]*)?/?>\s*(<|[\r\n]|$))", re.IGNORECASE)),
    _Format("a JSON array, not JSON Lines", re.compile(rb"\s*\[\s*([{\[\"\]]|$)"),
            f"Convert it: {_JQ}"),
    _Format("one JSON document over several lines, not JSON Lines", re.compile(rb"\s*\{\s*[\r\n]"),
            "Write each object to its own line: `jq -c . {path} > ids.jsonl`. If the IDs are in"
            " an array inside it, extract that array, for example with `jq -c '.items[]'`."),
    _Format("a damaged file that starts with NUL bytes", re.compile(rb"\x00{8}"),
            "Create it again."),
)  # fmt: skip


# Which of four bytes are NUL in ASCII text without a byte order mark.
_BY_NULS = {"x0x0": "UTF-16LE", "0x0x": "UTF-16BE", "x000": "UTF-32LE", "000x": "UTF-32BE"}


def without_foreign(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the chunks of an input. Raises UsageError if they start like a foreign format.

    It waits for the first line, or 512 bytes of it, and no more.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        begun = head.lstrip(b"\r\n")
        if len(head) >= _ENOUGH_BYTES or b"\n" in begun or b"\r" in begun:
            break
    if (foreign := _foreign(head, name)) is not None:
        raise UsageError(
            f"{name} is {foreign} Supported are text, CSV and JSON Lines in UTF-8, plain or"
            " compressed with gzip or zstd."
        )
    if head:
        yield head
    yield from chunks


def _foreign(head: bytes, name: str) -> str | None:
    """Return the name of an unsupported format and what to do about it, None for others."""
    path = "FILE" if name == STDIN_NAME else shlex.quote(name)
    if (encoding := _wide_encoding(head)) is not None:
        return f"{encoding} text. Convert it: `iconv -f {encoding} -t UTF-8 {path} > NEW_FILE`."
    for known in _FORMATS:
        if known.beginning.match(head[:_MATCHED_BYTES]):
            return f"{known.what}. {known.advice.replace('{path}', path)}"
    return None


def _wide_encoding(head: bytes) -> str | None:
    """Recognize UTF-16 and UTF-32 by the byte order mark, or by the NULs in ASCII text."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\x00" in head:
        return "UTF-16"
    units = head[: min(len(head), 64) // 4 * 4]
    if len(units) < 8:  # noqa: PLR2004 - too few to judge
        return None
    columns = [set(units[at::4]) for at in range(4)]
    pattern = "".join("0" if each == {0} else "x" if 0 not in each else "?" for each in columns)
    return _BY_NULS.get(pattern)
