"""A monitor looks at a run again and again, and shows its state to observers."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from support.states import api_state
from support.virtual import START_UTC, VirtualClock, virtually

from cxai.core.events import EventStream
from cxai.core.run_state import Blocked, Counts, Kind, Pause, WorkState
from cxai.core.tally import Tally
from cxai.core.watchdog import Stage, stage_counters
from cxai.observe.monitor import RunMonitor, Sample
from cxai.policy.verdict import Verdict

STALLED_AFTER_S = 60.0


class Seen:
    """An observer that keeps what it is shown."""

    def __init__(self, interval_s=1.0):
        self.interval_s = interval_s
        self.states = []
        self.events = []
        self.ends = []

    def observe(self, state):
        self.states.append(state)

    def see(self, event):
        self.events.append(event)

    async def close(self, last, report):
        self.ends.append((last, report))


class Failing(Seen):
    """An observer that can't do anything."""

    def observe(self, state):
        super().observe(state)
        raise ValueError("no room on the wall")

    def see(self, event):
        super().see(event)
        raise ValueError("no room on the wall")

    async def close(self, last, report):
        await super().close(last, report)
        raise OSError("and no nail")


def sample(tally=None, *, input_ended=False, next_retry_s=None, api=None, **more):
    work = WorkState(input_ended=input_ended, next_retry_s=next_retry_s)
    parts = {"stage_counters": stage_counters(), "work": work, "api": api or api_state()}
    return Sample(tally or Tally(), **parts | more)


def monitor_of(shown=None, *, events=None, **observers):
    """Return a monitor of a run that shows `shown`, or what that returns."""
    of = shown if callable(shown) else lambda: shown or sample()
    return RunMonitor(of, observers, VirtualClock(), STALLED_AFTER_S, events or EventStream())


@pytest.fixture
def events():
    """Return a stream of events; `seen` holds those that were emitted."""
    stream = EventStream()
    stream.seen = []
    stream.attach(stream.seen.append)
    return stream


def failed(events):
    """Return the observers that are named in events as failed."""
    return [event.values["observer"] for event in events.seen if event.name == "observer_failed"]


def completed(ok, *, requests=None, **lines):
    return Tally(
        lines=lines.pop("lines", ok),
        ids=lines.pop("ids", ok),
        now=Counter({Verdict.OK: ok}),
        requests=ok if requests is None else requests,
        **lines,
    )


async def state_after(seconds, shown):
    """Return the state of a run that shows `shown` so many seconds after its start."""
    monitor = monitor_of(shown)
    await asyncio.sleep(seconds)
    return monitor.look()


# --- who is shown what, and when ---


@virtually
async def test_each_observer_is_shown_the_state_at_once_and_at_its_own_interval():
    often, seldom = Seen(0.25), Seen(10.0)
    async with monitor_of(often=often, seldom=seldom):
        await asyncio.sleep(20.1)
    assert [state.elapsed_s for state in seldom.states] == [0.0, 10.0, 20.0]
    assert len(often.states) == 81


@virtually
async def test_when_the_run_is_over_each_observer_is_closed_with_its_last_state_and_its_report():
    seen = Seen()
    async with monitor_of(seen=seen) as monitor:
        await asyncio.sleep(0.5)
        monitor.report = {"exit_code": 0}
    await asyncio.sleep(10)
    ((last, report),) = seen.ends
    assert (last.elapsed_s, report) == (0.5, {"exit_code": 0})
    assert len(seen.states) == 1


@virtually
async def test_after_an_unexpected_error_it_is_closed_without_a_report():
    seen = Seen()
    with pytest.raises(RuntimeError, match="unexpected"):
        async with monitor_of(seen=seen):
            raise RuntimeError("unexpected")
    assert [report for _last, report in seen.ends] == [None]


@virtually
async def test_an_observer_that_fails_is_an_event_once_and_harms_no_other(events):
    failing, seen = Failing(), Seen()
    async with monitor_of(events=events, failing=failing, seen=seen):
        await asyncio.sleep(5.5)
        events.emit("token_renewed")
    assert len(failing.states) == len(seen.states) == 6
    assert [report for _last, report in seen.ends] == [None]
    assert failed(events) == ["failing"]
    assert events.seen[0].values["reason"] == "ValueError: no room on the wall"
    assert [event.name for event in seen.events] == ["observer_failed", "token_renewed"]


@virtually
async def test_an_observer_sees_each_event_while_the_run_is_watched_and_none_after_it(events):
    seen = Seen()
    events.emit("slower_requests")
    async with monitor_of(events=events, seen=seen):
        events.emit("run_started", rate=5.0)
    events.emit("run_finished")
    assert [(event.name, event.values) for event in seen.events] == [("run_started", {"rate": 5.0})]


class WithoutInterval(Seen):
    """An observer whose interval can't be read; it is shown the state now and then."""

    def __init__(self, interval_s):
        super().__init__()
        self._wrong = interval_s

    @property
    def interval_s(self):
        if isinstance(self._wrong, Exception):
            raise self._wrong
        return self._wrong

    @interval_s.setter
    def interval_s(self, _):
        pass


@pytest.mark.parametrize("wrong", [ValueError("none is set"), "2", None])
@virtually
async def test_an_observer_without_an_interval_is_an_event_once_and_harms_no_other(events, wrong):
    good = Seen()
    async with monitor_of(events=events, bad=WithoutInterval(wrong), good=good):
        await asyncio.sleep(100.5)
    assert (len(good.states), len(good.ends)) == (101, 1)
    assert failed(events) == ["bad"]


class Hanging(Seen):
    """An observer that never comes to its end."""

    async def close(self, last, report):
        await super().close(last, report)
        await asyncio.get_running_loop().create_future()


@virtually
async def test_an_observer_that_does_not_close_is_left_and_the_others_are_closed(events):
    good = Seen()
    async with asyncio.timeout(60):
        async with monitor_of(events=events, bad=Hanging(), good=good):
            await asyncio.sleep(1)
    assert len(good.ends) == 1
    assert failed(events) == ["bad"]
    assert events.seen[0].values["reason"] == "TimeoutError"


@virtually
async def test_the_parts_of_a_run_are_shown_as_they_are():
    api, full = (
        api_state(pause=Pause(2.0, "too fast")),
        Blocked("exports/x", 1.0, 600.0, "the disk is full", is_full=True),
    )
    tally = completed(2, lines=4, requests=9, status_requests=3, retries=4, throttled=1)
    state = await state_after(2, sample(tally, api=api, blocked=full))
    assert (state.at, state.elapsed_s) == (START_UTC + timedelta(seconds=2), 2.0)
    assert (state.api, state.blocked) == (api, full)
    assert state.counts == Counts(4, 9, 3, 4, 1)


@virtually
async def test_while_a_run_stops_the_state_has_what_is_left_of_the_grace_period():
    stopping = sample(work=WorkState(is_stopping=True, grace_s=30.0))
    monitor = monitor_of(stopping)
    left = [monitor.look().work.grace_s]
    for wait_s in (10, 30):
        await asyncio.sleep(wait_s)
        left.append(monitor.look().work.grace_s)
    assert left == [30.0, 20.0, 0.0]


# --- stalls ---


@virtually
async def test_a_stage_that_is_stuck_is_shown_as_a_stall_until_it_moves_again():
    stuck, seen = stage_counters(), Seen()
    stuck[Stage.COMMIT].enter(3)
    async with monitor_of(sample(stage_counters=stuck), seen=seen):
        await asyncio.sleep(65.5)
        stall = seen.states[-1].stall
        stuck[Stage.COMMIT].leave(3)
        await asyncio.sleep(1)
    assert (stall.stage, stall.holding) == (Stage.COMMIT, 3)
    assert [state.kind is Kind.STALLED for state in seen.states].count(True) == 6
    assert seen.states[-1].stall is None
    assert [event.name for event in seen.events] == ["stage_stalled", "stage_moving"]


@pytest.mark.parametrize(
    "held_back", [{"pause": Pause(600, "too fast")}, {"in_doubt": True}, {"down_for_s": 600.0}]
)
@virtually
async def test_requests_that_rightly_wait_are_no_stall(held_back):
    waiting, seen = stage_counters(), Seen()
    waiting[Stage.PACE].enter(3)
    async with monitor_of(sample(stage_counters=waiting, api=api_state(**held_back)), seen=seen):
        await asyncio.sleep(600)
    assert seen.states[-1].stall is None


@virtually
async def test_a_slow_pace_is_no_stall():
    waiting, seen = stage_counters(), Seen()
    waiting[Stage.PACE].enter(3)
    slow = api_state(rate=0.01, rate_ceiling=0.01)  # one request every 100 seconds
    async with monitor_of(sample(stage_counters=waiting, api=slow), seen=seen):
        await asyncio.sleep(250)
        assert seen.states[-1].stall is None
        await asyncio.sleep(20)
    assert seen.states[-1].stall.stage is Stage.PACE


# --- how far ---


@virtually
async def test_a_run_begins_with_nothing_known():
    state = monitor_of().look()
    assert (state.done, state.total, state.eta_s) == (0, None, None)
    assert (state.requests_per_s, state.api.rate, state.elapsed_s) == (0.0, 5.0, 0.0)
    assert state.at == START_UTC


@virtually
async def test_done_are_ids_with_a_verdict_whichever_run_completed_them():
    tally = Tally(lines=7, ids=5, invalid=2)
    tally.before.update({Verdict.OK: 1, Verdict.INVALID_ID: 1})
    tally.now.update({Verdict.OK: 1, Verdict.NOT_FOUND: 1, Verdict.INVALID_ID: 1})
    state = await state_after(1, sample(tally))
    assert state.done == 3
    assert state.verdicts == {Verdict.OK: 2, Verdict.NOT_FOUND: 1, Verdict.INVALID_ID: 2}


@pytest.mark.parametrize(
    ("expected_lines", "input_ended", "total"),
    [
        (None, False, None),
        (1_000, False, 990),  # 10 of the 60 lines so far were no distinct IDs
        (20, False, 50),  # the input has grown since it was counted
        (1_000, True, 50),
        (None, True, 50),
    ],
)
@virtually
async def test_the_total_is_estimated_until_the_input_has_been_read(
    expected_lines, input_ended, total
):
    tally = Tally(lines=60, ids=50, duplicates=6, blanks=2, comments=1, invalid=1)
    shown = sample(tally, expected_lines=expected_lines, input_ended=input_ended)
    assert (await state_after(1, shown)).total == total


@virtually
async def test_the_time_left_follows_from_the_pace_of_verdicts():
    tally = completed(20, ids=100, requests=40)  # two requests an ID
    state = await state_after(10, sample(tally, input_ended=True))
    assert (state.requests_per_s, state.eta_s) == (4.0, 40.0)


@virtually
async def test_the_time_left_is_never_shorter_than_the_wait_for_the_next_retry():
    shown = sample(completed(20, ids=21), input_ended=True, next_retry_s=27.0)
    assert (await state_after(10, shown)).eta_s == 27.0


@virtually
async def test_lines_that_are_no_ids_do_not_shorten_the_time_left():
    tally = Tally(lines=150, ids=100, invalid=50)
    tally.now.update({Verdict.OK: 20, Verdict.INVALID_ID: 50})
    assert (await state_after(10, sample(tally, input_ended=True))).eta_s == 40.0


@virtually
async def test_ids_that_were_completed_before_do_not_count_for_the_pace():
    tally = Tally(lines=100, ids=100, before=Counter({Verdict.OK: 60}))
    tally.now.update({Verdict.OK: 20})
    state = await state_after(10, sample(tally, input_ended=True))
    assert (state.done, state.eta_s) == (80, 10.0)


@virtually
async def test_the_time_left_is_unknown_while_nothing_moves():
    seen = Seen()
    async with monitor_of(sample(completed(20, ids=100), input_ended=True), seen=seen):
        await asyncio.sleep(100)
    assert (seen.states[-1].requests_per_s, seen.states[-1].eta_s) == (0.0, None)
