"""manifest.json: the contents of an output directory, for programs that load it."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from cxai.output.compression import Compression
from cxai.output.part_state import PartState, part_name
from cxai.version import __version__

MANIFEST_NAME = "manifest.json"

_OF_A_PART = ("set", "bytes", "records", "sha256", "run_id")


def manifest(
    parts: Iterable[PartState],
    compression: Compression,
    verdicts: Mapping[str, int],
    run: Mapping[str, Any],
) -> bytes:
    """Return the manifest: every finished part with its checksum; verdicts; the last run.

    In it, `parts` are those whose files exist; `released_parts` are those that `cxai prune`
    released: their files may be gone, but their rows still belong to the export. `run_id` is the
    run that finished a part: the part is first in a manifest of that run, and never changes
    afterwards. `run` is the report of the last run, which may be under way.
    """
    entries: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for part in parts:
        if not part.sealed or part.run_id is None:
            continue
        entry: dict[str, Any] = {"file": part_name(part, compression)}
        entry |= {name: getattr(part, name) for name in _OF_A_PART}
        if part.is_released:
            entry["released_at"] = part.released_at
        entries[part.is_released].append(entry)
    content = {
        "written_by": f"cxai-worker {__version__}",
        "parts": entries[False],
        "released_parts": entries[True],
        "verdicts": dict(verdicts),
        "last_run": dict(run),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
