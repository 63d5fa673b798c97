"""Every command of the how-to pages, typed in the order of its page."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import environment

ROOT = Path(__file__).parents[2]
PAGES = ["first-export", "nightly-job", "backfill", "resume-and-repair"]


def sections(page):
    """Yield the heading and the commands of each section of a page."""
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
        yield section.splitlines()[0], "".join(blocks)


def lose_a_part(directory):
    (directory / "export" / "records-000001.jsonl").unlink()


BEFORE = {"A part is lost or damaged": lose_a_part}
"""What has happened when a section is read."""


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_in_their_order(page, simulated, guids, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "ids.txt").write_text("\n".join(guids(5)))
    (tmp_path / "ids-2026-11-25.csv").write_text("\n".join(["interaction_id", *guids(5)]))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with simulated() as api:
        env = environment(CXAI_BASE_URL=api.base_url, CXAI_RATE="1000", PATH=path)
        for heading, commands in sections(page):
            BEFORE.get(heading, lambda _: None)(tmp_path)
            ended = subprocess.run(
                ["bash", "-e"],  # noqa: S607
                input=commands.encode(), cwd=tmp_path, env=env, capture_output=True, check=False,
            )  # fmt: skip
            assert ended.returncode == 0, (heading, ended.stdout, ended.stderr)
