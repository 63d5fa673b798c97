"""manifest.json: what an output directory holds, for whoever loads it."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from worker import __version__
from worker.output.compression import Compression
from worker.output.parts import PartState, part_name

MANIFEST_NAME = "manifest.json"


def manifest(
    parts: Iterable[PartState],
    added: Mapping[tuple[str, int], str],
    compression: Compression,
    verdicts: Mapping[str, int],
    run: Mapping[str, Any],
) -> bytes:
    """Return the manifest: every sealed part with its checksum; verdicts; the last run.

    `added` has the ID of the run that added a part, by its set and number: a part is in the
    manifest of that run first, and never changes afterwards.
    """
    content = {
        "written_by": f"cxai-worker {__version__}",
        "parts": [
            {
                "file": part_name(part, compression),
                "set": part.set,
                "bytes": part.bytes,
                "records": part.records,
                "sha256": part.sha256,
                "run_id": added[part.set, part.number],
            }
            for part in parts
            if part.sealed
        ],
        "verdicts": dict(verdicts),
        "last_run": dict(run),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
