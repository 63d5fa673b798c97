"""The API's own words: which of a body count, and what is taken out of them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.resources.message import MAX_MESSAGE_CHARS, message, message_of


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errorMessage": "Invalid token."}, "Invalid token."),
        ({"ErrorMessage": "Invalid token."}, "Invalid token."),
        ({"errorMessage": " ", "message": "Not yours."}, "Not yours."),
        ({"statusCode": 401, "message": "Access denied."}, "Access denied."),
        ({"errorMessage": "the vendor's", "message": "a gateway's"}, "the vendor's"),
        ({"error": "Forbidden", "status": 403}, "Forbidden"),
        ({"error": {"code": 3, "message": "No such ID."}}, "No such ID."),
        ({"error": "invalid_client", "error_description": "It expired."}, "It expired."),
        ({"type": "about:blank", "title": "Bad Request", "status": 400}, "Bad Request"),
        ({"title": "Bad Request", "detail": "id is no GUID"}, "Bad Request: id is no GUID"),
        ("Invalid token.", "Invalid token."),
        ({"errorMessage": None}, None),
        ({"errorMessage": {"text": "x"}}, None),
        ({"error": {"error": {"error": "deep"}}}, None),
        ({}, None),
        ([], None),
        (["Invalid token."], None),
        (42, None),
        (None, None),
    ],
)
def test_what_counts_as_the_words_of_an_error(body, words):
    assert message(orjson.dumps(body)) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"upstream connect error", "upstream connect error"),
        (b" Service Unavailable\r\n", "Service Unavailable"),
        ("No such ID.".encode("utf-16"), None),
        (b"<!DOCTYPE html><html>Sign in</html>", None),
        (b'{"errorMessage": "cut he', None),
        (b'"cut he', None),
        (b"", None),
        (b"  ", None),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_plain_text_counts_and_a_page_or_cut_json_does_not(body, words):
    assert message(body) == words


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("left \u202eto right", r"left \u202eto right"),
        ("a\u2066b\u200bc\ufeff", r"a\u2066b\u200bc\ufeff"),
        ("a\u2028b\u2029c", "a b c"),
        ("Größe: 3 €", "Größe: 3 €"),
    ],
)
def test_a_message_is_one_printable_line(sent, kept):
    assert message_of(sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        "fetch https://user:secret@files.example/a.wav failed",
        "fetch https://secret@files.example/a.wav failed",
        "fetch FTP://user:se:cret@files.example failed",
        "fetch https://user:secret/a@b@files.example failed",
        "fetch //user:secret@files.example/a failed",
        "fetch https://files.example/a.wav?sv=2024&sig=secret failed",
        "fetch https://files.example/a.wav#token=secret failed",
        "fetch /v1/interactions?api_key=secret failed",
        "got Authorization: Bearer abcdef0123456789.secret",
    ],
)
def test_what_is_secret_in_a_url_is_taken_out(sent):
    kept = message_of(sent)
    assert "secret" not in kept
    assert "failed" in kept or "Bearer" in kept


@pytest.mark.parametrize(
    "sent",
    [
        "see https://docs.example/errors#401",
        "mail help@vendor.example",
        "is it there? yes",
        "Bearer authentication is required",
    ],
)
def test_words_without_a_secret_stay_as_they_are(sent):
    assert message_of(sent) == sent


def test_a_long_message_is_cut_and_shows_it():
    kept = message_of("x" * 100_000)
    assert len(kept) == MAX_MESSAGE_CHARS
    assert kept.endswith("x…")


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: orjson.dumps({"message": t})))
def test_no_body_is_too_strange_for_it(body):
    words = message(body)
    assert words is None or (words.isprintable() and 0 < len(words) <= MAX_MESSAGE_CHARS)
