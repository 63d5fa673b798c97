"""Running again does only what is still open; nothing is written twice."""

import pytest
from support.command import rows, verdicts


def test_a_second_run_asks_for_nothing_that_is_settled(simulated, guids, export):
    with simulated(missing=0.5) as api:
        export(api, guids(10))
        asked = api.stats.requests
        ended = export(api, guids(10), "--json")
        assert api.stats.requests == asked
    assert ended.json["settled_before"] == 10
    assert ended.json["adds_up"] is True


def test_a_longer_input_costs_only_what_is_new(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(10))
        export(api, guids(15))
        assert api.stats.requests == 15
    assert len(rows(tmp_path / "export")) == 15


@pytest.mark.parametrize("trouble", ["broken", "processing"])
def test_what_may_go_well_later_is_taken_up_by_itself(simulated, guids, tmp_path, export, trouble):
    with simulated(**{trouble: 0.4}) as api:
        assert export(api, guids(20), "--max-attempts", "1", "--not-ready-timeout", "0").code == 1
    with simulated() as api:
        assert export(api, guids(20)).code == 0
    assert len(rows(tmp_path / "export")) == 20


def test_any_other_verdict_is_reopened_by_name(simulated, guids, tmp_path, export):
    with simulated(missing=1.0) as api:
        export(api, guids(3))
    with simulated() as api:
        assert export(api, guids(3), "--json").json["verdicts"] == {"not_found": 3}
        reopened = export(api, guids(3), "--reopen", "not_found,bad_body", "--json")
    assert reopened.json["verdicts"] == {"ok": 3}
    assert verdicts(tmp_path / "export")["ok"] == 3


def test_a_record_is_never_asked_for_again_even_by_name(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(3))
        ended = export(api, guids(3), "--reopen", "ok")
    assert ended.code == 2
    assert len(rows(tmp_path / "export")) == 3


def test_parts_are_sealed_when_they_are_large_enough(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, guids(30), PART_BYTES=100_000, BATCH=5)
    parts = sorted((tmp_path / "export").glob("records-*.jsonl"))
    assert len(parts) > 2
    assert len(rows(tmp_path / "export")) == 30


def test_a_directory_belongs_to_one_form_of_export(simulated, guids, export):
    with simulated() as api:
        export(api, guids(1))
        ended = export(api, guids(2), "--shape", "tables")
    assert ended.code == 2
    assert "has an export with shape nested, not tables" in ended.err
