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


def test_an_id_of_another_form_may_be_a_json_string():
    assert read('"call-42"', rule=IdRule("call-[0-9]+")).id == "call-42"
    assert read("call-42", rule=IdRule("call-[0-9]+")).id == "call-42"


def test_a_field_of_an_envelope_is_named_by_its_path():
    event = json.dumps({"source": "calls", "detail": {"interaction_id": ID}})
    assert read(event, "detail.interaction_id").id == ID


def test_messages_have_the_default_fields_of_json_lines():
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
        ('{"id": 7}', "id", "has no string in field 'id'"),
        (f'{{"id": "{ID}", "id": "{OTHER}"}}', "id", "has a field twice"),
        (ID, "id", "is not JSON"),
        ('["a"]', "id", "has no field 'id'"),
    ],
)
def test_a_message_without_an_id_is_invalid_with_a_reason(payload, field, why):
    entry = read(payload, field)
    assert str(entry.invalid).startswith(why)
    assert entry.source == f"{NAME}#7-0"


def test_a_message_of_more_than_four_mebibytes_is_rejected():
    assert "longer than 4,194,304 bytes" in str(read("x" * (4 << 20) + "y").invalid)


def test_unreadable_messages_are_distinct_and_a_redelivered_one_is_the_same():
    assert read("?", number="7-0").key == read("?", number="7-0").key
    assert read("?", number="7-0").key != read("?", number="7-1").key


def test_a_message_with_the_token_is_rejected_and_not_shown():
    entry = read(OTHER, rule=IdRule(secrets=Secrets(OTHER)))
    assert (entry.id, entry.invalid) == (MASK, IS_SECRET)


# --- messages with named fields, from Redis ---


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
def test_the_id_is_in_the_named_field_or_in_the_only_field(pairs, field):
    entry = read_fields(pairs, field)
    assert (entry.id, entry.invalid) == (ID, None)


@pytest.mark.parametrize(
    ("pairs", "field", "why"),
    [
        ([], None, "has no field 'interaction_id' or 'interactionIdentifier'"),
        ([("a", ID), ("b", OTHER)], None, "has no field 'interaction_id'"),
        (
            [("interaction_id", ID), ("interaction_id", OTHER)],
            None,
            "has field 'interaction_id' twice",
        ),
        ([("body", "{}"), ("body", "{}")], "body.id", "has no field 'body.id'"),
        ([("a", "1"), ("body", "{}")], "body.id", "has no field 'id'"),
    ],
)
def test_named_fields_without_exactly_one_id_are_invalid_with_a_reason(pairs, field, why):
    assert str(read_fields(pairs, field).invalid).startswith(why)


def test_a_lost_message_has_its_own_row_with_its_number():
    reader = MessageReader(NAME, IdRule())
    lost, missing = reader.lost("7-0"), reader.lost(">7-0", 1_200)
    assert (lost.id, missing.id) == ("7-0", ">7-0")
    assert "may be lost" in str(lost.invalid)
    assert str(missing.invalid).endswith("before delivery: 1,200 lost")
    assert lost.key != missing.key


def test_an_entry_leads_back_to_the_number_of_its_message():
    reader = MessageReader(NAME, IdRule())
    assert reader.number_of(reader.read(ID.encode(), "7-0")) == "7-0"
    assert reader.number_of(reader.lost("a#b")) == "a#b"
