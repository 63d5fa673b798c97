"""Keeping results together leaves everything as if each had been decided on alone."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.defaults import health_settings, pipeline_settings
from support.doubles import (
    ABSENT,
    FAULTY,
    HTML,
    OK,
    PROCESSED,
    REJECTED,
    TOKEN_REFUSED,
    TORN,
    FreeLimiter,
    entries,
    throttled,
)
from support.run import Run
from support.virtual import START_S, VirtualClock, run_virtually, virtually

from cxai.errors import TokenRefusedError
from cxai.governor.governor import Governor
from cxai.policy.reply import Endpoint, Reply
from cxai.policy.table import Signal

DRIFTED = Reply(200, b"drift: x y")
NAMES = [f"n{number}" for number in range(40)]


class OneByOne(Governor):
    """A governor with which no results are kept together."""

    is_calm = False


class Counting(Governor):
    """A governor that counts the results that were kept together."""

    together = 0

    def learn_results(self, results):
        self.together += len(results)
        super().learn_results(results)


class Listening(FreeLimiter):
    """A limiter that keeps all that it is to learn, in order."""

    def __init__(self, clock):
        super().__init__(clock)
        self.learned_with_times = []

    def learn(self, signal, left_s):
        super().learn(signal, left_s)
        self.learned_with_times.append((signal, left_s))

    def learn_answers(self, left_s):
        for left in left_s:
            self.learn(Signal.ANSWERED, left)


# Mostly results, which keep the API calm; every other reply ends that in some way.
others = [ABSENT, REJECTED, FAULTY, FAULTY, HTML, TORN, throttled(), throttled(2.0), TOKEN_REFUSED]
replies = st.sampled_from([*[OK] * 6, DRIFTED, *others])
histories = st.fixed_dictionaries(
    {
        "script": st.dictionaries(
            st.sampled_from(NAMES), st.lists(replies, max_size=4), min_size=5
        ),
        "outage": st.tuples(st.integers(0, 5), st.integers(0, 8), st.sampled_from(others)),
        "latencies_s": st.lists(st.sampled_from([0.125, 0.125, 0.5, 3.0]), min_size=1, max_size=5),
        "in_flight": st.integers(1, 12),
        "others": st.integers(1, 12),
    }
)


def history(governor, *, script, outage, latencies_s, in_flight, others):
    """Return all that can be known of a run afterwards, and whenever a request left."""
    script = {name: list(answers) for name, answers in script.items()}
    begin_s, length_s, instead = outage
    moments = []

    def answer(call):
        if begin_s <= call.at - START_S < begin_s + length_s:
            return instead
        if answers := script.get(call.id):
            return answers.pop(0)
        return OK if call.endpoint is Endpoint.RESULT else PROCESSED

    def latency_s(call):
        health, governor = run.governor.health, run.governor
        of_api = (health.state, health.since, health.held, health.rounds_before(call.at))
        moments.append((call, *of_api, governor.trouble, governor.unanswered_s))
        return latencies_s[len(moments) % len(latencies_s)]

    async def play():
        nonlocal run
        run = Run(
            entries(*NAMES),
            script=dict.fromkeys(NAMES, answer),
            latency_s=latency_s,
            limiter=Listening(VirtualClock()),
            governor=governor,
            bounds=pipeline_settings(in_flight=in_flight, batch=7),
            health=health_settings(failures=2, rounds=2, others=others),
        )
        try:
            await run.pipeline.run()
        except TokenRefusedError as error:
            return str(error)

    run = None
    ended = run_virtually(play())
    limiter, health = run.limiter, run.governor.health
    return {
        "ended": ended,
        "moments": moments,
        "commits": [[(one.entry.id, one.verdict) for one in made] for made in run.ledger.commits],
        "lines": dict(run.ledger.disk.lines),
        "tally": run.tally.as_dict(),
        "limiter": (
            limiter.learned_with_times,
            limiter.pauses,
            limiter.overloads,
            limiter.restored,
        ),
        "health": (health.state, health.since, health.about, health.held, health.doubts),
    }


@settings(max_examples=50, deadline=None)
@given(histories)
def test_keeping_results_together_changes_nothing_else(given_history):
    assert history(Governor, **given_history) == history(OneByOne, **given_history)


@virtually
async def test_while_the_api_is_up_all_results_are_kept_together():
    run = Run(entries(*NAMES), governor=Counting)
    await run.to_the_end()
    assert run.governor.together == 40


@virtually
async def test_results_are_kept_together_again_as_soon_as_a_failure_is_explained():
    script = {"n10": [FAULTY, OK], "n20": [ABSENT, ABSENT]}
    run = Run(
        entries(*NAMES), script=script, governor=Counting, bounds=pipeline_settings(in_flight=5)
    )
    await run.to_the_end()
    assert 30 <= run.governor.together < 39


@virtually
async def test_a_probe_whose_doubt_is_over_lets_the_next_one_leave():
    """The answer to `other`, which left before the probe, ends the doubt about a and b.

    If the probe stayed one for good, nothing could leave in the doubt about the last ones.
    """
    latencies_s = {"a": 0.125, "b": 0.25, "slow": 4.0, "other": 1.0, "probe": 2.0}
    run = Run(
        entries("a", "b", "slow", "other", *NAMES, *"uvwxyz", "probe"),  # the last is the probe
        script={name: [FAULTY, OK] for name in "abuvwxyz"},
        latency_s=lambda call: latencies_s.get(call.id, 0.5),
        governor=Counting,
        bounds=pipeline_settings(in_flight=3),
        health=health_settings(failures=2, others=3),
    )
    await run.to_the_end()
    assert run.governor.health.doubts >= 2
    assert run.governor.together > 0
