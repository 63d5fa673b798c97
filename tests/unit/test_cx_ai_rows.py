"""The rows of a CX AI result: one nested record, or three tables that hold the same."""

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from support.bodies import as_body, results, sample
from support.store import RUN_ID

from cxai.core.layout import FAILURES
from cxai.policy.reply import Failure, FailureKind
from cxai.policy.verdict import FailureStage
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.form import PARTICIPANTS, Interaction
from cxai.resources.cx_ai.layout import PART_SETS
from cxai.resources.cx_ai.read import read_interaction
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.cx_ai.rows import nested, tables
from cxai.resources.lines import as_text, stamped
from cxai.resources.options import Shape

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC)
AT_TEXT = "2025-01-31T02:03:04.005Z"
STAMP = stamped(ID, 2, AT, RUN_ID)
OF_EVERY_ROW = {
    "interaction_id": ID,
    "schema_version": 2,
    "retrieved_at": AT_TEXT,
    "run_id": RUN_ID,
}
BANDS = Bands(
    {
        "table": [
            {"bundle": "Customer Satisfaction", "bands": [{"name": "low", "upper": 0}]},
            {"bundle": "B", "model": "M", "bands": [{"name": "high", "lower": 0}]},
        ]
    }
)
EVERY_SHAPE = pytest.mark.parametrize("shape", list(Shape))
ANY_SIZE = [HealthCheck.too_slow, HealthCheck.data_too_large]


def interaction(value=None):
    found = read_interaction(as_body(sample() if value is None else value))
    assert isinstance(found, Interaction)
    return found


def lines_of(shape, value, bands=None):
    """Return the lines of a result, by part set."""
    return CxAi(shape, RUN_ID, bands).read(ID, orjson.dumps(value), AT).lines


def stamped_tables(found, bands):
    """Return the rows of all tables as they are written."""
    by_table = tables(found, bands)
    return {name: [{**STAMP, **row} for row in rows] for name, rows in by_table.items()}


def drifted():
    """Return the sample with an unknown field in every kind of object."""
    value = sample()
    value["n0"] = 0
    everyone = value["allParticipants"]
    everyone["n1"] = 1
    everyone["enlightenBundles"][0]["n2"] = 2
    everyone["enlightenBundles"][0]["models"][0]["n3"] = 3
    everyone["voiceActivitySegments"][0]["n4"] = 4
    return value


# --- nested ---


def test_a_nested_record_is_the_result_behind_its_own_columns():
    found = interaction()
    row = nested(STAMP, found, None)
    assert row == {**OF_EVERY_ROW, **found.participants}
    assert list(row) == [*OF_EVERY_ROW, *PARTICIPANTS]


def test_unknown_fields_come_last_in_a_nested_record():
    row = nested(STAMP, interaction(drifted()), BANDS)
    model = row["all_participants"]["enlighten_bundles"][0]["models"][0]
    assert list(row)[-1] == "extra"
    assert list(model)[-2:] == ["band", "extra"]
    assert row["extra"] == {"n0": 0}
    assert model["extra"] == {"n3": 3}


# --- tables ---


def test_tables_have_a_row_per_interaction_score_and_segment():
    rows = stamped_tables(interaction(), None)
    (row,) = rows["interactions"]
    assert list(row.items()) == [
        *OF_EVERY_ROW.items(),
        ("all_participants_present", True),
        ("all_participants_bundles", 2),
        ("all_participants_models", 1),
        ("all_participants_segments", 2),
        (
            "all_participants_bundle_list",
            as_text(
                [
                    {"name": "Customer Satisfaction", "models": 1},
                    {"name": "Vulnerable Customer", "models": 0},
                ]
            ),
        ),
        ("all_participants_extra", None),
        ("participant_one_present", True),
        ("participant_one_bundles", None),
        ("participant_one_models", None),
        ("participant_one_segments", None),
        ("participant_one_bundle_list", None),
        ("participant_one_extra", None),
        ("participant_two_present", True),
        ("participant_two_bundles", 0),
        ("participant_two_models", 0),
        ("participant_two_segments", 0),
        ("participant_two_bundle_list", "[]"),
        ("participant_two_extra", None),
        ("extra", None),
    ]
    assert [list(row.items()) for row in rows["scores"]] == [
        [
            *OF_EVERY_ROW.items(),
            ("participant", "all_participants"),
            ("bundle", "Customer Satisfaction"),
            ("bundle_index", 0),
            ("model", "ActiveListening"),
            ("model_index", 0),
            ("score", -4.169592),
            ("min_score", -3.1514606),
            ("min_score_offset", 75345.0),
            ("max_score", 2.0),
            ("max_score_offset", 196550.5),
            ("quartile1", -4.7154593),
            ("quartile2", 0.39559406),
            ("quartile3", 1.9443647),
            ("quartile4", -6.545092),
            ("band", None),
            ("extra", None),
        ]
    ]
    assert [list(row.items()) for row in rows["segments"]][1] == [
        *OF_EVERY_ROW.items(),
        ("participant", "all_participants"),
        ("segment_index", 1),
        ("start_time_offset", 1000.0),
        ("end_time_offset", 39000.0),
        ("result", "silence"),
        ("extra", None),
    ]


def test_unknown_fields_are_json_text_in_the_row_of_what_had_them():
    rows = stamped_tables(interaction(drifted()), BANDS)
    row = rows["interactions"][0]
    assert list(row)[-1] == "extra"
    assert row["extra"] == '{"n0":0}'
    assert row["all_participants_extra"] == '{"n1":1}'
    bundles = json.loads(row["all_participants_bundle_list"])
    assert [bundle.get("extra") for bundle in bundles] == [{"n2": 2}, None]
    assert list(rows["scores"][0])[-2:] == ["band", "extra"]
    assert rows["scores"][0]["extra"] == '{"n3":3}'
    assert [segment["extra"] for segment in rows["segments"]] == ['{"n4":4}', None]


@pytest.mark.parametrize(
    "unknown", [1, "text", None, [1, {"a": 2}], {"Key": 1, "key": "2", "KEY": None}]
)
def test_an_unknown_field_is_text_whatever_its_type_with_its_keys_as_sent(unknown):
    value = sample()
    value["allParticipants"]["voiceActivitySegments"][0]["Mood"] = unknown
    value["allParticipants"]["voiceActivitySegments"][0]["mood"] = 0
    row = stamped_tables(interaction(value), None)["segments"][0]
    assert row["extra"] == as_text({"Mood": unknown, "mood": 0})


@given(value=results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_every_row_of_a_table_has_the_same_columns_and_holds_single_values(value):
    rows = stamped_tables(read_interaction(orjson.dumps(value)), None)
    whole = stamped_tables(interaction(drifted()), BANDS)
    for name, of_table in rows.items():
        for row in of_table:
            assert list(row) == list(whole[name][0])
            assert not any(isinstance(single, dict | list) for single in row.values())


def rebuilt(rows, *, banded):
    """Return the nested record that `rows` were made from."""
    (row,) = rows["interactions"]
    participants = {name: participant(rows, name, row, banded) for name in PARTICIPANTS}
    return {**{key: row[key] for key in OF_EVERY_ROW}, **participants, **extra(row["extra"])}


def participant(rows, name, row, banded):
    summary = {key.removeprefix(f"{name}_"): row[key] for key in row if key.startswith(name)}
    if not summary["present"]:
        assert {key for key, value in summary.items() if value is not None} == {"present"}
        return None
    scores = [each for each in rows["scores"] if each["participant"] == name]
    segments = [each for each in rows["segments"] if each["participant"] == name]
    bundles = summary["bundle_list"] and json.loads(summary["bundle_list"])
    assert summary["bundles"] == (None if bundles is None else len(bundles))
    assert summary["models"] == (None if bundles is None else len(scores))
    assert len(segments) == (summary["segments"] or 0)
    place = (*OF_EVERY_ROW, "participant", "segment_index", "extra")
    left = iter(scores)
    return {
        "enlighten_bundles": bundles and [bundle(left, each, banded) for each in bundles],
        "voice_activity_segments": None
        if summary["segments"] is None
        else [{**without(each, *place), **extra(each["extra"])} for each in segments],
        **extra(summary["extra"]),
    }


def bundle(scores, listed, banded):
    models = None if listed["models"] is None else []
    for index in range(listed["models"] or 0):
        row = next(scores)
        assert row["bundle"] == listed["name"]
        assert row["model_index"] == index
        place = ("participant", "bundle", "bundle_index", "model", "model_index")
        other = (*OF_EVERY_ROW, *place, "extra", *(() if banded else ("band",)))
        models.append({"name": row["model"], **without(row, *other), **extra(row["extra"])})
    return {**listed, "models": models}


def extra(as_text):
    return {} if as_text is None else {"extra": json.loads(as_text)}


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


@pytest.mark.parametrize("bands", [None, BANDS])
@given(value=results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_the_tables_hold_all_that_the_nested_record_holds_in_the_same_order(bands, value):
    body = orjson.dumps(value)
    as_tables = stamped_tables(read_interaction(body), bands)
    as_nested = nested(STAMP, read_interaction(body), bands)
    again = rebuilt(as_tables, banded=bands is not None)
    assert orjson.dumps(again) == orjson.dumps(as_nested)


# --- bands ---


def test_with_bands_every_score_has_one_or_null():
    value = sample()
    models = value["allParticipants"]["enlightenBundles"][0]["models"]
    models += [{**models[0], "score": 1}, {**models[0], "score": None}]
    rows = stamped_tables(interaction(value), BANDS)["scores"]
    record = nested(STAMP, interaction(value), BANDS)
    models = record["all_participants"]["enlighten_bundles"][0]["models"]
    assert [row["band"] for row in rows] == [row["band"] for row in models] == ["low", None, None]


def test_without_bands_a_nested_record_has_no_such_key():
    (line,) = lines_of(Shape.NESTED, sample()).values()
    assert b'"band"' not in line


# --- lines ---


@EVERY_SHAPE
@pytest.mark.parametrize("bands", [None, BANDS])
def test_the_same_interaction_gives_the_same_bytes_each_time(shape, bands):
    first = lines_of(shape, drifted(), bands)
    assert lines_of(shape, drifted(), bands) == first


@EVERY_SHAPE
@given(value=results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_every_row_is_one_line_whatever_its_texts_hold(shape, value):
    found = read_interaction(orjson.dumps(value))
    lines = lines_of(shape, value)
    rows = (
        {"records": [nested(STAMP, found, None)]}
        if shape is Shape.NESTED
        else stamped_tables(found, None)
    )
    for name in PART_SETS[shape]:
        written = lines.get(name, b"")
        assert written == b"" or written.endswith(b"\n")
        assert [json.loads(line) for line in written.split(b"\n")[:-1]] == rows.get(name, [])


def test_line_separators_in_texts_stay_within_the_line():
    value = sample()
    value["allParticipants"]["enlightenBundles"][0]["name"] = "a\u2028b\nc\rd\u0085"
    (line,) = lines_of(Shape.NESTED, value).values()
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert "a\u2028b\\nc\\rd".encode() in line


def test_unknown_objects_that_look_like_rows_stay_within_their_line():
    value = sample()
    rows_alike = [{"interaction_id": ID, "participant": "x"}, {"interaction_id": ID}]
    bundle = value["allParticipants"]["enlightenBundles"][0]
    bundle["models"] = [{**bundle["models"][0], "history": rows_alike}] * 2
    bundle["models"][0]["name"] = '},{"interaction_id":'
    lines = lines_of(Shape.TABLES, value)
    scores = [json.loads(line) for line in lines["scores"].splitlines()]
    assert [json.loads(row["extra"])["history"] for row in scores] == [rows_alike] * 2
    assert lines["segments"].count(b"\n") == 2


def test_a_set_without_rows_has_no_lines():
    lines = lines_of(Shape.TABLES, {"participantOne": None})
    assert list(lines) == ["interactions"]


@EVERY_SHAPE
def test_all_lines_belong_to_the_sets_of_their_shape(shape):
    assert {*lines_of(shape, sample()), FAILURES} == set(PART_SETS[shape])


@EVERY_SHAPE
@pytest.mark.parametrize("place", ["top", "participant", "model"])
def test_a_result_that_nests_too_deeply_to_be_written_is_a_failure(shape, place):
    value = sample()
    owner = {
        "top": value,
        "participant": value["allParticipants"],
        "model": value["allParticipants"]["enlightenBundles"][0]["models"][0],
    }[place]
    owner["deep"] = "DEEP"
    body = as_body(value).replace(b'"DEEP"', b"[" * 1000 + b"]" * 1000)
    found = CxAi(shape, RUN_ID).read(ID, body, AT)
    assert isinstance(found, Failure)
    assert (found.kind, found.stage) == (FailureKind.NOT_A_RESULT, FailureStage.VALIDATE)
    assert "nested too deeply" in found.reason
