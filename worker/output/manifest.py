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
    compression: Compression,
    verdicts: Mapping[str, int],
    run: Mapping[str, Any],
) -> bytes:
    """Return the manifest: every part with bytes, records and SHA-256; verdicts; the last run."""
    content = {
        "written_by": f"cxai-worker {__version__}",
        "parts": [
            {
                "file": part_name(part, compression),
                "set": part.set,
                "bytes": part.bytes,
                "records": part.records,
                "sha256": part.sha256,
            }
            for part in parts
            if part.bytes
        ],
        "verdicts": dict(verdicts),
        "last_run": dict(run),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
