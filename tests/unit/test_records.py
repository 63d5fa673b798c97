import json
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from support.bodies import as_body, results, sample

from worker.api.wire import read
from worker.domain.bands import Bands
from worker.domain.entry import Entry
from worker.domain.records import PART_SETS, PARTICIPANTS, Shape, nested, tables
from worker.domain.reply import Failure, Interaction, Trouble
from worker.domain.verdict import Stage, Verdict
from worker.output.lines import Lines, timestamp

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC)
AT_TEXT = "2025-01-31T02:03:04.005Z"
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
    found = read(as_body(sample() if value is None else value))
    assert isinstance(found, Interaction)
    return found


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
    row = nested(ID, found, AT_TEXT, None)
    assert row == {
        "interaction_id": ID,
        "schema_version": 1,
        "retrieved_at": AT_TEXT,
        **found.participants,
    }
    assert list(row) == ["interaction_id", "schema_version", "retrieved_at", *PARTICIPANTS]


def test_unknown_fields_come_last_in_a_nested_record():
    row = nested(ID, interaction(drifted()), AT_TEXT, BANDS)
    model = row["all_participants"]["enlighten_bundles"][0]["models"][0]
    assert list(row)[-1] == "extra"
    assert list(model)[-2:] == ["band", "extra"]
    assert row["extra"] == {"n0": 0}
    assert model["extra"] == {"n3": 3}


# --- tables ---


def test_tables_have_a_row_per_interaction_score_and_segment():
    rows = tables(ID, interaction(), AT_TEXT, None)
    assert rows["interactions"] == [
        {
            "interaction_id": ID,
            "schema_version": 1,
            "retrieved_at": AT_TEXT,
            "all_participants": {
                "bundles": [
                    {"name": "Customer Satisfaction", "models": 1},
                    {"name": "Vulnerable Customer", "models": 0},
                ],
                "segments": 2,
            },
            "participant_one": {"bundles": None, "segments": None},
            "participant_two": {"bundles": [], "segments": 0},
        }
    ]
    assert [list(row.items()) for row in rows["scores"]] == [
        [
            ("interaction_id", ID),
            ("participant", "all_participants"),
            ("bundle", "Customer Satisfaction"),
            ("bundle_index", 0),
            ("model", "ActiveListening"),
            ("model_index", 0),
            ("score", -4.169592),
            ("min_score", -3.1514606),
            ("min_score_offset", 75345),
            ("max_score", 2.0),
            ("max_score_offset", 196550.5),
            ("quartile1", -4.7154593),
            ("quartile2", 0.39559406),
            ("quartile3", 1.9443647),
            ("quartile4", -6.545092),
        ]
    ]
    assert [list(row.items()) for row in rows["segments"]][1] == [
        ("interaction_id", ID),
        ("participant", "all_participants"),
        ("segment_index", 1),
        ("start_time_offset", 1000),
        ("end_time_offset", 39000),
        ("result", "silence"),
    ]


def test_unknown_fields_come_last_in_the_row_of_what_had_them():
    rows = tables(ID, interaction(drifted()), AT_TEXT, BANDS)
    row = rows["interactions"][0]
    assert list(row)[-1] == "extra"
    assert row["extra"] == {"n0": 0}
    assert row["all_participants"]["extra"] == {"n1": 1}
    assert row["all_participants"]["bundles"][0]["extra"] == {"n2": 2}
    assert list(rows["scores"][0])[-2:] == ["band", "extra"]
    assert rows["scores"][0]["extra"] == {"n3": 3}
    assert [segment.get("extra") for segment in rows["segments"]] == [{"n4": 4}, None]


def rebuilt(rows):
    """Return the nested record that `rows` were made from."""
    (row,) = rows["interactions"]
    head = {key: value for key, value in row.items() if key not in ("extra", *PARTICIPANTS)}
    participants = {name: participant(rows, name, row[name]) for name in PARTICIPANTS}
    return {**head, **participants, **extra(row)}


def participant(rows, name, summary):
    if summary is None:
        return None
    scores = iter([row for row in rows["scores"] if row["participant"] == name])
    segments = [row for row in rows["segments"] if row["participant"] == name]
    bundles = summary["bundles"] and [bundle(scores, each) for each in summary["bundles"]]
    assert not list(scores)
    assert len(segments) == (summary["segments"] or 0)
    return {
        "enlighten_bundles": bundles,
        "voice_activity_segments": None
        if summary["segments"] is None
        else [without(row, "interaction_id", "participant", "segment_index") for row in segments],
        **extra(summary),
    }


def bundle(scores, summary):
    models = None if summary["models"] is None else []
    for index in range(summary["models"] or 0):
        row = next(scores)
        assert row["bundle"] == summary["name"]
        assert row["model_index"] == index
        keys = ("interaction_id", "participant", "bundle", "bundle_index", "model", "model_index")
        models.append({"name": row["model"], **without(row, *keys)})
    return {"name": summary["name"], "models": models, **extra(summary)}


def extra(owner):
    return {"extra": owner["extra"]} if "extra" in owner else {}


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


@pytest.mark.parametrize("bands", [None, BANDS])
@given(value=results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_the_tables_hold_all_that_the_nested_record_holds_in_the_same_order(bands, value):
    body = orjson.dumps(value)
    as_tables = tables(ID, read(body), AT_TEXT, bands)
    as_nested = nested(ID, read(body), AT_TEXT, bands)
    assert orjson.dumps(rebuilt(as_tables)) == orjson.dumps(as_nested)


# --- bands ---


def test_with_bands_every_score_has_one_or_null():
    value = sample()
    models = value["allParticipants"]["enlightenBundles"][0]["models"]
    models += [{**models[0], "score": 1}, {**models[0], "score": None}]
    rows = tables(ID, interaction(value), AT_TEXT, BANDS)["scores"]
    record = nested(ID, interaction(value), AT_TEXT, BANDS)
    models = record["all_participants"]["enlighten_bundles"][0]["models"]
    assert [row["band"] for row in rows] == [row["band"] for row in models] == ["low", None, None]


@EVERY_SHAPE
def test_without_bands_there_is_no_such_key(shape):
    lines = b"".join(Lines(shape).record(ID, interaction(), AT).values())
    assert b'"band"' not in lines


# --- lines ---


@EVERY_SHAPE
@pytest.mark.parametrize("bands", [None, BANDS])
def test_the_same_interaction_gives_the_same_bytes_each_time(shape, bands):
    found, lines = interaction(drifted()), Lines(shape, bands)
    first = lines.record(ID, found, AT)
    assert lines.record(ID, found, AT) == first
    assert lines.record(ID, interaction(drifted()), AT) == first


@EVERY_SHAPE
@given(value=results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_every_row_is_one_line_whatever_its_texts_hold(shape, value):
    found = read(orjson.dumps(value))
    lines = Lines(shape).record(ID, found, AT)
    rows = (
        {"records": [nested(ID, found, AT_TEXT, None)]}
        if shape is Shape.NESTED
        else tables(ID, found, AT_TEXT, None)
    )
    for name in PART_SETS[shape]:
        written = lines.get(name, b"")
        assert written == b"" or written.endswith(b"\n")
        assert [json.loads(line) for line in written.split(b"\n")[:-1]] == rows.get(name, [])


def test_line_separators_in_texts_stay_within_the_line():
    value = sample()
    value["allParticipants"]["enlightenBundles"][0]["name"] = "a\u2028b\nc\rd\u0085"
    (line,) = Lines(Shape.NESTED).record(ID, interaction(value), AT).values()
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert "a\u2028b\\nc\\rd".encode() in line


def test_unknown_objects_that_look_like_rows_stay_within_their_line():
    value = sample()
    rows_alike = [{"interaction_id": ID, "participant": "x"}, {"interaction_id": ID}]
    bundle = value["allParticipants"]["enlightenBundles"][0]
    bundle["models"] = [{**bundle["models"][0], "history": rows_alike}] * 2
    bundle["models"][0]["name"] = '},{"interaction_id":'
    lines = Lines(Shape.TABLES).record(ID, interaction(value), AT)
    scores = [json.loads(line) for line in lines["scores"].splitlines()]
    assert [row["extra"]["history"] for row in scores] == [rows_alike] * 2
    assert lines["segments"].count(b"\n") == 2


def test_a_set_without_rows_has_no_lines():
    lines = Lines(Shape.TABLES).record(ID, interaction({"participantOne": None}), AT)
    assert list(lines) == ["interactions"]


@EVERY_SHAPE
def test_all_lines_belong_to_the_sets_of_their_shape(shape):
    lines = Lines(shape)
    failure = lines.failure(entry(), Verdict.NOT_FOUND, "why", Stage.HEADERS, 1, AT)
    assert {*lines.record(ID, interaction(), AT), *failure} == set(PART_SETS[shape])


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
    found = Lines(shape).record(ID, read(body), AT)
    assert isinstance(found, Failure)
    assert (found.trouble, found.stage) == (Trouble.NOT_A_RESULT, Stage.VALIDATE)
    assert "nested too deeply" in found.reason


# --- failures ---


def entry(**fields):
    return Entry(**{"key": b"k", "id": ID, "source": "ids.txt", "line": 7, **fields})


def test_a_failure_tells_what_why_where_and_when():
    lines = Lines(Shape.TABLES)
    (line,) = lines.failure(entry(), Verdict.REJECTED, "HTTP 400", Stage.HEADERS, 2, AT).values()
    assert line == (
        b'{"interaction_id":"0f8fad5b-d9cb-469f-a165-70867728950e","verdict":"rejected",'
        b'"reason":"HTTP 400","stage":"headers","attempts":2,"source":"ids.txt","line":7,'
        b'"at":"2025-01-31T02:03:04.005Z"}\n'
    )


def test_a_source_whose_name_is_no_unicode_is_shown_escaped():
    named = entry(source=b"caf\xe9.txt".decode("utf-8", "surrogateescape"))
    lines = Lines(Shape.NESTED).failure(named, Verdict.INVALID_ID, "why", Stage.INPUT, 0, AT)
    assert json.loads(lines["failures"])["source"] == "caf\\udce9.txt"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, AT_TEXT),
        (datetime(2025, 1, 31, tzinfo=UTC), "2025-01-31T00:00:00.000Z"),
        (datetime(2025, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2024-12-31T23:00:00.000Z"),
        (datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2025-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(at, text):
    assert timestamp(at) == text
