"""Every distinct ID that goes in comes out with exactly one verdict."""

import pytest
from support.command import rows, verdicts


@pytest.mark.parametrize(
    ("trouble", "verdict", "code"),
    [
        ("missing", "not_found", 0),  # an answer of the API, no failure of the run
        ("failed", "processing_failed", 0),
        ("processing", "not_ready", 1),
    ],
)
def test_what_could_not_be_had_is_listed_with_the_reason(
    simulated, guids, tmp_path, export, trouble, verdict, code
):
    with simulated(**{trouble: 1.0}) as api:
        ended = export(
            api, guids(3), "--allow-none", "--max-attempts", "2", "--not-ready-timeout", "0"
        )
    assert ended.code == code
    assert verdicts(tmp_path / "export") == {verdict: 3, "ok": 0}
    assert all(row["reason"] for row in rows(tmp_path / "export", "failures"))


@pytest.mark.parametrize(("trouble", "verdict"), [("garbled", "bad_body"), ("broken", "exhausted")])
def test_what_fails_while_others_are_answered_is_listed_too(
    simulated, guids, tmp_path, export, trouble, verdict
):
    with simulated(**{trouble: 0.4}) as api:
        ended = export(api, guids(20), "--max-attempts", "2")
    assert ended.code == 1
    ended_so = verdicts(tmp_path / "export")
    assert ended_so.keys() == {"ok", verdict}
    assert sum(ended_so.values()) == 20


@pytest.mark.parametrize("trouble", ["garbled", "broken"])
def test_what_everybody_gets_is_nobodys_verdict(simulated, guids, tmp_path, export, trouble):
    with simulated(**{trouble: 1.0}) as api:
        ended = export(api, guids(20), START_PATIENCE_S=1)
        assert ended.code == 4
        assert "refused or failed all requests" in ended.out
        assert api.stats.requests < 100  # one at a time, after ever longer waits
    with simulated() as api:
        assert export(api, guids(20)).code == 0
    assert verdicts(tmp_path / "export") == {"ok": 20}


@pytest.mark.parametrize("trouble", ["throttled", "erring", "corrupt", "slow", "processing"])
def test_what_passes_is_waited_out(simulated, guids, tmp_path, export, trouble):
    with simulated(**{trouble: 1.0}, slow_s=0.1) as api:
        ended = export(api, guids(3))
    assert ended.code == 0, ended.out
    assert verdicts(tmp_path / "export") == {"ok": 3}


def test_a_share_of_failures_can_be_let_pass(simulated, guids, export):
    ids = [*guids(9), "not-an-id"]
    with simulated() as api:
        assert export(api, ids, "--max-failed", "0.05").code == 1
        assert export(api, ids, "--max-failed", "0.1").code == 0


def test_a_run_without_a_single_result_is_no_success(simulated, guids, export):
    with simulated(missing=1.0) as api:
        ended = export(api, guids(3))
    assert ended.code == 1
    assert ended.out.startswith("Finished, but 0 of 3 IDs have a result: exit code 1.\n")


def test_a_refused_token_stops_the_run_and_marks_nothing(simulated, guids, tmp_path, export):
    with simulated() as api:
        ended = export(api, guids(50), API_TOKEN="wrong")  # noqa: S106 - not a secret
        assert ended.code == 3
        assert "refused the token (HTTP 401: X-API-Token is missing" in ended.out
        assert verdicts(tmp_path / "export") == {"ok": 0}
        assert export(api, guids(50)).code == 0
    assert verdicts(tmp_path / "export") == {"ok": 50}


def test_without_a_token_nothing_starts(simulated, guids, tmp_path, export):
    with simulated() as api:
        ended = export(api, guids(1), API_TOKEN="")
    assert ended.code == 2
    assert "No API token" in ended.err
    assert not (tmp_path / "export").exists()
