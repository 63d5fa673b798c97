"""Requests leave at the allowed rate, so many at a time, and wait together when asked to."""

import pytest
from support.command import environment
from support.running import running, wait_for_line
from support.serving import serving
from support.stamped_server import StampedServer

# The simulator counts a request when it reads it: on a busy machine that may be later than it came
# by more than the limiter's margin. It then stands beside the first of the next second.
LATE = 1


@pytest.mark.promise(
    "Requests in any sliding second, as they arrive at a server on the same machine",
    "at most `--rate`, however busy the machine is (of 2.5: 2 in the time that they take)",
    group="Limit",
)
@pytest.mark.parametrize("rate", [20, 50])
def test_the_server_never_sees_more_than_the_rate_in_any_second(guids, export, rate):
    with serving(StampedServer()) as api:
        assert export(api, guids(2 * rate), RATE=rate).code == 0
        assert len(api.arrivals) == 2 * rate
        assert api.max_per_second <= rate


@pytest.mark.promise("Retries and status requests", "count against the same rate", group="Limit")
def test_retries_and_status_requests_are_paced_like_all_others(simulated, guids, export):
    with simulated(erring=0.5, missing=0.5) as api:
        export(api, guids(30), RATE=30)
        assert api.stats.requests > 45
        assert api.stats.max_per_second <= 30 + LATE


def test_no_more_requests_are_in_flight_than_allowed(simulated, guids, export):
    with simulated(latency_s=0.05, in_flight=5) as api:
        ended = export(api, guids(60), "--in-flight", "5", "--json")
        assert api.stats.max_in_flight == 5
    assert ended.json["throttled"] == 0


def test_a_limit_that_is_lower_than_ours_is_waited_out(simulated, guids, export):
    with simulated(rate=20) as api:
        ended = export(api, guids(30), "--json", RATE=1000)
    assert ended.json["verdicts"] == {"ok": 30}
    assert ended.json["throttled"] > 0


@pytest.mark.promise("A rate of 0, below 0, or no number", "refused with code 2", group="Limit")
@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_none_is_refused(simulated, guids, export, rate):
    with simulated() as api:
        ended = export(api, guids(1), RATE=rate)
    assert ended.code == 2
    assert "CXAI_RATE" in ended.err


def test_a_run_that_is_kept_below_its_rate_says_so_while_it_works(simulated, guids, tmp_path):
    env = environment(CXAI_PROGRESS_S="0.05", CXAI_BACKOFF_BASE_S="0.01")
    with (
        simulated(rate=20) as api,
        running(api, tmp_path / "export", guids(100), "--rate", "200", env=env) as run,
    ):
        wait_for_line(
            run, r'state="slowed to [\d.]+ of 200 requests/s.*: the API is rate-limiting"'
        )
