"""The real worker against every scenario of the simulator: the right verdicts, nothing torn."""

from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from uuid import UUID

import pytest
from support.checker import OF_EVERY_RECORD, Ledger
from support.command import TOKEN, Ended, cxai, environment, rows, start_cxai
from support.expected import as_recorded, wanted
from support.waiting import wait_until_blocking

from cxai.inspect.verify import verify_export
from cxai.policy.verdict import ANSWERED
from cxai.simulator import Fault, Kind, Simulator, behaviour_of, expected_result
from cxai.simulator.scenarios import SCENARIOS, named

pytestmark = pytest.mark.long(23)

IDS = 12
IDS_IN_A_STORM = 40  # of all faults at once

QUICK = {
    "CXAI_RATE": "1000",
    "CXAI_BACKOFF_BASE_S": "0.01",
    "CXAI_RETRY_AFTER_CAP_S": "0.2",
    "CXAI_RECHECK_S": "0.05",
    "CXAI_MAX_ATTEMPTS": "3",
    "CXAI_IN_FLIGHT": "20",
    "CXAI_OUTAGE_AFTER": "1000",  # what fails here are IDs: no outage
}

SMALL = {
    "in-flight-limit": {"latency_s": 0.05},
    "rate-limit": {"rate": 20.0},
    "slow": {"slow_s": 0.3},
    "storm": {"faulty": 0.5, "slow_s": 0.3},
}
"""What makes a scenario short enough for a test."""

DRIPPING = ("drip-headers", "drip-body", "storm")
"""Scenarios with responses that only the total timeout ends."""

FOR_ALL = ("outage", "outage-drops", "token-changes")
"""Scenarios that are no matter of single IDs; they have tests of their own."""


@pytest.fixture(scope="module")
def served(simulated):
    """Return a context manager: `with served("nan", faulty=1.0) as api: ...`."""

    @contextmanager
    def start(name, **changes):
        scenario = replace(named(name), **changes)
        with simulated(
            **{one.name: getattr(scenario, one.name) for one in fields(scenario)}
        ) as api:
            yield api

    return start


def run(directory, api, ids, *arguments, **settings):
    more = {f"CXAI_{name}": str(value) for name, value in settings.items()}
    return cxai(
        "run", "-o", directory, "--base-url", api.base_url, "--json", *arguments,
        stdin="\n".join(ids).encode(),
        env=environment(**{**QUICK, **more}),
    )  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A run against a scenario, ended."""

    api: Simulator
    ids: list[str]
    directory: Path
    ended: Ended


@pytest.fixture
def trial(served, guids, tmp_path):
    """Return a maker of trials: `trial("storm")`."""

    def run_against(name):
        ids = guids(IDS_IN_A_STORM if name == "storm" else IDS)
        changes = SMALL.get(name, {"faulty": 0.5} if named(name).faulty else {})
        limits = {"TOTAL_TIMEOUT_S": 1.5} if name in DRIPPING else {}
        bombs = {Fault.BOMB_GZIP, Fault.BOMB_BR}.intersection(named(name).faults)
        for bomb in bombs if named(name).faulty else ():
            bomb.entry.encode(b"", 0.0)  # building it during the run would delay the simulator
        export = tmp_path / "export"
        with served(name, **changes) as api:
            return Trial(api, ids, export, run(export, api, ids, **limits))

    return run_against


def assert_intact(directory, ended, scenario, ids):
    """Assert that each ID has its verdict, each `ok` its record, and that all agree on it."""
    verdicts = {i: wanted(scenario, i) for i in ids}
    assert {UUID(bytes=key): what for key, what in Ledger(directory).outcomes.items()} == {
        UUID(i): what for i, what in verdicts.items()
    }
    assert ended.code == (0 if set(verdicts.values()) <= ANSWERED else 1), ended.err
    assert ended.json["adds_up"] is True
    assert verify_export(directory).problems == []

    written = rows(directory)
    records = {row["interaction_id"]: row for row in written}
    assert len(records) == len(written)
    assert set(records) == {i for i, what in verdicts.items() if what == "ok"}
    for i, record in records.items():
        content = as_recorded(expected_result(scenario, i), behaviour_of(scenario, i).fault)
        assert {key: record[key] for key in record if key not in OF_EVERY_RECORD} == content
    failures = {row["interaction_id"]: row["verdict"] for row in rows(directory, "failures")}
    assert failures == {i: what for i, what in verdicts.items() if what != "ok"}


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name not in FOR_ALL])
def test_every_id_gets_its_verdict(trial, scenario):
    ran = trial(scenario)

    assert_intact(ran.directory, ran.ended, ran.api.scenario, ran.ids)
    troubled = {behaviour_of(ran.api.scenario, i).kind for i in ran.ids} - {Kind.OK}
    assert troubled or scenario in ("calm", "rate-limit", "in-flight-limit")
    assert ran.api.stats.strays == ran.api.stats.strays_with_token == 0
    assert TOKEN not in ran.ended.out + ran.ended.err


@pytest.mark.parametrize("name", ["outage", "outage-drops"])
def test_an_outage_is_waited_out(served, guids, tmp_path, name):
    ids = guids(50)
    with served(name, outage_every_s=1.5, outage_s=0.7) as api:  # up for fewer than there are
        ended = run(
            tmp_path / "export",
            api,
            ids,
            "--rate",
            "20",
            OUTAGE_AFTER=3,
            MAX_ATTEMPTS=99,
            ADAPTIVE="false",
        )

    assert api.stats.requests > len(ids)
    assert_intact(tmp_path / "export", ended, api.scenario, ids)


def test_a_token_that_changes_stops_the_run_and_the_next_one_goes_on(served, guids, tmp_path):
    ids = guids(30)
    with served("token-changes") as api:
        stopped = run(tmp_path / "export", api, ids)
        assert stopped.code == 3
        assert 0 < len(rows(tmp_path / "export", sealed_only=False)) <= 20
        assert rows(tmp_path / "export", "failures", sealed_only=False) == []
        ended = run(tmp_path / "export", api, ids, API_TOKEN=api.next_token)

    assert ended.code == 0
    assert_intact(tmp_path / "export", ended, api.scenario, ids)


def test_a_token_that_changes_is_taken_from_its_file_without_stopping(served, guids, tmp_path):
    ids = guids(30)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "ids").write_text("\n".join(ids))
    with served("token-changes") as api:
        process = start_cxai(
            "run", tmp_path / "ids", "-o", tmp_path / "export", "--base-url", api.base_url,
            "--token-file", tmp_path / "token", "--json",
            env=environment(**{**QUICK, "CXAI_IN_FLIGHT": "2", "CXAI_RATE": "20"}),
        )  # fmt: skip
        wait_until_blocking(lambda: api.stats.requests)
        (tmp_path / "token").write_text(api.next_token)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 0, err
    assert b"canary" not in out + err
    assert api.stats.by_status[401] > 0
    assert len(rows(tmp_path / "export")) == 30
