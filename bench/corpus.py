"""What is asked for and what is sent: 256 made-up results, and IDs that choose among them.

`python -m bench.corpus DIR` writes the bodies: `00.json` to `ff.json`, each also as `.br`
(quality 5) and `.gz` (level 6). Always the same bytes. Of ten bodies three have about 5 kB (one
channel), five 20 kB (a call of some minutes) and two 60 kB (a long one); with `--short` all are of
the first kind.

A process of its own writes them, since the measuring process has to stay small: Linux counts its
memory at the start of a command as that command's.
"""

import json
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

BODIES = 256

_SHORT, _MEDIUM, _LONG = 0, 18, 215
"""Segments a side; without any, there is one channel only."""

_CLASSES = (_SHORT,) * 3 + (_MEDIUM,) * 5 + (_LONG,) * 2


def ids(count: int) -> Iterator[str]:
    """Yield `count` GUIDs, always the same, whose last two hex digits choose the body."""
    draw = Random(2026)
    for _ in range(count):
        yield str(uuid.UUID(int=draw.getrandbits(128), version=4))


def body_name(interaction_id: str) -> str:
    """Return which body answers for an ID: `00` to `ff`."""
    return interaction_id[-2:]


def body(directory: Path, interaction_id: str) -> dict[str, Any]:
    """Return the result that is sent for an ID."""
    result: dict[str, Any] = json.loads(
        (directory / f"{body_name(interaction_id)}.json").read_bytes()
    )
    return result


def write(directory: Path, classes: Sequence[int] = _CLASSES) -> None:
    """Write all bodies."""
    import gzip  # noqa: PLC0415 - the measuring process imports this file, and stays small

    import brotli  # noqa: PLC0415
    import orjson  # noqa: PLC0415

    from cxai.simulator.bodies import one_channel, two_channels  # noqa: PLC0415

    directory.mkdir(parents=True, exist_ok=True)
    for number in range(BODIES):
        draw = Random(f"bench:{number}")
        segments = classes[number % len(classes)]
        if segments:
            result = two_channels(draw, draw.randrange(segments * 9 // 10, segments * 11 // 10))
        else:
            result = one_channel(draw)
        raw = orjson.dumps(result)
        file = directory / f"{number:02x}.json"
        file.write_bytes(raw)
        Path(f"{file}.br").write_bytes(brotli.compress(raw, quality=5))
        Path(f"{file}.gz").write_bytes(gzip.compress(raw, compresslevel=6, mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]), (_SHORT,) if "--short" in sys.argv else _CLASSES)
