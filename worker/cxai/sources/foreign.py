"""Formats that are not supported but often given, recognized by their first bytes."""

import re
import shlex
from collections.abc import Iterator

from cxai.errors import UsageError
from cxai.sources.paths import STDIN_NAME

# A line of text ends within this many bytes; a tar archive is marked at byte 257.
_ENOUGH_BYTES = 512
_MATCHED_BYTES = 4_096

_UNPACK = "Unpack it first."
_EXPORT = "Export its IDs to a text or CSV file first."
_PIPE = "Decompress it: `%s {path} | cxai run …`."
_EACH = (
    "Write each object to its own line: `jq -c . {path} > ids.jsonl`. If the IDs are in an array"
    " inside it, extract that array, for example with `jq -c '.items[]'`."
)

# What it is, how it begins, and what to do about it.
_FORMATS = (
    ("a ZIP archive or a spreadsheet (.xlsx, .ods)", rb"PK(\x03\x04|\x05\x06|\x07\x08)",
     "Save the spreadsheet as CSV UTF-8, or unpack the archive."),
    ("an Excel workbook (.xls) or another OLE file", rb"\xd0\xcf\x11\xe0", "Save it as CSV UTF-8."),
    ("xz data", rb"\xfd7zXZ\x00", _PIPE % "xz -dc"),
    ("bzip2 data", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", _PIPE % "bzip2 -dc"),
    ("lz4 data", rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18", _PIPE % "lz4 -dc"),
    ("compress data (.Z)", rb"\x1f[\x9d\xa0]", _PIPE % "uncompress -c"),
    ("lzip data", rb"LZIP[\x00\x01]", _PIPE % "lzip -dc"),
    ("snappy data", rb"\xff\x06\x00\x00sNaPpY", _UNPACK),
    ("compressed twice", rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd",
     "Decompress it once: `gzip -dc {path} | cxai run …` (or `zstd -dc`)."),
    ("a 7z archive", rb"7z\xbc\xaf\x27\x1c", _UNPACK),
    ("a RAR archive", rb"Rar!\x1a\x07", _UNPACK),
    ("a cabinet archive", rb"MSCF\x00", _UNPACK),
    ("a tar archive", rb"(?s).{257}ustar", "Unpack it and name the files in it."),
    ("a Parquet file", rb"PAR1(?![ -~])|PARE", _EXPORT),
    ("an Arrow or Feather file", rb"ARROW1\x00|FEA1(?![ -~])|\xff\xff\xff\xff", _EXPORT),
    ("an Avro file", rb"Obj\x01", _EXPORT),
    ("an ORC file", rb"ORC\s?[^\s -~]", _EXPORT),
    ("an SQLite database", rb"SQLite format 3\x00", _EXPORT),
    ("an Access database", rb"\x00\x01\x00\x00Standard ", _EXPORT),
    ("a PostgreSQL dump", rb"PGDMP|PGCOPY\n\xff", _EXPORT),
    ("an HDF5 file", rb"\x89HDF\r\n", _EXPORT),
    ("a NumPy array", rb"\x93NUMPY", _EXPORT),
    ("a Python pickle", rb"\x80[\x02-\x05]", _EXPORT),
    ("serialized Java objects", rb"\xac\xed\x00\x05", _EXPORT),
    ("a PDF document", rb"%PDF-", _EXPORT),
    ("an RTF document", rb"\{\\rtf", _EXPORT),
    ("PEM or PGP data", rb"-----BEGIN ", _EXPORT),
    ("an image", rb"(?s)\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", _EXPORT),
    ("an audio file", rb"(?s)RIFF....WAVE|ID3[\x02-\x04]|OggS\x00|fLaC\x00|\xff[\xfb\xf3\xf2]",
     "Name the list of IDs instead."),
    ("a program", rb"\x7fELF|MZ\x90\x00|\xcf\xfa\xed\xfe", "Name another file."),
    ("an HTML page", rb"(?is)\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b",
     "It may be an error page or a log-in page, saved in place of the list."),
    ("an XML document", rb"(?i)\s*<(\?xml\b|[a-z][\w:.-]*(\s[^<>]*)?/?>\s*(<|[\r\n]|$))", _EXPORT),
    ("a JSON array, not JSON Lines", rb"\s*\[\s*([{\[\"\]]|$)",
     "Convert it: `jq -c '.[]' {path} > ids.jsonl`."),
    ("one JSON document over several lines, not JSON Lines", rb"\s*\{\s*[\r\n]", _EACH),
    ("a damaged file that starts with NUL bytes", rb"\x00{8}", "Create it again."),
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
    for what, beginning, advice in _FORMATS:
        if re.match(beginning, head[:_MATCHED_BYTES]):
            return f"{what}. {advice.replace('{path}', path)}"
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
