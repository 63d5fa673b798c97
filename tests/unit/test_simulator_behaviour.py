"""What happens to an ID depends on the scenario and the ID alone."""

import json
import os
import subprocess
import sys
from collections import Counter
from hashlib import blake2b

import pytest
from support.simulator import ID, ask, interaction_ids, result, simulate

from cxai.simulator import Kind, Scenario, behaviour_of, expected_result
from cxai.simulator.bodies import VARIANTS, result_json

MIXED = Scenario(
    seed=7,
    missing=0.1,
    processing=0.1,
    failed=0.1,
    throttled=0.1,
    erring=0.1,
    corrupt=0.1,
    broken=0.1,
    garbled=0.1,
)

FINGERPRINT = """
import json, sys
from hashlib import blake2b
from cxai.simulator import Scenario, behaviour_of
from cxai.simulator.bodies import VARIANTS, result_json
scenario = Scenario(**json.loads(sys.argv[1]))
behaviours = [repr(behaviour_of(scenario, line.strip())) for line in sys.stdin]
bodies = [result_json(scenario.seed, variant) for variant in range(VARIANTS)]
print(blake2b(repr((behaviours, bodies)).encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_every_id_the_same_behaviour_and_body(hash_seed):
    ids = interaction_ids(200)
    shares = {kind: MIXED.share(kind) for kind in Kind if kind is not Kind.OK}

    elsewhere = subprocess.run(
        [sys.executable, "-c", FINGERPRINT, json.dumps({"seed": MIXED.seed} | shares)],
        input="\n".join(ids),
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    here = repr(
        (
            [repr(behaviour_of(MIXED, i)) for i in ids],
            [result_json(MIXED.seed, variant) for variant in range(VARIANTS)],
        )
    )
    assert elsewhere.stdout.strip() == blake2b(here.encode()).hexdigest()


async def test_order_of_requests_changes_nothing():
    ids = interaction_ids(60)

    async def replies(order):
        async with simulate(MIXED) as sim:
            return {i: [await ask(sim, result(i)) for _ in range(3)] for i in order}

    def seen(replies):
        return {
            i: [(code, headers.get("Content-Encoding"), body) for code, headers, body in three]
            for i, three in replies.items()
        }

    assert seen(await replies(ids)) == seen(await replies(reversed(ids)))


def test_another_seed_gives_other_behaviour_and_other_bodies():
    ids = interaction_ids(100)
    other = Scenario(seed=8, missing=0.5)
    scenario = Scenario(seed=7, missing=0.5)

    assert [behaviour_of(scenario, i).kind for i in ids] != [
        behaviour_of(other, i).kind for i in ids
    ]
    assert result_json(7, 0) != result_json(8, 0)


def test_each_problem_gets_its_share_of_the_ids():
    scenario = Scenario(missing=0.3, erring=0.2, garbled=0.05)

    kinds = Counter(behaviour_of(scenario, i).kind for i in interaction_ids(10_000))

    assert set(kinds) == {Kind.OK, Kind.MISSING, Kind.ERRING, Kind.GARBLED}
    assert kinds[Kind.MISSING] == pytest.approx(3_000, rel=0.1)
    assert kinds[Kind.ERRING] == pytest.approx(2_000, rel=0.1)
    assert kinds[Kind.GARBLED] == pytest.approx(500, rel=0.2)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OK])
def test_a_share_of_1_is_every_id(kind):
    scenario = Scenario(**{kind: 1.0})

    assert {behaviour_of(scenario, i).kind for i in interaction_ids(500)} == {kind}


def test_ids_are_spread_over_bodies_that_all_differ():
    assert len({result_json(1, variant) for variant in range(VARIANTS)}) == VARIANTS
    assert {behaviour_of(Scenario(), i).variant for i in interaction_ids(1_000)} == set(
        range(VARIANTS)
    )


@pytest.mark.parametrize("kind", ["missing", "abandoned", "failed", "broken", "garbled"])
def test_no_result_is_expected_of_an_id_that_never_has_one(kind):
    scenario = Scenario(**{kind: 1.0})

    assert not behaviour_of(scenario, ID).has_result
    with pytest.raises(ValueError, match=kind):
        expected_result(scenario, ID)
