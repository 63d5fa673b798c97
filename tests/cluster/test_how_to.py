"""Every command of docs/how-to/many-machines.md, typed in the order of the page."""

import re
import shlex
from pathlib import Path

import pytest
from support.command import cxai, environment

pytestmark = pytest.mark.long(8)

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "many-machines.md"


def commands(**real):
    """Yield the arguments of each `cxai` on the page, with real places instead of its examples."""
    text = PAGE.read_text()
    for example, place in real.values():
        assert example in text
        text = text.replace(example, place)
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line.split("  #")[0])
            if program != "pip":
                assert program == "cxai"
                yield arguments


def test_the_commands_of_the_page_work_in_their_order(simulated, guids, database, tmp_path):
    typed = commands(
        database=("postgres://cxai@db.internal/cxai", database.url("").removesuffix("#")),
        bucket=("s3://bucket/prefix", str(tmp_path / "objects")),
    )
    (tmp_path / "ids.csv").write_text("\n".join(["interaction_id", *guids(3)]))
    with simulated() as api:
        env = environment(CXAI_BASE_URL=api.base_url)
        for arguments in typed:
            ended = cxai(*arguments, cwd=tmp_path, env=env)
            assert ended.code == 0, (arguments, ended.out, ended.err)
    assert any((tmp_path / "objects" / "interactions").iterdir())
