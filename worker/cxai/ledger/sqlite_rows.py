"""Values as rows of the ledger's tables, and back: what is read is what was written."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from cxai.core.entry import Entry, Fault
from cxai.core.layout import BandsMark, Layout
from cxai.core.timestamp import in_one_format
from cxai.errors import IntegrityError
from cxai.ledger.form import ExportForm
from cxai.ledger.port import Key, Run
from cxai.output.compression import Compression
from cxai.output.part_state import Extent, PartState


def row_of_form(form: ExportForm) -> dict[str, Any]:
    """Return the row of a form, by columns."""
    return {
        "resource": form.layout.resource,
        "shape": str(form.shape),
        "compression": form.compression.value,
        "origin": form.origin,
        "bands": form.bands.digest,
        "bands_name": form.bands.name,
    }


def form_of(row: Sequence[Any], layout: Layout, directory: Path) -> ExportForm:
    """Return the form in a row, but for its resource. Raises IntegrityError if it is damaged."""
    shape, compression, origin, bands, bands_name = row
    for value, known in ((shape, layout.shapes), (compression, frozenset(Compression))):
        if value not in known:
            raise IntegrityError(f"{directory}: the ledger is damaged ({value!r} is unknown).")
    return ExportForm(layout, shape, Compression(compression), origin, BandsMark(bands, bands_name))


def row_of_entry(entry: Entry) -> tuple[Any, ...]:
    """Return the row of an entry in the inbox, without its position."""
    fault = entry.invalid
    reason = (None, None) if fault is None else (fault.kind, fault.detail)
    return entry.key, entry.id, text_as_bytes(entry.source), entry.line, *reason


def entry_of(row: Sequence[Any]) -> Entry:
    """Return the entry in a row of the inbox, without its position."""
    key, interaction_id, source, line, kind, detail = row
    fault = None if kind is None else Fault(kind, detail)
    name = source.decode("utf-8", "surrogatepass")
    return Entry(key, _id_of(key) if interaction_id is None else interaction_id, name, line, fault)


def text_as_bytes(text: str) -> bytes:
    """Return a text that may not be Unicode, such as the name of a file, as bytes."""
    return text.encode("utf-8", "surrogatepass")


def _id_of(key: Key) -> str:
    return str(uuid.UUID(bytes=key)) if isinstance(key, bytes) else key


def name_of(part: PartState) -> dict[str, Any]:
    """Return the columns that identify a part."""
    return {"set": part.set, "number": part.number}


def row_of_part(part: PartState) -> dict[str, Any]:
    """Return the row of a part, by columns."""
    amounts = {"bytes": part.bytes, "records": part.records, "sha256": part.sha256}
    return {**name_of(part), **amounts, "sealed": part.sealed}


def row_of_extent(extent: Extent) -> dict[str, Any]:
    """Return the row of an extent, by columns."""
    return {**name_of(extent.after), "offset": extent.offset, "crc32": extent.crc32}


def part_of(row: Sequence[Any]) -> PartState:
    """Return the part in a row of `read_parts`."""
    name, number, size, records, sha256, sealed, released_at, run_id = row
    return PartState(name, number, size, records, sha256, bool(sealed), released_at, run_id)


def run_of(row: Sequence[Any]) -> Run:
    """Return the run in a row of `read_runs`."""
    number, run_id, started_at, seen_at, settled, ended, tally = row
    times = in_one_format(started_at), in_one_format(seen_at)
    return Run(number, run_id, *times, settled, ended, _report(tally))


def _report(tally: str | None) -> Mapping[str, Any]:
    try:
        report = orjson.loads(tally or "{}")
    except orjson.JSONDecodeError:
        return {}
    return report if isinstance(report, dict) else {}
