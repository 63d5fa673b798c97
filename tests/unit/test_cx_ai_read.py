"""The body of a CX AI result: what is a result, what is kept of it, and what is named as drift."""

import gzip
import math

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bodies import (
    as_body,
    body_with_model,
    body_with_score,
    json_values,
    results,
    sample,
)
from support.faithful import CAMEL, as_sent, covers

from cxai.policy.reply import NO_DRIFT, Drift, Failure, FailureKind
from cxai.policy.verdict import FailureStage
from cxai.resources.cx_ai.form import MAX_BUNDLE_NAME_CHARS, PARTICIPANTS, Interaction
from cxai.resources.cx_ai.read import MAX_ABSENT, read_interaction
from cxai.resources.drift import MAX_KEY_CHARS, MAX_UNKNOWN

MODEL_PATH = "allParticipants.enlightenBundles[].models[]"


def model_of(interaction):
    return interaction.participants["all_participants"]["enlighten_bundles"][0]["models"][0]


def failure(stage, reason):
    trouble = FailureKind.NOT_JSON if stage is FailureStage.PARSE else FailureKind.NOT_A_RESULT
    return Failure(trouble, stage, reason)


# --- the documented form ---


def test_fields_are_renamed_and_nothing_else_changes():
    assert read_interaction(as_body(sample())) == Interaction(
        {
            "all_participants": {
                "enlighten_bundles": [
                    {
                        "name": "Customer Satisfaction",
                        "models": [
                            {
                                "name": "ActiveListening",
                                "score": -4.169592,
                                "min_score": -3.1514606,
                                "min_score_offset": 75345,
                                "max_score": 2.0,
                                "max_score_offset": 196550.5,
                                "quartile1": -4.7154593,
                                "quartile2": 0.39559406,
                                "quartile3": 1.9443647,
                                "quartile4": -6.545092,
                            }
                        ],
                    },
                    {"name": "Vulnerable Customer", "models": []},
                ],
                "voice_activity_segments": [
                    {"start_time_offset": 0, "end_time_offset": 1000, "result": "voice"},
                    {"start_time_offset": 1000, "end_time_offset": 39000, "result": "silence"},
                ],
            },
            "participant_one": {"enlighten_bundles": None, "voice_activity_segments": None},
            "participant_two": {"enlighten_bundles": [], "voice_activity_segments": []},
        }
    )


def test_scores_and_offsets_are_floats_also_where_whole_numbers_were_sent():
    found = read_interaction(as_body(sample()))
    model = model_of(found)
    segment = found.participants["all_participants"]["voice_activity_segments"][0]
    for numbers in (model, segment):
        assert {type(value) for key, value in numbers.items() if key not in ("name", "result")} == {
            float
        }
    assert orjson.dumps(segment["end_time_offset"]) == b"1000.0"


def test_keys_stand_in_the_order_of_the_schema_however_they_were_sent():
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(element) for element in value] if isinstance(value, list) else value

    as_sent, other_way = (
        read_interaction(as_body(sample())),
        read_interaction(as_body(turned(sample()))),
    )
    assert orjson.dumps(as_sent.participants) == orjson.dumps(other_way.participants)


@pytest.mark.parametrize(
    "sent", [{"participantTwo": None}, {"participantTwo": None, "allParticipants": None}]
)
def test_a_participant_may_be_absent_or_null(sent):
    found = read_interaction(as_body(sent))
    assert found == Interaction(dict.fromkeys(PARTICIPANTS))
    assert tuple(found.participants) == PARTICIPANTS


def test_names_and_results_may_be_any_text_and_null():
    value = sample()
    value["allParticipants"]["voiceActivitySegments"][0]["result"] = "music"
    value["allParticipants"]["enlightenBundles"][0]["name"] = "A new bundle"
    value["allParticipants"]["enlightenBundles"][0]["models"][0]["name"] = None
    found = read_interaction(as_body(value))
    assert found.drift == NO_DRIFT
    assert found.participants["all_participants"]["voice_activity_segments"][0]["result"] == "music"


# --- what is no result ---


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty body"),
        (b" \r\n", "empty body"),
        (b"<!DOCTYPE html><html>secret</html>", "HTML or XML"),
        (b"\n <html>", "HTML or XML"),
        (b"secret", "not JSON"),
        (b"\xef\xbb\xbf", "empty body"),
        (b"\xef\xbb\xbf" * 2 + as_body(sample()), "not JSON"),
        (b"\xef\xbb\xbf<html>", "HTML or XML"),
        *(
            (
                '{"allParticipants": null}'.encode(code),
                "not JSON: UTF-16 or UTF-32 instead of UTF-8",
            )
            for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
        ),
        (b'{"allParticipants": {"enlightenBundles": [', "not JSON: it ends too early"),
        (as_body(sample()) + b"x", "not JSON"),
        (as_body(sample()) * 2, "not JSON"),
        (b'{"allParticipants": null,}', "not JSON"),
        (b"{'allParticipants': null}", "not JSON"),
        (b'{"allParticipants": null, "x": "\xff"}', "not JSON: not valid UTF-8"),
        (b'{"allParticipants": null, "x": "\xed\xa0\x80"}', "not JSON: not valid UTF-8"),
        *(
            (
                b'{"allParticipants": null, "x": "%s"}' % text,
                "not JSON: half of a surrogate pair in a text",
            )
            for text in (rb"\ud800", rb"\ud800x", rb"\udc00", rb"\ud800\u0041", rb"a \uDFFF")
        ),
        (
            b'{"allParticipants": null, "x": 1e400}',
            "not JSON: a number beyond the range of a double",
        ),
        (
            b'{"allParticipants": ' + b"[" * 2000 + b"]" * 2000 + b"}",
            "not JSON: nested too deeply",
        ),
        (body_with_score(b"NaN"), "not JSON: NaN or Infinity"),
        ('{"\u00e4": NaN}'.encode(), "not JSON: NaN or Infinity"),
        (body_with_score(b"Infinity"), "not JSON: NaN or Infinity"),
        *((b'{"a":%b}' % n, "not JSON: NaN or Infinity") for n in (b"NaN", b"Infinity")),
        (b'{"a":-Infinity}', "not JSON: NaN or Infinity"),
        (b"[1,NaN]", "not JSON: NaN or Infinity"),
        (gzip.compress(b"{}"), "not JSON: compressed, but without a Content-Encoding"),
        (body_with_score(b"-Infinity"), "not JSON: NaN or Infinity"),
        (body_with_score(b"1e400"), "not JSON: a number beyond the range of a double"),
        (body_with_score(b"1" * 5000), "not JSON: a number beyond the range of a double"),
        (body_with_score(b"1_000"), "not JSON"),
        (body_with_score(b"01"), "not JSON"),
    ],
)
def test_what_is_not_json_fails_where_it_is_parsed(body, reason):
    assert read_interaction(body) == failure(FailureStage.PARSE, reason)


def test_a_byte_order_mark_before_the_json_is_passed_over():
    body = as_body(sample())
    assert read_interaction(b"\xef\xbb\xbf" + body) == read_interaction(body)


def test_an_empty_object_is_no_result_and_is_named():
    expected = failure(FailureStage.VALIDATE, "is an empty object: no participant")
    assert read_interaction(b"{}") == read_interaction(b" {}\n") == expected


@pytest.mark.parametrize("body", [b"[]", b"null", b"true", b"7", b'"allParticipants"', b"[{}]"])
def test_a_top_level_other_than_an_object_is_no_result(body):
    assert read_interaction(body) == failure(FailureStage.VALIDATE, "is not an object")


@pytest.mark.parametrize(
    "value", [{"message": "not ready"}, {"AllParticipants": None}, {"all_participants": None}]
)
def test_an_object_without_any_known_participant_is_no_result(value):
    assert read_interaction(as_body(value)) == failure(
        FailureStage.VALIDATE, "has none of the known participants"
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"score": "1.5"}, f"{MODEL_PATH}.score is not a number"),
        ({"score": "NaN"}, f"{MODEL_PATH}.score is not a number"),
        ({"score": "1e400"}, f"{MODEL_PATH}.score is not a number"),
        ({"score": "1_000"}, f"{MODEL_PATH}.score is not a number"),
        ({"quartile4": True}, f"{MODEL_PATH}.quartile4 is not a number"),
        ({"minScore": [1]}, f"{MODEL_PATH}.minScore is not a number"),
        ({"minScoreOffset": "7"}, f"{MODEL_PATH}.minScoreOffset is not a number"),
        ({"maxScoreOffset": False}, f"{MODEL_PATH}.maxScoreOffset is not a number"),
        ({"name": 7}, f"{MODEL_PATH}.name is not a text"),
        ({"name": {}}, f"{MODEL_PATH}.name is not a text"),
        # A deviation that could be mended does not make up for one that can't.
        ({"score": ..., "scores": 1.5, "maxScore": "2"}, f"{MODEL_PATH}.maxScore is not a number"),
    ],
)
def test_a_model_with_a_value_of_a_wrong_type_is_no_result(fields, reason):
    assert read_interaction(body_with_model(**fields)) == failure(FailureStage.VALIDATE, reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"allParticipants": []}, "allParticipants is not an object"),
        ({"participantOne": "x"}, "participantOne is not an object"),
        (
            {"participantOne": {"enlightenBundles": {}}},
            "participantOne.enlightenBundles is not an array",
        ),
        (
            {"participantOne": {"enlightenBundles": [None]}},
            "participantOne.enlightenBundles[] is not an object",
        ),
        (
            {"participantTwo": {"enlightenBundles": [{"models": "x"}]}},
            "participantTwo.enlightenBundles[].models is not an array",
        ),
        (
            {"participantTwo": {"enlightenBundles": [{"models": [[]]}]}},
            "participantTwo.enlightenBundles[].models[] is not an object",
        ),
        (
            {"allParticipants": {"voiceActivitySegments": [{"result": 1}]}},
            "allParticipants.voiceActivitySegments[].result is not a text",
        ),
    ],
)
def test_a_part_of_a_wrong_type_is_no_result(value, reason):
    assert read_interaction(as_body(value)) == failure(FailureStage.VALIDATE, reason)


# --- numbers ---


@pytest.mark.parametrize(
    ("token", "value"),
    [
        (b"-0.0", -0.0),
        (b"1E2", 100.0),
        (b"1e-400", 0.0),
        (b"9223372036854775808", 2.0**63),
        (b"18446744073709551616", 2.0**64),
        (b"1" * 300, float("1" * 300)),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b"0.1" + b"0" * 5000, 0.1),
    ],
)
def test_a_score_is_the_nearest_double(token, value):
    score = model_of(read_interaction(body_with_score(token)))["score"]
    assert score == value
    assert math.copysign(1, score) == math.copysign(1, value)


@pytest.mark.parametrize(
    "sent", [0, -1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), 7.0, 0.25]
)
def test_an_offset_is_the_nearest_double(sent):
    offset = model_of(read_interaction(body_with_model(minScoreOffset=sent)))["min_score_offset"]
    assert offset == float(sent)
    assert type(offset) is float


def test_of_a_key_that_occurs_twice_the_last_one_counts():
    body = body_with_score(b'1.5, "score": 2.5')
    assert model_of(read_interaction(body))["score"] == 2.5


# --- drift ---


def test_unknown_fields_are_kept_at_the_end_of_their_object_and_named():
    value = sample()
    value["participantOne"]["enlightenBundles"] = [{"name": "B", "models": [], "weight": 2}]
    value["participantOne"]["mood"] = {"deep": [1, {"x": None}]}
    value["allParticipants"]["voiceActivitySegments"][1]["speaker"] = "one"
    value["allParticipants"]["enlightenBundles"][0]["models"][0] |= {"confidence": 0.5, "v": 2}
    value["version"] = "2025-01"
    found = read_interaction(as_body(value))
    participants = found.participants
    assert model_of(found)["extra"] == {"confidence": 0.5, "v": 2}
    assert list(model_of(found))[-1] == "extra"
    segments = participants["all_participants"]["voice_activity_segments"]
    assert [segment.get("extra") for segment in segments] == [None, {"speaker": "one"}]
    assert participants["participant_one"]["extra"] == {"mood": {"deep": [1, {"x": None}]}}
    assert participants["participant_one"]["enlighten_bundles"][0]["extra"] == {"weight": 2}
    assert participants["extra"] == {"version": "2025-01"}
    assert found.drift.absent == ()
    assert set(found.drift.unknown) == {
        f"{MODEL_PATH}.confidence",
        f"{MODEL_PATH}.v",
        "allParticipants.voiceActivitySegments[].speaker",
        "participantOne.mood",
        "participantOne.enlightenBundles[].weight",
        "version",
    }


def test_absent_fields_are_null_and_named():
    value = {"allParticipants": {"enlightenBundles": [{"models": [{"score": 1}]}]}}
    found = read_interaction(as_body(value))
    assert model_of(found) == {
        **dict.fromkeys(model_of(read_interaction(as_body(sample())))),
        "score": 1.0,
    }
    absent = found.drift.absent
    assert "allParticipants.voiceActivitySegments" in absent
    assert "allParticipants.enlightenBundles[].name" in absent
    assert f"{MODEL_PATH}.quartile4" in absent
    assert f"{MODEL_PATH}.score" not in absent
    assert found.drift.unknown == ()


def test_a_renamed_field_is_both_absent_and_unknown():
    found = read_interaction(body_with_model(score=..., overallScore=1.5))
    assert model_of(found)["score"] is None
    assert model_of(found)["extra"] == {"overallScore": 1.5}
    assert found.drift == Drift((f"{MODEL_PATH}.overallScore",), (f"{MODEL_PATH}.score",))


@pytest.mark.parametrize("name", ["extra", "min_score", "Score", "score ", ""])
def test_an_unknown_field_never_passes_for_a_known_one(name):
    found = read_interaction(body_with_model(**{name: "kept"}))
    known = model_of(read_interaction(as_body(sample())))
    assert model_of(found) == {**known, "extra": {name: "kept"}}
    assert found.drift == Drift((f"{MODEL_PATH}.{name}",))


def test_each_path_of_drift_is_named_once():
    value = sample()
    segments = [{"startTimeOffset": n, "result": None, "new": n} for n in range(50)]
    value["participantOne"]["voiceActivitySegments"] = segments
    path = "participantOne.voiceActivitySegments[]"
    drift = read_interaction(as_body(value)).drift
    assert drift == Drift((f"{path}.new",), (f"{path}.endTimeOffset",))


def test_paths_of_drift_are_few_printable_and_short():
    unknown = {f"\x1b[31m\n{n}" + "x" * 500: n for n in range(200)}
    found = read_interaction(as_body({**sample(), **unknown}))
    assert found.participants["extra"] == unknown
    paths = found.drift.unknown
    assert len(paths) == MAX_UNKNOWN
    assert found.drift.more == 200 - MAX_UNKNOWN  # and none is passed over in silence
    assert all(path.isprintable() and len(path) <= MAX_KEY_CHARS for path in paths)


def test_absent_fields_do_not_crowd_out_unknown_ones():
    everything_absent = {"enlightenBundles": [{"models": [{}]}], "voiceActivitySegments": [{}]}
    value = {
        "allParticipants": everything_absent,
        "participantOne": {"enlightenBundles": [{}]},
        "participantTwo": {"new": 1},
        "participantThree": sample()["allParticipants"],
    }
    drift = read_interaction(as_body(value)).drift
    assert drift.unknown == ("participantThree", "participantTwo.new")
    assert len(drift.absent) > 13


def test_an_unknown_participant_is_named_before_unknown_fields_within_others():
    value = sample()
    model = value["allParticipants"]["enlightenBundles"][0]["models"][0]
    model.update({f"new{number}": number for number in range(200)})
    value["participantThree"] = {}
    unknown = read_interaction(as_body(value)).drift.unknown
    assert unknown[0] == "participantThree"
    assert len(unknown) == MAX_UNKNOWN


# --- bodies that would become far larger than they are ---


def test_absent_fields_become_null_up_to_a_number():
    fields_of_a_segment = 3
    most = MAX_ABSENT // fields_of_a_segment
    others = {"enlightenBundles": None}

    def found(segments):
        part = {**others, "voiceActivitySegments": [{}] * segments}
        return read_interaction(orjson.dumps({"participantOne": part}))

    assert isinstance(found(most), Interaction)
    refused = failure(FailureStage.VALIDATE, f"lacks more than {MAX_ABSENT} fields")
    assert found(most + 1) == refused


def test_a_complete_body_may_have_any_number_of_objects():
    segment = {"startTimeOffset": 0, "endTimeOffset": 1, "result": None}
    part = {"enlightenBundles": None, "voiceActivitySegments": [segment] * (MAX_ABSENT // 2)}
    assert read_interaction(orjson.dumps({"participantOne": part})).drift == NO_DRIFT


def test_the_name_of_a_bundle_that_each_row_of_a_table_repeats_is_bounded():
    value = sample()
    bundle = value["allParticipants"]["enlightenBundles"][0]
    bundle["name"] = "\N{SNOWMAN}" * MAX_BUNDLE_NAME_CHARS
    assert isinstance(read_interaction(as_body(value)), Interaction)
    bundle["name"] += "s"
    assert read_interaction(as_body(value)) == failure(
        FailureStage.VALIDATE, "allParticipants.enlightenBundles[].name is too long"
    )
    bundle["name"] = "B"
    bundle["models"][0]["name"] = "s" * 10 * MAX_BUNDLE_NAME_CHARS
    assert isinstance(read_interaction(as_body(value)), Interaction)


# --- any body whatsoever ---


def assert_reads_well(body):
    """Check the promises that hold for every body."""
    found = read_interaction(body)
    assert read_interaction(body) == found
    if isinstance(found, Failure):
        assert found.kind in (FailureKind.NOT_JSON, FailureKind.NOT_A_RESULT)
        assert 0 < len(found.reason) <= 200
        return found
    assert covers(as_sent(found.participants), orjson.loads(body))
    assert orjson.loads(orjson.dumps(found.participants)) == found.participants
    assert len(found.drift.unknown) <= MAX_UNKNOWN
    return found


ANY_SIZE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_result_or_a_failure(body):
    assert_reads_well(body)


@given(json_values | st.dictionaries(st.sampled_from([*CAMEL.values(), "x"]), json_values))
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_result_that_has_it_all_or_a_failure(value):
    assert_reads_well(orjson.dumps(value))


@given(results())
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_any_result_in_the_documented_form_is_read_without_drift(value):
    found = assert_reads_well(orjson.dumps(value))
    assert found.drift == NO_DRIFT


@given(results(deviating=True))
@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
def test_any_result_with_absent_and_unknown_fields_is_kept_whole(value):
    assert isinstance(assert_reads_well(orjson.dumps(value)), Interaction)


@given(
    field=st.sampled_from(["name", "score", "minScoreOffset", "quartile1", "unknown"]),
    value=json_values,
)
@settings(max_examples=100, deadline=None)
def test_a_field_with_any_value_is_kept_or_refused_by_name(field, value):
    found = assert_reads_well(body_with_model(**{field: value}))
    if isinstance(found, Failure):
        assert found.reason.startswith(f"{MODEL_PATH}.{field} ")


def test_a_reason_quotes_nothing_of_the_body():
    canary = "canary-7f3a"
    for value in (
        {canary: 1},
        {"allParticipants": canary},
        {"participantOne": {canary: 1}, "allParticipants": 1},
    ):
        assert canary not in read_interaction(as_body(value)).reason
    assert canary not in read_interaction(body_with_model(score=canary, name=canary)).reason
    assert canary not in read_interaction(canary.encode()).reason
