"""The API refuses requests: all of them wait, and no ID loses its verdict."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from support.bodies import as_body, sample
from support.checker import assert_exact
from support.command import environment
from support.leftovers import go_on
from support.raw_server import RawServer, response
from support.serving import serving

CAP_S = 1.1
SANE = response(as_body(sample()))


def in_seconds(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.promise(
    "`Retry-After` with 403, 429 or 503: in seconds, as a date, in the past, huge, or garbage",
    "all requests wait that long, at most `retry_after_cap_s` and at least a backoff",
)
def test_any_retry_after_pauses_everyone_and_is_clamped(guids, export):
    waits = {
        "1": 1.0,
        "9" * 5_000: CAP_S,
        in_seconds(3_600): CAP_S,
        in_seconds(-3_600): 0.0,
        "0": 0.0,
        "soon": 0.0,
    }
    refusals = [
        [response(b"", f"Retry-After: {value}", status="429 Too Many Requests")] for value in waits
    ]
    # One request at a time, of two IDs, and slow enough that none leaves while one is judged.
    one_by_one = environment(
        CXAI_IN_FLIGHT="1", CXAI_ADAPTIVE="false", CXAI_BACKOFF_BASE_S="0.001",
        CXAI_BACKOFF_CAP_S="0.1", CXAI_RETRY_AFTER_CAP_S=str(CAP_S), CXAI_MAX_ATTEMPTS="1",
    )  # fmt: skip
    with serving(RawServer(*refusals, [SANE])) as api:
        ended = go_on(api, export, guids(2), "--rate", "8", "--json", env=one_by_one)
    assert ended.code == 0, ended.out + ended.err
    assert ended.json["verdicts"] == {"ok": 2}
    waited = [later - earlier for earlier, later in pairwise(api.times)][: len(waits)]
    for (value, least), gap in zip(waits.items(), waited, strict=True):
        assert gap > least - 0.01, value[:40]
        assert gap < least + 5.0, value[:40]


@pytest.mark.promise(
    "The first request for every ID is refused with 429",
    "no ID loses an attempt; the run completes",
)
def test_a_storm_of_refusals_costs_no_id_its_verdict(simulated, ids, export):
    quick = environment(
        CXAI_MAX_ATTEMPTS="1", CXAI_RETRY_AFTER_CAP_S="0.05", CXAI_BACKOFF_BASE_S="0.01"
    )
    with simulated(throttled=1.0) as api:
        ended = go_on(api, export, ids[:15], env=quick)
        assert api.stats.by_status[429] == 15
    assert ended.code == 0, ended.out + ended.err
    assert_exact(export, ids[:15], api.scenario)


@pytest.mark.promise("A rate of 0.5", "one request every two seconds, as the server sees it")
def test_half_a_request_a_second_is_one_every_two(guids, export):
    with serving(RawServer([SANE])) as api:
        ended = go_on(api, export, guids(2), "--rate", "0.5")
    assert ended.code == 0, ended.err
    first, second = api.times
    assert 1.9 < second - first < 3.9
