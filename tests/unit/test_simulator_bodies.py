"""The results that the simulator sends look like those of the API."""

import json
import struct

import pytest

from cxai.simulator.bodies import VARIANTS, result_json


def test_results_are_in_the_shape_and_sizes_of_the_api():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]

    sizes = sorted(map(len, bodies))
    assert 1_500 < sizes[0] < 2_500
    assert 15_000 < sizes[VARIANTS // 2] < 25_000
    assert 50_000 < sizes[-1] < 65_000
    participants = [p for body in bodies for p in json.loads(body).values()]
    assert {len(json.loads(body)) for body in bodies} == {3}
    assert {tuple(p) for p in participants} == {("enlightenBundles", "voiceActivitySegments")}
    assert {bundle["name"] for p in participants for bundle in p["enlightenBundles"]} == {
        "Customer Satisfaction",
        "Vulnerable Customer",
        "Sales Effectiveness",
    }
    assert any(p["voiceActivitySegments"] is None for p in participants)
    assert any(p["voiceActivitySegments"] for p in participants)
    assert any(p["enlightenBundles"] == [] for p in participants)


def numbers_of(bodies, *names):
    for body in bodies:
        for part in json.loads(body).values():
            for bundle in part["enlightenBundles"]:
                for model in bundle["models"]:
                    yield from (model[name] for name in names)


def test_scores_are_32_bit_floats_written_shortest_and_as_large_as_the_published_ones():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]
    quartiles = (f"quartile{n}" for n in range(1, 5))
    scores = set(numbers_of(bodies, "score", "minScore", "maxScore", *quartiles))
    as_singles = {struct.unpack("<f", struct.pack("<f", score))[0] for score in scores}
    assert len(as_singles) == len(scores)
    assert max(len(repr(abs(score)).replace(".", "").strip("0")) for score in scores) <= 9
    assert min(map(abs, scores)) == pytest.approx(0.39, abs=0.01)
    assert max(map(abs, scores)) == pytest.approx(6.55, abs=0.01)
    assert {score > 0 for score in scores} == {True, False}


def test_models_have_the_names_that_the_vendor_uses():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]
    names = {}
    for body in bodies:
        for bundle in json.loads(body)["allParticipants"]["enlightenBundles"]:
            names.setdefault(bundle["name"], set()).update(m["name"] for m in bundle["models"])
    assert len(names["Customer Satisfaction"]) == 12
    assert {"Sentiment", "SpeechVelocity"} < names["Customer Satisfaction"]
    assert len(names["Sales Effectiveness"]) == 9
