"""If the API sends the token back, nothing made of its bodies contains it."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote

import orjson
import pytest
from support.bodies import as_body, sample
from support.readers import reader_of, seen_by

from cxai.core.secret_str import SecretStr
from cxai.observe.redaction import Redaction
from cxai.policy.reply import Endpoint, Failure, Reply
from cxai.resources.masking import masked

NOW = datetime(2026, 1, 31, tzinfo=UTC)
GUID = "9B2f61Ce-44a0-4d3E-8f17-c05d2aE6731b"
AWKWARD = "c4nary\"T0\\ken='x/y+z"


def spellings(token):
    return {
        "as it is": token,
        "lower case": token.lower(),
        "upper case": token.upper(),
        "mixed case": token.swapcase(),
        "within words": f"not {token}!",
        "twice": f"{token}{token}",
        "in a URL": f"https://x.example/{quote(token, safe='')}/a",
    }


def escaped(text):
    """Return a text as JSON with each of its characters escaped."""
    return b'"' + b"".join(b"\\u%04x" % ord(c) for c in text) + b'"'


def values_and_keys(value):
    match value:
        case dict():
            for key, content in value.items():
                yield key
                yield from values_and_keys(content)
        case list():
            for element in value:
                yield from values_and_keys(element)
        case _:
            yield str(value)


def holds(value, token):
    bare = token.lower().replace("-", "")
    return any(
        bare in text.lower().replace("-", "") or quote(token, safe="").lower() in text.lower()
        for text in values_and_keys(value)
    )


@pytest.fixture
def reader():
    with ThreadPoolExecutor(1) as thread:
        yield reader_of(thread, secrets=Redaction(SecretStr(GUID)))


@pytest.mark.parametrize("token", [GUID, AWKWARD, "canary-7f3a9c51e0"])
@pytest.mark.parametrize("spelling", spellings(GUID))
def test_a_token_in_any_spelling_is_masked_in_keys_and_values(token, spelling):
    text = spellings(token)[spelling]
    value = {"a": text, text: 1, "list": [{"deep": [text, text.encode().decode()]}], "n": 1.5}
    found = orjson.loads(masked(orjson.dumps(value), Redaction(SecretStr(token))))
    assert not holds(found, token)
    assert "[token]" in found["a"]
    assert found["n"] == 1.5


def test_a_guid_without_its_hyphens_is_the_same_token():
    found = masked(orjson.dumps({"echo": GUID.replace("-", "")}), Redaction(SecretStr(GUID)))
    assert orjson.loads(found) == {"echo": "[token]"}


def written_otherwise(token):
    """Return how gateways, frameworks and people may write a token."""
    return {
        "with spaces": token.replace("-", " "),
        "with underscores": token.replace("-", "_"),
        "with dashes": token.replace("-", "\u2011"),
        "with invisible characters": token.replace("-", "-\u200b"),
        "in braces": f"{{{token}}}",
        "wholly percent-encoded": "".join(f"%{ord(c):02x}" for c in token),
        "twice percent-encoded": token.replace("-", "%252D"),
        "as HTML, decimal": "".join(f"&#{ord(c)};" for c in token),
        "as HTML, hexadecimal": "".join(f"&#x{ord(c):X};" for c in token),
        "as HTML, by name": token.replace("-", "&hyphen;"),
        "as JSON in JSON": orjson.dumps(escaped(token).decode()).decode(),
        "of full width": "".join(chr(ord(c) + 0xFEE0) for c in token),
    }


@pytest.mark.parametrize("token", [GUID, GUID.replace("-", ""), "canary-7f3a9c51e0-Zq"])
@pytest.mark.parametrize("spelling", [*written_otherwise(GUID), "as a GUID"])
def test_a_token_is_masked_however_its_characters_are_written(token, spelling):
    ways = written_otherwise(token) | {"as a GUID": GUID if len(token) != 20 else token}
    redaction = Redaction(SecretStr(token))
    text = ways[spelling]
    value = orjson.loads(masked(orjson.dumps({text: [f"a {text} b"], "n": 1.5}), redaction))
    assert value.pop("n") == 1.5
    ((key, (words,)),) = value.items()
    assert re.sub(r'[\\"{} ]', "", words) == "a[token]b"
    assert "[token]" in key
    assert b"[token]" in masked(f"plain: {text}".encode(), redaction)


def test_a_log_line_with_parts_of_the_token_as_neighbours_stays_json():
    line = orjson.dumps(["canary", "7f3a9c51e0-Zq", {"canary": "7f3a9c51e0"}]).decode()
    assert Redaction(SecretStr("canary-7f3a9c51e0-Zq"))(line) == line


@pytest.mark.parametrize("piece", ["\\", "c0", "-", "%25", "c%", "&#0", "9b2f61ce-44a0-"])
def test_searching_for_the_token_is_fast(piece):
    begun = time.process_time()
    Redaction(SecretStr(GUID))(piece * (16_384 // len(piece)))
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("token", [GUID, AWKWARD])
def test_a_token_that_is_escaped_in_the_json_is_masked(token):
    body = b'{"a":' + escaped(token) + b"," + escaped(token.upper()) + b":2}"
    found = orjson.loads(masked(body, Redaction(SecretStr(token))))
    assert found == {"a": "[token]", "[token]": 2}


def test_two_keys_that_are_the_token_both_keep_their_values():
    body = orjson.dumps({GUID: 1, GUID.lower(): 2})
    found = orjson.loads(masked(body, Redaction(SecretStr(GUID))))
    assert sorted(found.values()) == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        as_body(sample()),
        b'{"a": "\\u00e9 \\" \\\\ \\n"}',
        b'{"a": "9B2f61Ce-44a0 and the rest is another"}',
        b'{"a": "R&D \xc3\xa9", "deep": ' + b"[" * 400 + b"]" * 400 + b"}",
        b"not JSON",
        b"",
    ],
)
def test_a_body_without_the_token_is_not_touched(body):
    assert (
        masked(body, Redaction(SecretStr(GUID))) is body
        or masked(body, Redaction(SecretStr(GUID))) == body
    )


def test_text_that_is_not_json_is_masked_and_otherwise_kept_byte_by_byte():
    body = b"\xff token: " + GUID.encode() + b" \xfe"
    assert masked(body, Redaction(SecretStr(GUID))) == b"\xff token: [token] \xfe"


def test_a_body_that_cannot_be_written_again_is_refused():
    body = b'{"a":' + b"[" * 400 + b'"' + GUID.encode() + b'"' + b"]" * 400 + b"}"
    assert isinstance(masked(body, Redaction(SecretStr(GUID))), Failure)


def test_a_token_of_a_few_letters_is_not_searched_in_bodies():
    body = b'{"name": "VoiceActivity"}'
    assert masked(body, Redaction(SecretStr("voice"))) is body


def test_every_token_that_was_used_is_masked():
    redaction = Redaction(SecretStr(GUID))
    redaction.add(SecretStr("another-one-51e0"))
    found = masked(orjson.dumps([GUID, "another-one-51e0"]), redaction)
    assert orjson.loads(found) == ["[token]", "[token]"]


@pytest.mark.promise(
    "The API sends the token back: as an unknown field or its key, as a name, in a status or"
    " in an error message",
    "`[token]` replaces it, in records and failures, in the report and in the log",
    group="Security",
)
async def test_nothing_made_of_a_body_contains_the_token(reader):
    value = sample()
    value[GUID] = {"echo": GUID.lower()}
    value["allParticipants"]["enlightenBundles"][0]["name"] = f"for {GUID}"
    value["allParticipants"]["enlightenBundles"][0]["models"][0][GUID.upper()] = None
    error = as_body({"errorMessage": f"Token {GUID} is unknown."})

    async def seen(status, body, endpoint=Endpoint.RESULT):
        return await seen_by(reader, "id", endpoint, Reply(status, body), NOW)

    record = await seen(200, as_body(value))
    row = orjson.loads(record.lines["records"])
    assert row["extra"] == {"[token]": {"echo": "[token]"}}
    assert sorted(record.drift.unknown) == [
        "[token]",
        "allParticipants.enlightenBundles[].models[].[token]",
    ]
    assert not holds(row, GUID)
    said = {"status": GUID, "errorMessage": f"no {GUID}", "declared": GUID}
    status = await seen(200, as_body(said), Endpoint.STATUS)
    assert (status.state, status.message) == ("[token]", "no [token]")
    assert (await seen(401, error)).message == "Token [token] is unknown."
    assert (await seen(200, error)).message == "Token [token] is unknown."
