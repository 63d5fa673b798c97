"""JSON that is none or is odd: a verdict, or a record that keeps it whole in one line."""

from dataclasses import dataclass

import pytest
from support.bodies import as_body, body_with_model, body_with_score, sample
from support.command import environment, rows, verdict_by_id
from support.leftovers import go_on
from support.raw_server import RawServer, response
from support.serving import serving

TEXT = "one\nline\r\n, \u2028 and \u2029"


def with_depth(depth):
    return as_body({**sample(), "deep": "TOKEN"}).replace(b'"TOKEN"', b"[" * depth + b"]" * depth)


BODIES = {
    "NaN": body_with_score(b"NaN"),
    "Infinity": body_with_score(b"Infinity"),
    "-Infinity": body_with_score(b"-Infinity"),
    "1e400": body_with_score(b"1e400"),
    "5,000 digits": body_with_score(b"1" * 5_000),
    "NaN as text": body_with_score(b'"NaN"'),
    "1e400 as text": body_with_score(b'"1e400"'),
    "2^63": body_with_model(score=2**63, minScoreOffset=2**63),
    "2^64": body_with_model(score=2**64, minScoreOffset=2**64),
    "depth 2,000": with_depth(2_000),
    "depth 500": with_depth(500),
    "duplicate keys": body_with_score(b'1.5, "score": 2.5'),
    "a number": b"7",
    "a text": b'"allParticipants"',
    "null": b"null",
    "line breaks": body_with_model(name=TEXT, unknown=TEXT),
    "unknown fields": as_body({**sample(), "new": {"deep": [1, None]}}),
    "missing fields": body_with_model(score=..., name=...),
    "a mark before it": b"\xef\xbb\xbf" + as_body(sample()),
    "half a pair": as_body({**sample(), "new": "HALF"}).replace(b"HALF", rb"\ud83d"),
    "UTF-16": as_body(sample()).decode().encode("utf-16"),
    "empty object": b"{}",
    "sane": as_body(sample()),
}


@dataclass(frozen=True)
class Seen:
    """What became of each body, by its name."""

    verdicts: dict
    reasons: dict
    records: dict
    lines: list
    drift: dict


@pytest.fixture(scope="module")
def seen(guids, tmp_path_factory):
    """Serve every body to one run of the command."""
    ids = dict(zip(BODIES, guids(len(BODIES)), strict=True))
    names = {one: name for name, one in ids.items()}
    export = tmp_path_factory.mktemp("json") / "export"
    each_twice = environment(CXAI_MAX_ATTEMPTS="2", CXAI_BACKOFF_BASE_S="0.01")
    with serving(RawServer(by_id={ids[name]: [response(BODIES[name])] for name in ids})) as api:
        ended = go_on(api, export, ids.values(), "--max-failed", "1", "--json", env=each_twice)
    assert ended.code == 0, ended.err
    return Seen(
        {names[one]: verdict for one, verdict in verdict_by_id(export).items()},
        {names[row["interaction_id"]]: row["reason"] for row in rows(export, "failures")},
        {names[row["interaction_id"]]: row for row in rows(export)},
        (export / "records-000001.jsonl").read_bytes().splitlines(),
        ended.json["drift"],
    )


def model_of(record):
    return record["all_participants"]["enlighten_bundles"][0]["models"][0]


@pytest.mark.promise(
    "`NaN`, `Infinity`, `1e400` or a number of 5,000 digits", "`bad_body`: that is not JSON"
)
@pytest.mark.parametrize(
    ("name", "what"),
    [
        *[(name, "NaN or Infinity") for name in ("NaN", "Infinity", "-Infinity")],
        *[(name, "a number beyond the range of a double") for name in ("1e400", "5,000 digits")],
    ],
)
def test_a_number_that_json_does_not_have_is_a_bad_body(seen, name, what):
    assert (seen.verdicts[name], seen.reasons[name]) == ("bad_body", f"not JSON: {what}")


@pytest.mark.promise("A byte order mark before the JSON", "passed over: it is `ok`")
def test_a_mark_before_the_json_changes_nothing(seen):
    assert seen.verdicts["a mark before it"] == "ok"


@pytest.mark.promise(
    "Half of a surrogate pair, UTF-16, an empty object",
    "`bad_body`, and the reason names it",
)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("half a pair", "not JSON: half of a surrogate pair in a text"),
        ("UTF-16", "not JSON: UTF-16 or UTF-32 instead of UTF-8"),
        ("empty object", "is an empty object: no participant"),
    ],
)
def test_what_is_odd_about_a_body_is_named(seen, name, reason):
    assert (seen.verdicts[name], seen.reasons[name]) == ("bad_body", reason)


@pytest.mark.promise('`"NaN"` or a number in quotes', "`bad_body`: a text is not a number")
@pytest.mark.parametrize("name", ["NaN as text", "1e400 as text"])
def test_a_text_never_becomes_a_number(seen, name):
    assert seen.verdicts[name] == "bad_body"
    assert seen.reasons[name].endswith(".score is not a number")


@pytest.mark.promise(
    "Integers of 2⁶³ and 2⁶⁴",
    "scores and offsets are the nearest double",
)
@pytest.mark.parametrize(("name", "nearest"), [("2^63", 2.0**63), ("2^64", 2.0**64)])
def test_large_integers_become_the_nearest_double(seen, name, nearest):
    model = model_of(seen.records[name])
    assert model["score"] == model["min_score_offset"] == nearest
    assert type(model["score"]) is type(model["min_score_offset"]) is float


@pytest.mark.promise("JSON nested 500 or 2,000 deep", "`bad_body`, and the run goes on")
@pytest.mark.parametrize("name", ["depth 500", "depth 2,000"])
def test_json_that_nests_too_deeply_is_a_bad_body(seen, name):
    assert seen.verdicts[name] == "bad_body"


@pytest.mark.promise("A key that occurs twice", "the last one counts")
def test_of_duplicate_keys_the_last_one_counts(seen):
    assert model_of(seen.records["duplicate keys"])["score"] == 2.5


@pytest.mark.promise("A number, a text or `null` instead of an object", "`bad_body`")
@pytest.mark.parametrize("name", ["a number", "a text", "null"])
def test_a_top_level_scalar_is_a_bad_body(seen, name):
    assert (seen.verdicts[name], seen.reasons[name]) == ("bad_body", "is not an object")


@pytest.mark.promise("U+2028, U+2029 and line breaks in texts", "kept, in a record of one line")
def test_line_separators_in_texts_stay_within_one_line(seen):
    model = model_of(seen.records["line breaks"])
    assert (model["name"], model["extra"]) == (TEXT, {"unknown": TEXT})
    assert len(seen.lines) == len(seen.records)


@pytest.mark.promise("Unknown fields", "kept under `extra`, and counted in the summary")
def test_unknown_fields_are_kept(seen):
    assert seen.records["unknown fields"]["extra"] == {"new": {"deep": [1, None]}}
    assert seen.drift["new"] == 1


@pytest.mark.promise("Fields that are missing", "null in the record, and counted in the summary")
def test_missing_fields_are_null(seen):
    whole = model_of(seen.records["sane"])
    assert model_of(seen.records["missing fields"]) == {**whole, "score": None, "name": None}
    assert seen.drift["allParticipants.enlightenBundles[].models[].score (absent)"] == 1
