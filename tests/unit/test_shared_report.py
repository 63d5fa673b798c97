"""The report at the end of a worker of a shared export."""

from pathlib import Path

from support.tallies import tally

from cxai.core.ending import Tolerance
from cxai.inspect.shared_report import SharedReport

BUCKET = "s3://bucket/prefix"
URL = "postgres://cxai@db.internal/cxai#nightly"


def report(own):
    whole = tally(ok=8, redirected=1, not_found=1)
    tolerance = Tolerance(0.1, allow_empty=False, allow_none=True)
    return SharedReport(
        Path(BUCKET), whole, 2.0, tolerance, None, own=own, destination=BUCKET, url=URL
    )


def test_export_and_destination_are_named_as_commands_take_them():
    shared = report(own=tally(ok=3))
    values = shared.as_dict()
    assert (shared.export, values["export"], values["output"]) == (URL, URL, BUCKET)
    assert f"  The export is in {BUCKET}" in shared.text().splitlines()
    assert f"{BUCKET}/failures/" in shared.text()


def test_the_part_of_the_worker_is_shown_beside_the_whole():
    shared = report(own=tally(ok=3))
    assert shared.as_dict()["worker"] == {"completed": 3, "requests": 0}
    assert "8 ok" in shared.text()
    assert "  This worker: 3 IDs in 2.0 s" in shared.text()


def test_a_retry_is_a_command_on_the_export():
    assert f"cxai retry redirected --in {URL}" in report(own=tally(ok=3)).text()
