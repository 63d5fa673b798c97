"""The API's own words reach the operator, and nothing that is secret comes along."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bodies import as_body, sample
from support.command import TOKEN, environment, rows
from support.leftovers import go_on
from support.raw_server import RawServer, response
from support.serving import serving


def error(status, body, *headers):
    return [response(json.dumps(body).encode(), *headers, status=status)]


def echoing():
    """Return a result that sends the token back in all places that are free."""
    body = sample()
    body[TOKEN] = {"token": TOKEN.upper()}
    body["allParticipants"]["enlightenBundles"][0][f"for {TOKEN}"] = [TOKEN]
    body["allParticipants"]["voiceActivitySegments"][0]["result"] = TOKEN
    return [response(as_body(body))]


ANSWERS = {
    "vendor": error("400 Bad Request", {"errorMessage": "The identifier is not known here."}),
    "gateway": error("422 Oops", {"message": "Not in this region."}),
    "problem": error("400 Bad Request", {"title": "Bad Request", "detail": "No such tenant."}),
    "plain": [response(b"no healthy upstream", status="500 Oops")],
    "page": [response(b"<html><h1>Forbidden zone</h1></html>", status="400 Bad Request")],
    "nothing": [response(status="400 Bad Request")],
    "not now": error("200 OK", {"errorMessage": "Try tomorrow."}),
    "two lines": error("400 Bad Request", {"errorMessage": "one\r\n\x1b[2Jtwo \u202ethree"}),
    "long": error("400 Bad Request", {"errorMessage": "long " * 1_000}),
    "url": error("400 Bad Request", {"errorMessage": "https://me:pw@x.example/a?sig=s3 failed"}),
    "token": error("400 Bad Request", {"errorMessage": f"Token {TOKEN} ({TOKEN.upper()}) failed"}),
    "echo": echoing(),
}
SAID = {
    "vendor": (400, "The identifier is not known here."),
    "gateway": (422, "Not in this region."),
    "problem": (400, "Bad Request: No such tenant."),
    "plain": (500, "no healthy upstream"),
    "page": (400, None),
    "nothing": (400, None),
    "not now": (200, "Try tomorrow."),
    "two lines": (400, r"one \x1b[2Jtwo \u202ethree"),
    "url": (400, "https://x.example/a?… failed"),
    "token": (400, "Token [token] ([token]) failed"),
}


@dataclass(frozen=True)
class Told:
    """What one run over all answers told, and where: `failures` by the name of the answer."""

    export: Path
    failures: dict
    records: list
    report: str
    log: str


@pytest.fixture(scope="module")
def told(guids, tmp_path_factory):
    ids = dict(zip(ANSWERS, guids(len(ANSWERS)), strict=True))
    export = tmp_path_factory.mktemp("words") / "export"
    more = environment(CXAI_MAX_ATTEMPTS="1", CXAI_LOG_FORMAT="json")
    with serving(RawServer(by_id={ids[name]: script for name, script in ANSWERS.items()})) as api:
        ended = go_on(api, export, ids.values(), "--max-failed", "1", env=more)
    assert ended.code == 0, ended.out + ended.err
    names = {one: name for name, one in ids.items()}
    failures = {names[row["interaction_id"]]: row for row in rows(export, "failures")}
    return Told(export, failures, rows(export), ended.out, ended.err)


@pytest.mark.promise(
    "An error with a message of the API, of a gateway or of a framework",
    "`failures` have its status and its words, and the report counts them",
    group="HTTP",
)
@pytest.mark.parametrize("name", SAID)
def test_each_failure_has_the_words_of_the_api(told, name):
    row = told.failures[name]
    assert (row["api_status"], row["api_message"]) == SAID[name]


def test_the_report_counts_the_words(told):
    assert "HTTP 400: " in told.report


def test_the_log_has_the_commonest_words_of_each_verdict(told):
    events = [json.loads(line) for line in told.log.splitlines() if '"ids_failed"' in line]
    by_verdict = {event["verdict"]: event for event in events}
    assert by_verdict["exhausted"]["reasons"] == [
        {"reason": "HTTP 500: no healthy upstream", "ids": 1}
    ]
    rejected = by_verdict["rejected"]
    assert (rejected["level"], rejected["ids"], len(rejected["reasons"])) == ("warning", 9, 3)
    assert all(one["reason"].startswith("HTTP 4") for one in rejected["reasons"])


@pytest.mark.promise(
    "A message with line breaks, control characters, or of great length",
    "one printable line of 200 characters at most",
    group="HTTP",
)
def test_words_are_one_short_printable_line(told):
    words = [row["api_message"] for row in told.failures.values() if row["api_message"]]
    assert all(message.isprintable() and len(message) <= 200 for message in words)
    assert max(map(len, words)) == 200


@pytest.mark.promise(
    "A message with a URL that holds a password or a signature",
    "the URL is kept without them",
    group="Security",
)
def test_no_secret_of_a_url_is_written_anywhere(told):
    everything = told.report + told.log + "".join(map(str, told.failures.values()))
    assert not any(secret in everything for secret in ("me:pw", "s3 failed", "sig="))


def test_the_token_is_written_nowhere_though_the_api_sends_it_back(told):
    (record,) = told.records
    assert record["extra"] == {"[token]": {"token": "[token]"}}
    files = [path for path in told.export.rglob("*") if path.is_file()]
    assert len(files) > 3
    for content in (told.report.encode(), told.log.encode(), *(f.read_bytes() for f in files)):
        assert TOKEN.encode() not in content.lower()


@pytest.mark.promise(
    "401 with the reason in its body",
    "code 3, and the reason is in the report",
    group="HTTP",
)
def test_the_words_with_which_the_token_is_refused_are_in_the_report(guids, tmp_path):
    refusal = {"errorMessage": f"Token {TOKEN} expired on Monday."}
    with serving(RawServer(error("401 Unauthorized", refusal))) as api:
        ended = go_on(api, tmp_path / "export", guids(3))
    assert ended.code == 3
    assert "(HTTP 401: Token [token] expired on Monday, for " in " ".join(ended.out.split())
