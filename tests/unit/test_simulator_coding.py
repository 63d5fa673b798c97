"""The content coding that a client gets, and truncated bodies."""

import math
from collections import Counter

import pytest
from support.simulator import ALL_CODINGS, decode, interaction_ids

from cxai.simulator import Scenario, behaviour_of
from cxai.simulator.bodies import VARIANTS
from cxai.simulator.coding import choose, cut_short, encoded_result

LAST = math.nextafter(1.0, 0.0)


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("", {"identity"}),
        ("identity", {"identity"}),
        ("zstd, x-unknown", {"identity"}),
        ("br", {"br"}),
        ("GZIP", {"gzip"}),
        ("gzip, deflate, br", {"br", "gzip", "deflate"}),
        ("gzip;q=0.5, br;q=0", {"gzip"}),
        ("gzip; q=0.000, deflate; q=0.001", {"deflate"}),
        ("*", {"br", "gzip", "deflate"}),
        ("*, br;q=0", {"gzip", "deflate"}),
        ("gzip, *;q=0", {"gzip"}),
    ],
)
def test_only_accepted_codings_are_chosen(header, codings):
    draws = [n / 100 for n in range(100)] + [LAST]

    assert {choose(header, draw) for draw in draws} == codings


def test_most_bodies_are_br_some_gzip_a_few_deflate():
    scenario = Scenario()

    chosen = Counter(
        choose(ALL_CODINGS, behaviour_of(scenario, i).coding_draw) for i in interaction_ids(5_000)
    )

    assert chosen["br"] == pytest.approx(3_500, rel=0.1)
    assert chosen["gzip"] == pytest.approx(1_250, rel=0.1)
    assert chosen["deflate"] == pytest.approx(250, rel=0.3)


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate"])
@pytest.mark.parametrize("draw", [0.0, 0.5, LAST])
def test_no_cut_body_is_complete(coding, draw):
    for variant in range(VARIANTS):
        whole = encoded_result(1, variant, coding)

        assert decode(coding, whole)[1]
        assert not decode(coding, cut_short(whole, draw))[1]
