import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.layout import NO_BANDS, BandsMark
from cxai.errors import UsageError
from cxai.resources.cx_ai.bands import Bands, load_bands
from cxai.resources.options import ScoreRanges

EXAMPLE = Path(__file__).parents[2] / "config" / "score_bands.example.toml"


def table(*bands, bundle="B", model="M"):
    named = {"bundle": bundle, "bands": list(bands)}
    return {**named, "model": model} if model is not None else named


def band(name, lower=None, upper=None):
    bounds = {"lower": lower, "upper": upper}
    return {"name": name, **{key: value for key, value in bounds.items() if value is not None}}


LOW_MIDDLE_HIGH = Bands(
    {"table": [table(band("low", upper=-1.5), band("middle", -1.5, 2), band("high", lower=2))]}
)
WITH_GAPS = Bands(
    {"table": [table(band("later", 5, 6), band("sooner", 1, 2), band("sooner", 3, 4))]}
)


@pytest.mark.parametrize(
    ("bands", "score", "name"),
    [
        (LOW_MIDDLE_HIGH, -1e308, "low"),
        (LOW_MIDDLE_HIGH, -1.5, "low"),
        (LOW_MIDDLE_HIGH, math.nextafter(-1.5, 0), "middle"),
        (LOW_MIDDLE_HIGH, 0.0, "middle"),
        (LOW_MIDDLE_HIGH, 2, "middle"),
        (LOW_MIDDLE_HIGH, 2.0000001, "high"),
        (LOW_MIDDLE_HIGH, 1e308, "high"),
        (WITH_GAPS, 1.0, None),
        (WITH_GAPS, 1.5, "sooner"),
        (WITH_GAPS, 2.5, None),
        (WITH_GAPS, 4.0, "sooner"),
        (WITH_GAPS, 5.0, None),
        (WITH_GAPS, 6.0, "later"),
        (WITH_GAPS, 6.1, None),
        (WITH_GAPS, None, None),
    ],
)
def test_lower_bounds_are_exclusive_and_upper_bounds_inclusive(bands, score, name):
    assert bands.band("B", "M", score) == name


@pytest.mark.parametrize(
    ("bundle", "model", "name"),
    [
        ("B", "M", "of the model"),
        ("B", "another", "of the bundle"),
        ("B", "m", "of the bundle"),
        ("B", None, "of the bundle"),
        ("another", "M", None),
        (None, "M", None),
        (None, None, None),
    ],
)
def test_a_models_own_table_goes_before_its_bundles(bundle, model, name):
    tables = [table(band("of the bundle"), model=None), table(band("of the model"))]
    assert Bands({"table": tables}).band(bundle, model, 0.0) == name


def test_a_score_outside_of_its_models_table_has_no_band_of_the_bundle():
    tables = [table(band("of the bundle"), model=None), table(band("of the model", upper=0))]
    assert Bands({"table": tables}).band("B", "M", 1.0) is None


@given(
    bounds=st.lists(st.floats(-10, 10), min_size=2, max_size=9, unique=True).map(sorted),
    score=st.floats(-11, 11),
)
def test_the_band_is_the_one_that_holds_the_score(bounds, score):
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
    bands = Bands({"table": [table(*(band(f"{n}", *pair) for n, pair in enumerate(pairs)))]})
    holding = [f"{n}" for n, (lower, upper) in enumerate(pairs) if lower < score <= upper]
    assert bands.band("B", "M", score) == (holding[0] if holding else None)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "at least one [[table]]"),
        ({"table": []}, "at least one [[table]]"),
        ({"table": {"bundle": "B"}}, "at least one [[table]]"),
        ({"table": ["B"]}, "at least one [[table]]"),
        ({"table": [table(band("a"))], "tabel": 1}, "unknown key 'tabel'"),
        ({"table": [{"model": "M"}]}, 'table 1: it needs bundle = "..."'),
        ({"table": [table(band("a"), model=7)]}, "or no model"),
        ({"table": [{**table(band("a")), "modle": "M"}]}, "(B / M): unknown key 'modle'"),
        ({"table": [table()]}, "(B / M): it needs bands"),
        ({"table": [{"bundle": "B"}]}, "(B / every model): it needs bands"),
        ({"table": [table("low")]}, "it needs bands"),
        ({"table": [table({"upper": 1})]}, 'each band needs name = "..."'),
        ({"table": [table({"name": "a", "uper": 1})]}, "band 'a': unknown key 'uper'"),
        ({"table": [table(band("a", lower="1"))]}, "lower must be a number"),
        ({"table": [table(band("a", upper=True))]}, "upper must be a number"),
        ({"table": [table(band("a", upper=math.inf))]}, "leave it out where there is no end"),
        ({"table": [table(band("a", upper=math.nan))]}, "upper must be a number"),
        ({"table": [table(band("a", upper=10**400))]}, "upper must be a number"),
        ({"table": [table(band("a", 1, 1))]}, "lower 1 must be below upper 1"),
        ({"table": [table(band("a", 2, 1))]}, "lower 2 must be below upper 1"),
        ({"table": [table(band("a", 0, 2), band("b", 1, 3))]}, "bands 'a' and 'b' overlap"),
        ({"table": [table(band("a", 0, 9), band("b", 1, 2))]}, "bands 'a' and 'b' overlap"),
        ({"table": [table(band("a")), table(band("b"))]}, "table 2 (B / M): has two tables"),
    ],
)
def test_ranges_that_can_not_be_meant_are_refused_by_name(config, words):
    with pytest.raises(UsageError) as refused:
        Bands(config)
    assert words in str(refused.value)


# --- the file ---


def test_the_example_is_in_force_only_once_it_is_filled_in():
    with pytest.raises(UsageError, match=r"example\.toml: holds no score ranges"):
        load_bands(ScoreRanges.read(EXAMPLE))


def test_the_example_has_the_right_form(tmp_path):
    prose = re.compile(r"# \S")
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    filled_in = tmp_path / "bands.toml"
    filled_in.write_text(
        "\n".join(line.removeprefix("#") for line in lines if not prose.match(line))
    )
    bands = load_bands(ScoreRanges.read(filled_in))
    assert bands.band("Customer Satisfaction", "ActiveListening", -1.5) == "made-up low"
    assert bands.band("Sales Effectiveness", "any", 0.1) == "made-up frequent"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[[table]", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"[[table]]", "table 1: it needs bundle"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(tmp_path, content, words):
    file = tmp_path / "ranges.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words) as refused:
        load_bands(ScoreRanges.read(file))
    assert str(file) in str(refused.value)


def test_a_file_that_can_not_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.toml: can't be read: No such file"):
        ScoreRanges.read(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        ScoreRanges.read(tmp_path)


def test_score_ranges_are_named_with_the_beginning_of_their_digest():
    assert str(BandsMark("0123456789abcdef", "ranges.toml")) == "ranges.toml (01234567)"
    assert str(NO_BANDS) == "none"
