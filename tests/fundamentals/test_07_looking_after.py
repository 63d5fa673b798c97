"""How far an export is, and whether its files are what was written."""

import json
import re
import urllib.request

from support.command import cxai, rows, start_cxai
from support.waiting import wait_until_blocking


def test_status_shows_what_an_export_holds(simulated, guids, tmp_path, export):
    with simulated(missing=0.5) as api:
        ended = export(api, guids(20), "--json")
    status = cxai("status", tmp_path / "export", "--json").json
    assert status["verdicts"] == ended.json["verdicts"]
    assert (status["is_running"], status["progress"]) == (False, None)
    (run,) = status["runs"]
    assert (run["ended"], run["exit_code"]) == ("finished", 0)
    assert run["headline"] == "Finished: 20 of 20 IDs completed."


def test_status_of_a_live_run_does_not_disturb_it(simulated, guids, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(guids(40)))
    with simulated(latency_s=0.05) as api:
        process = start_cxai(
            "run", tmp_path / "ids.txt", "-o", tmp_path / "export",
            "--base-url", api.base_url, "--rate", "20",
        )  # fmt: skip
        wait_until_blocking((tmp_path / "export" / "progress.json").exists, "the first progress")
        status = cxai("status", tmp_path / "export", "--json").json
        _, err = process.communicate(timeout=30)
    assert status["is_running"]
    assert status["progress"]["done"] <= 40
    assert process.returncode == 0, err


def test_status_of_something_else_is_refused(tmp_path):
    ended = cxai("status", tmp_path)
    assert ended.code == 2
    assert "has no export" in ended.err


def test_verify_finds_an_export_intact(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(5))
    ended = cxai("verify", tmp_path / "export")
    assert ended.code == 0
    assert "is intact: 5 lines in 2 parts" in ended.out


def test_verify_names_the_file_that_somebody_changed(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(5))
    part = tmp_path / "export" / "records-000001.jsonl"
    part.write_bytes(part.read_bytes().replace(b'"score":', b'"SCORE":', 1))
    ended = cxai("verify", tmp_path / "export")
    assert ended.code == 5
    assert "records-000001.jsonl: bytes 0 to" in ended.out


def test_verify_is_not_green_after_a_run_that_was_stopped(simulated, guids, tmp_path, export):
    with simulated() as api:
        assert export(api, guids(5), API_TOKEN="wrong").code == 3  # noqa: S106 - not a secret
    ended = cxai("verify", tmp_path / "export", "--json")
    assert (ended.code, ended.json["intact"], ended.json["complete"]) == (4, True, False)
    assert ended.json["last_run"]["exit_code"] == 3


def test_verify_with_the_input_tells_whether_the_export_is_complete(
    simulated, guids, tmp_path, export
):
    ids = guids(5)
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    with simulated() as api:
        export(api, ids[:3])
        begun = cxai("verify", tmp_path / "export", tmp_path / "ids.txt", "--json")
        export(api, ids)
    assert (begun.code, begun.json["intact"], begun.json["complete"]) == (4, True, False)
    assert begun.json["missing"] == 2
    assert cxai("verify", tmp_path / "export", tmp_path / "ids.txt").code == 0


def test_the_simulator_is_there_for_users_too(tmp_path, guids):
    process = start_cxai("simulate", "--port", "0", "--token", "mine", "--missing", "1")
    try:
        base_url = re.search(r"http://[^ ]+\d", process.stdout.readline().decode())[0]
        (tmp_path / "token").write_text("mine\n")
        ended = cxai(
            "run", "-o", tmp_path / "export", "--base-url", base_url, "--json",
            "--token-file", tmp_path / "token", stdin=guids(1)[0].encode(),
        )  # fmt: skip
        with urllib.request.urlopen(f"{base_url}/simulator/stats") as response:  # noqa: S310
            stats = json.load(response)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert ended.json["verdicts"] == {"not_found": 1}
    assert stats["by_path"] == {"ai": 1, "status": 1}
    assert process.returncode == 0


def test_a_run_has_one_name_in_its_rows_its_summary_its_manifest_and_its_status(
    simulated, guids, tmp_path, export
):
    ids, directory = guids(20), tmp_path / "export"
    with simulated(missing=0.2) as api:
        names = [export(api, ids[:upto], "--json").json["run_id"] for upto in (10, 20)]
    by_row = {row["run_id"] for name in ("records", "failures") for row in rows(directory, name)}
    manifest = json.loads((directory / "manifest.json").read_text())
    status = cxai("status", directory, "--json").json
    assert manifest["last_run"]["run_id"] == names[1] != names[0]
    assert {part["run_id"] for part in manifest["parts"]} == by_row == set(names)
    assert [run["run_id"] for run in status["runs"]] == names
