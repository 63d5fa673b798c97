"""What every resource promises, whatever the API sends; each is opened as a run opens it."""

import json
import re
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import json_values, results
from support.store import RUN_ID

from cxai.core.layout import FAILURES
from cxai.errors import UsageError
from cxai.policy.reply import Failure, FailureKind, Record
from cxai.policy.verdict import FailureStage
from cxai.resources.drift import MAX_UNKNOWN
from cxai.resources.options import RowOptions, ScoreRanges, Shape
from cxai.resources.registry import RESOURCES, all_part_sets, layout_of, open_resource

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC)

EVERY_RESOURCE = pytest.mark.parametrize("name", RESOURCES)
EVERY_SHAPE = pytest.mark.parametrize("shape", Shape)

bodies = (
    st.binary(max_size=100)
    | json_values.map(orjson.dumps)
    | results(deviating=True).map(orjson.dumps)
)


def opened(name, shape):
    return open_resource(name, RowOptions(shape, RUN_ID))


@EVERY_RESOURCE
@EVERY_SHAPE
def test_it_has_the_name_it_is_registered_by_and_a_path_below_the_interaction(name, shape):
    resource = opened(name, shape)
    assert resource.layout == layout_of(name)
    assert resource.layout.resource == name
    assert resource.layout.schema_version >= 1
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)*", resource.path)
    assert resource.path != "status"


@EVERY_RESOURCE
@EVERY_SHAPE
def test_its_part_sets_can_be_names_of_files_and_are_not_that_of_the_failures(name, shape):
    sets = opened(name, shape).layout.shapes[shape]
    assert sets
    assert len(set(sets)) == len(sets)
    assert all(re.fullmatch("[a-z_]+", part_set) for part_set in sets)
    assert FAILURES not in sets


@EVERY_RESOURCE
def test_its_part_sets_are_among_those_of_all_resources(name):
    assert layout_of(name).all_sets <= all_part_sets()


def test_an_export_of_a_resource_that_is_not_known_is_refused_by_name():
    with pytest.raises(UsageError, match=r"the resource no_such, but .* only supports cx_ai"):
        layout_of("no_such")


@EVERY_RESOURCE
@EVERY_SHAPE
@given(body=bodies)
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_the_same_record_each_time_or_a_failure(name, shape, body):
    resource = opened(name, shape)
    found = resource.read(ID, body, AT)
    assert resource.read(ID, body, AT) == found
    if isinstance(found, Failure):
        assert (found.kind, found.stage) in {
            (FailureKind.NOT_JSON, FailureStage.PARSE),
            (FailureKind.NOT_A_RESULT, FailureStage.VALIDATE),
        }
        assert 0 < len(found.reason) <= 200
    else:
        assert_whole_lines(resource.layout, shape, found)


def assert_whole_lines(layout, shape, found):
    assert isinstance(found, Record)
    assert_bounded(found.drift)
    first, *_ = layout.shapes[shape]
    assert found.lines.keys() <= set(layout.shapes[shape])
    assert found.lines[first].count(b"\n") == 1  # it has one row per interaction
    for lines in found.lines.values():
        assert lines.endswith(b"\n")
        for line in lines.split(b"\n")[:-1]:
            assert list(json.loads(line).items())[:4] == [
                ("interaction_id", ID),
                ("schema_version", layout.schema_version),
                ("retrieved_at", "2025-01-31T02:03:04.005Z"),
                ("run_id", RUN_ID),
            ]


def assert_bounded(drift):
    assert len(drift.unknown) <= MAX_UNKNOWN
    paths = [*drift.unknown, *drift.absent]
    assert len(set(paths)) == len(paths)
    assert all(path.isprintable() and len(path) <= 200 for path in paths)


@EVERY_RESOURCE
def test_score_ranges_are_used_or_refused_and_never_passed_over(name, tmp_path):
    file = tmp_path / "bands.toml"
    file.write_text('[[table]]\nbundle = "B"\nbands = [{ name = "low", upper = 0 }]\n')
    options = RowOptions(Shape.NESTED, RUN_ID, ScoreRanges.read(file))
    try:
        resource = open_resource(name, options)
    except UsageError as error:
        assert "has no score ranges" in str(error)  # noqa: PT017 - one of two outcomes
    else:
        assert resource.bands_mark.name == "bands.toml"
