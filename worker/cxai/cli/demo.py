"""The demo: an export of made-up IDs from a simulator in the same process."""

import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path

from cxai.cli.options import settings_of
from cxai.cli.process import export_as_command
from cxai.core.entry import IdRule
from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError
from cxai.inspect.report import Report
from cxai.output.contents import DEMO_INPUT, DEMO_MARK
from cxai.output.local_path import local_path
from cxai.output.private import make_directories, open_private
from cxai.simulator import Scenario, Simulator
from cxai.sources.file import FileSource

_TOKEN = "demo-token"  # noqa: S105 - of the simulator, which is in this process

_SCENARIO = Scenario(
    latency_s=0.05,
    missing=0.02,
    processing=0.01,
    failed=0.01,
    throttled=0.01,
    erring=0.03,
    slow=0.02,
    corrupt=0.02,
)

_REWRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

# The simulator needs no 30 s between status checks.
_SETTINGS = {"recheck_s": 1.0, "backoff_base_s": 0.2, "progress_s": 2.0}


def demo_input(ids: int, seed: int = 1) -> Iterator[str]:
    """Yield the lines of a realistic input: `ids` GUIDs, comments, duplicates and one bad line."""
    chance = random.Random(seed)  # noqa: S311 - made-up IDs
    yield "# interactions of last night"
    earlier = ""
    for number in range(ids):
        interaction_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield interaction_id
        if number % 60 == 30:  # noqa: PLR2004
            yield earlier  # a duplicate
        if number % 100 == 50:  # noqa: PLR2004
            yield ""
        earlier = interaction_id
    yield "not-an-interaction-id"


async def demo_export(output: Path, ids: int, rate: str, progress: str | None) -> Report:
    """Export made-up IDs from a simulator over real HTTP, and return the run's report."""
    output = local_path(output, "The output directory")
    async with Simulator(_SCENARIO, token=_TOKEN) as simulator:
        settings = settings_of(
            {
                **_SETTINGS,
                "base_url": simulator.base_url,
                "rate": rate,
                "progress": progress,
                "max_failed": float(f"{2 / (ids + 1):.1g}"),  # for the one line without an ID
            }
        )
        source = FileSource([str(_write_input(output, ids))], IdRule())
        return await export_as_command(settings, source, output, SecretStr(_TOKEN))


def _write_input(output: Path, ids: int) -> Path:
    path = output / DEMO_INPUT
    try:
        if output.is_dir() and any(output.iterdir()) and not (output / DEMO_MARK).exists():
            raise UsageError(
                f"{output} contains files that the demo did not write. Choose another --output."
            )
        make_directories(output, [])
        os.close(open_private(output / DEMO_MARK, _REWRITE))
        with open(open_private(path, _REWRITE), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write("\n".join(demo_input(ids)))
    except OSError as error:
        raise UsageError(f"Can't write the demo's input {path}: {error.strerror}.") from None
    return path
