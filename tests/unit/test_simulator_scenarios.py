"""Every scenario is listed and does what its description says; one out of range is refused."""

import asyncio
import json
import math
import re
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest
from support.command import cxai
from support.simulator import ID, ask, decode, interaction_ids, result, simulate, status

from cxai.simulator import Fault, Kind, Scenario, behaviour_of, expected_result
from cxai.simulator.scenario import PROBLEMS
from cxai.simulator.scenarios import SCENARIOS, SHARE, listing, named


def test_the_list_names_every_scenario_with_its_description_aligned():
    ended = cxai("simulate", "--list")

    lines = ended.out.splitlines()
    assert (ended.code, lines) == (0, listing().splitlines())
    listed = {line.split()[0]: re.split(" {2,}", line)[1] for line in lines}
    assert listed == {name: shows for name, (shows, _) in SCENARIOS.items()}
    assert len({line.index(listed[line.split()[0]]) for line in lines}) == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [("bom-gzip", "Did you mean bomb-gzip? --list"), ("sunshine", "'sunshine'. --list")],
)
def test_an_unknown_scenario_is_refused_with_the_nearest_names(name, hint):
    with pytest.raises(ValueError, match=re.escape(f"no scenario '{name}'")) as refused:
        named(name)
    assert hint in str(refused.value)


def test_the_command_refuses_an_unknown_scenario():
    ended = cxai("simulate", "--scenario", "sunshine", "--port", "0")

    assert ended.code == 2
    assert "no scenario 'sunshine'" in ended.err


def test_options_that_contradict_a_scenario_are_refused():
    ended = cxai("simulate", "--scenario", "nan", "--broken", "0.9", "--port", "0")

    assert ended.code == 2
    assert "shares together must be at most 1" in ended.err


def test_every_fault_and_every_problem_is_a_scenario():
    assert set(Fault) | set(PROBLEMS) - {Kind.FAULTY} <= set(SCENARIOS)
    for fault in Fault:
        assert named(fault).faults == (fault,)
        assert named(fault).faulty == SHARE


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_starts_and_has_results_for_ids_without_a_problem(name):
    scenario = replace(named(name), latency_s=0.0)
    well = next(i for i in interaction_ids(50) if behaviour_of(scenario, i).kind is Kind.OK)

    async with simulate(scenario) as sim:
        code, headers, body = await ask(sim, result(well))

    assert code == 200
    whole = decode(headers.get("Content-Encoding"), body)[0]
    assert json.loads(whole) == expected_result(scenario, well)


@pytest.mark.parametrize("age_s", [0, 19.9, 50, 69.9, 100])
def test_it_is_up_between_outages(age_s):
    assert not named("outage").is_down(age_s)


@pytest.mark.parametrize("age_s", [20, 49.9, 70, 99.9])
def test_outages_repeat(age_s):
    assert named("outage").is_down(age_s)
    assert not Scenario().is_down(age_s)


async def test_an_outage_fails_every_request_until_it_ends():
    scenario = replace(named("outage"), outage_every_s=0.2, outage_s=0.3)
    async with simulate(scenario) as sim:
        seen = []
        async with asyncio.timeout(5):
            while seen[-2:] != [503, 200]:
                seen.append((await ask(sim, status(ID)))[0])

    assert seen[0] == 200
    assert set(seen) == {200, 503}


async def test_an_outage_may_drop_connections_instead():
    scenario = replace(named("outage-drops"), outage_every_s=0.001, outage_s=60.0)
    async with simulate(scenario) as sim:
        await asyncio.sleep(0.002)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(sim)


async def test_the_token_changes_after_so_many_requests():
    async with simulate(replace(named("token-changes"), token_after=3)) as sim:
        assert (await ask(sim, token=sim.next_token))[0] == 401
        assert [(await ask(sim))[0] for _ in range(5)] == [200, 200, 200, 401, 401]
        assert (await ask(sim, token=sim.next_token))[0] == 200


def test_a_storm_has_a_little_of_everything():
    behaviours = [behaviour_of(named("storm"), i) for i in interaction_ids(20_000)]

    kinds = Counter(its.kind for its in behaviours)
    assert set(kinds) == set(Kind)
    assert kinds[Kind.OK] > 14_000
    assert {its.fault for its in behaviours} == {None, *Fault} - {Fault.RETRY_AFTER_HUGE}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0}, "rate is 0, but must be above 0"),
        ({"rate": -1.0}, "rate is -1.0, but must be above 0"),
        ({"rate": math.nan}, "rate is nan, but must be above 0"),
        ({"rate": math.inf}, "rate is inf, but must be above 0"),
        ({"in_flight": 0}, "in_flight is 0, but must be 1 or more"),
        ({"processing_looks": 0}, "processing_looks is 0, but must be 1 or more"),
        ({"latency_s": -0.1}, "latency_s is -0.1, but must be 0 seconds or more"),
        ({"slow_s": math.inf}, "slow_s is inf, but must be 0 seconds or more"),
        ({"outage_s": -1.0}, "outage_s is -1.0, but must be 0 seconds or more"),
        ({"outage_every_s": 0.0}, "outage_every_s is 0.0, but must be above 0 seconds"),
        ({"token_after": 0}, "token_after is 0, but must be 1 or more"),
        ({"fault_lasts": 0}, "fault_lasts is 0, but must be 1 or more"),
        ({"faults": ()}, "faults is empty, but must hold at least one"),
        ({"faulty": -0.5}, "faulty is -0.5, but must be from 0 to 1"),
        ({"missing": 1.5}, "missing is 1.5, but must be from 0 to 1"),
        ({"garbled": -0.1}, "garbled is -0.1, but must be from 0 to 1"),
        ({"corrupt": math.nan}, "corrupt is nan, but must be from 0 to 1"),
        (
            {"slow": 0.6, "broken": 0.41},
            r"slow \+ broken is 1.01, but all shares together must be at most 1",
        ),
    ],
)
def test_a_scenario_out_of_range_names_the_field_and_the_range(fields, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Scenario(**fields)


def test_shares_that_make_up_1_exactly_are_allowed():
    kinds = [kind for kind in Kind if kind is not Kind.OK]

    Scenario(**dict.fromkeys(kinds, 1 / len(kinds)))
    Scenario(**dict.fromkeys(kinds[:7], 0.1), broken=0.1, garbled=0.2)
