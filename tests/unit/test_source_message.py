import json

import pytest

from cxai.core.entry import IS_SECRET, IdRule
from cxai.core.secret import MASK, Secrets
from cxai.sources.message import MessageReader

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
OTHER = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"
NAME = "redis://host/0/ids"


def read(payload, field=None, rule=None, number="7-0"):
    data = payload if isinstance(payload, bytes) else payload.encode()
    return MessageReader(NAME, rule or IdRule(), field).read(data, number)


def read_fields(pairs, field=None):
    fields = [(name.encode(), value.encode()) for name, value in pairs]
    return MessageReader(NAME, IdRule(), field).read_fields(fields, "7-0")


@pytest.mark.parametrize(
    "payload", [ID, f" {ID}\n", f"{ID}\r\n", f'"{ID}"', f'{{"interaction_id": "{ID}"}}']
)
def test_a_message_is_a_bare_id_or_json(payload):
    entry = read(payload)
    assert (entry.id, entry.invalid) == (ID, None)


def test_an_id_that_is_no_guid_may_be_a_json_string_too():
    assert read('"call-42"', rule=IdRule("call-[0-9]+")).id == "call-42"
    assert read("call-42", rule=IdRule("call-[0-9]+")).id == "call-42"


def test_a_field_of_an_envelope_is_named_by_its_path():
    event = json.dumps({"source": "calls", "detail": {"interaction_id": ID}})
    assert read(event, "detail.interaction_id").id == ID


def test_the_fields_of_json_lines_are_those_of_messages():
    assert read(json.dumps({"interactionIdentifier": ID})).id == ID
    assert read(json.dumps({"interaction_id": OTHER, "interactionIdentifier": ID})).id == OTHER


@pytest.mark.parametrize(
    ("payload", "field", "why"),
    [
        ("", None, "is empty"),
        (" \n", None, "is empty"),
        ("..", None, "is not a GUID"),
        (f"{ID}\n{OTHER}", None, "is not a GUID"),
        (b"\xff\xfe\x00", None, "is not a GUID"),
        ('"unclosed', None, "is not a GUID"),
        ("{", None, "is not JSON"),
        ("{}", None, "has no field 'interaction_id' or 'interactionIdentifier'"),
        ('{"id": 7}', "id", "field 'id' is not a string"),
        (f'{{"id": "{ID}", "id": "{OTHER}"}}', "id", "has a field twice"),
        (ID, "id", "is not JSON"),
        ('["a"]', "id", "has no field 'id'"),
    ],
)
def test_a_message_without_an_id_is_invalid_and_says_why(payload, field, why):
    entry = read(payload, field)
    assert str(entry.invalid).startswith(why)
    assert entry.source == f"{NAME}#7-0"


def test_a_message_of_more_than_four_mebibytes_is_refused():
    assert "longer than 4,194,304 bytes" in str(read("x" * (4 << 20) + "y").invalid)


def test_two_unreadable_messages_are_two_and_one_that_comes_again_is_the_same():
    assert read("?", number="7-0").key == read("?", number="7-0").key
    assert read("?", number="7-0").key != read("?", number="7-1").key


def test_a_message_that_holds_the_token_is_refused_and_not_shown():
    entry = read(OTHER, rule=IdRule(secrets=Secrets(OTHER)))
    assert (entry.id, entry.invalid) == (MASK, IS_SECRET)


# --- messages with named fields, as Redis has them ---


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([("interaction_id", ID)], None),
        ([("at", "today"), ("interactionIdentifier", f" {ID} ")], None),
        ([("at", "today"), ("call", ID)], "call"),
        ([("any", ID)], None),
        ([("any", json.dumps({"call": ID}))], "call"),
        ([("type", "call"), ("body", json.dumps({"detail": {"id": ID}}))], "body.detail.id"),
        ([("type", "call"), ("body.id", ID), ("body", "{}")], "body.id"),
    ],
)
def test_the_id_is_in_the_named_field_or_in_the_text_of_the_only_one(pairs, field):
    entry = read_fields(pairs, field)
    assert (entry.id, entry.invalid) == (ID, None)


@pytest.mark.parametrize(
    ("pairs", "field", "why"),
    [
        ([], None, "has no field 'interaction_id' or 'interactionIdentifier'"),
        ([("a", ID), ("b", OTHER)], None, "has no field 'interaction_id'"),
        ([("interaction_id", ID), ("interaction_id", OTHER)], None, "has a field twice"),
        ([("body", "{}"), ("body", "{}")], "body.id", "has no field 'body.id'"),
        ([("a", "1"), ("body", "{}")], "body.id", "has no field 'id'"),
    ],
)
def test_named_fields_without_one_id_are_invalid_and_say_why(pairs, field, why):
    assert str(read_fields(pairs, field).invalid).startswith(why)


def test_what_is_lost_has_a_row_of_its_own_by_the_number_of_its_message():
    reader = MessageReader(NAME, IdRule())
    lost, missing = reader.lost("7-0"), reader.lost(">7-0", 1_200)
    assert (lost.id, missing.id) == ("7-0", ">7-0")
    assert "may be lost" in str(lost.invalid)
    assert str(missing.invalid).endswith("before they were delivered: 1,200 of them")
    assert lost.key != missing.key


def test_the_number_of_a_message_is_found_again():
    reader = MessageReader(NAME, IdRule())
    assert reader.number_of(reader.read(ID.encode(), "7-0")) == "7-0"
    assert reader.number_of(reader.lost("a#b")) == "a#b"
