"""IDs in, normalized JSON Lines out, and an account that adds up."""

import hashlib
import json

import pytest
from support.command import cxai, environment, rows

from cxai.simulator import Scenario, expected_result


def test_a_file_of_ids_becomes_a_file_of_records(simulated, guids, tmp_path):
    ids = guids(20)
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    with simulated() as api:
        ended = cxai(
            "run", tmp_path / "ids.txt", "-o", tmp_path / "export",
            "--base-url", api.base_url, "--rate", "100",
        )  # fmt: skip
    assert ended.code == 0, ended.err
    assert {path.name for path in (tmp_path / "export").glob("*.jsonl")} == {
        "records-000001.jsonl",
        "failures-000001.jsonl",  # empty: a set always has a file
    }
    assert {row["interaction_id"] for row in rows(tmp_path / "export")} == set(ids)


def test_a_record_holds_the_values_that_the_api_sent(simulated, guids, tmp_path, export):
    (interaction_id,) = guids(1)
    with simulated() as api:
        export(api, [interaction_id])
    (record,) = rows(tmp_path / "export")
    sent = expected_result(Scenario(), interaction_id)
    model_sent = sent["allParticipants"]["enlightenBundles"][0]["models"][0]
    model = record["all_participants"]["enlighten_bundles"][0]["models"][0]
    assert model["score"] == model_sent["score"]
    assert model["min_score_offset"] == model_sent["minScoreOffset"]
    assert list(record)[:4] == ["interaction_id", "schema_version", "retrieved_at", "run_id"]


def test_the_summary_says_where_every_line_of_the_input_went(simulated, guids, export):
    first, second = guids(2)
    with simulated() as api:
        ended = export(api, ["# last night", first, second, first.upper(), "", "not-an-id"])
    assert "6 lines = 2 IDs + 1 duplicate + 1 blank + 1 comment + 1 invalid" in ended.out
    assert "2 IDs = 2 ok" in ended.out


def test_a_program_reads_the_summary_as_json(simulated, guids, export):
    with simulated() as api:
        ended = export(api, guids(3), "--json")
    assert ended.json["verdicts"] == {"ok": 3}
    assert ended.json["adds_up"] is True
    assert ended.json["exit_code"] == ended.code == 0


def test_the_manifest_lists_each_part_with_its_size_and_checksum(
    simulated, guids, tmp_path, export
):
    with simulated() as api:
        export(api, guids(1))
    manifest = json.loads((tmp_path / "export" / "manifest.json").read_text())
    content = (tmp_path / "export" / "records-000001.jsonl").read_bytes()
    run_id = manifest["last_run"]["run_id"]
    assert manifest["parts"] == [
        {
            "file": "failures-000001.jsonl",
            "set": "failures",
            "bytes": 0,
            "records": 0,
            "sha256": hashlib.sha256().hexdigest(),
            "run_id": run_id,
        },
        {
            "file": "records-000001.jsonl",
            "set": "records",
            "bytes": len(content),
            "records": 1,
            "sha256": hashlib.sha256(content).hexdigest(),
            "run_id": run_id,
        },
    ]
    assert {row["run_id"] for row in rows(tmp_path / "export")} == {run_id}


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_bodies_travel_compressed(simulated, guids, export, coding):
    with simulated() as api:
        export(api, guids(20))
        assert api.stats.by_coding[coding] > 0
        assert "identity" not in api.stats.by_coding


def test_the_demo_needs_no_token_and_no_network(tmp_path):
    env = environment()
    del env["CXAI_API_TOKEN"]
    ended = cxai(
        "demo", "-o", tmp_path / "demo", "--ids", "60", "--rate", "100", "--json", env=env
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.json["ids"] == 60
    assert ended.json["open"] == 0
    assert ended.json["adds_up"] is True
