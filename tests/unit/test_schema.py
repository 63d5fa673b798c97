import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from support.bodies import as_body, results, sample
from support.store import RUN_ID

from cxai.core.entry import Entry
from cxai.policy.reply import Said
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.form import PARTICIPANTS
from cxai.resources.cx_ai.layout import PART_SETS
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.cx_ai.schema import json_schema, markdown
from cxai.resources.failures import FailureRows
from cxai.resources.options import Shape

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, tzinfo=UTC)
BANDS = Bands(
    {"table": [{"bundle": "Customer Satisfaction", "bands": [{"name": "low", "upper": 0}]}]}
)
SCHEMAS = {shape: json_schema(shape) for shape in Shape}
EVERY_SHAPE = pytest.mark.parametrize("shape", list(Shape))

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
KEYWORDS = {"$schema", "$defs", "$ref", "title", "description", "format", "type", "const", "enum"}
KEYWORDS |= {"anyOf", "minimum", "items", "properties", "required", "additionalProperties"}
KEYWORDS |= {"contentMediaType"}


def mismatches(value, schema, defs, path="$"):
    """Yield where `value` differs from `schema`; the order of keys has to agree as well."""
    assert schema.keys() <= KEYWORDS
    if "$ref" in schema:
        schema = {**defs[schema["$ref"].rpartition("/")[2]], **schema}
    yield from value_mismatches(value, schema, path)
    alternatives = schema.get("anyOf", [])
    if alternatives and all(list(mismatches(value, each, defs, path)) for each in alternatives):
        yield f"{path}: none of the alternatives"
    if isinstance(value, list) and "items" in schema:
        for element in value:
            yield from mismatches(element, schema["items"], defs, f"{path}[]")
    if isinstance(value, dict) and "properties" in schema:
        yield from key_mismatches(value, schema, path)
        for key in value.keys() & schema["properties"].keys():
            yield from mismatches(value[key], schema["properties"][key], defs, f"{path}.{key}")


def value_mismatches(value, schema, path):
    if "contentMediaType" in schema and value is not None:
        json.loads(value)
    types = schema.get("type", list(TYPES))
    if not any(TYPES[name](value) for name in ([types] if isinstance(types, str) else types)):
        yield f"{path}: not of type {types}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: none of {schema['enum']}"
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        yield f"{path}: below {schema['minimum']}"


def key_mismatches(value, schema, path):
    properties = schema["properties"]
    assert schema["additionalProperties"] is False
    if unknown := value.keys() - properties.keys():
        yield f"{path}: unknown {unknown}"
    if missing := set(schema["required"]) - value.keys():
        yield f"{path}: missing {missing}"
    if [key for key in properties if key in value] != [key for key in value if key in properties]:
        yield f"{path}: keys out of order"


def assert_as_described(lines, shape):
    for name, written in lines.items():
        schema = SCHEMAS[shape][name]
        for line in written.splitlines():
            assert list(mismatches(json.loads(line), schema, schema.get("$defs", {}))) == []


@EVERY_SHAPE
@pytest.mark.parametrize("bands", [None, BANDS])
@given(value=results(deviating=True))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_what_is_written_is_as_described(shape, bands, value):
    record = CxAi(shape, RUN_ID, bands).read(ID, orjson.dumps(value), AT)
    assert_as_described(record.lines, shape)


@EVERY_SHAPE
def test_failures_are_as_described(shape):
    entry = Entry(b"key", ID, "ids.txt", 1)
    for verdict, stage in itertools.product(set(Verdict) - {Verdict.OK}, FailureStage):
        for said in (Said(), Said(404, "no such interaction", "processed")):
            settle = Settle(verdict, "why", stage)
            lines = FailureRows(2, RUN_ID).failure(entry, settle, attempts=0, at=AT, said=said)
            assert_as_described(lines, shape)


@pytest.mark.parametrize(
    ("change", "mismatch"),
    [
        (lambda row: row.pop("retrieved_at"), "$: missing {'retrieved_at'}"),
        (lambda row: row.update(new=1), "$: unknown {'new'}"),
        (lambda row: row.update(schema_version=1), "$.schema_version: not 2"),
        (lambda row: row.update(participant_one=[]), "$.participant_one: none of the alternatives"),
        (lambda row: row.update(interaction_id=row.pop("interaction_id")), "$: keys out of order"),
    ],
)
def test_a_row_that_is_not_as_described_is_told(change, mismatch):
    (line,) = CxAi(Shape.NESTED, RUN_ID).read(ID, as_body(sample()), AT).lines.values()
    schema, row = SCHEMAS[Shape.NESTED]["records"], json.loads(line)
    change(row)
    assert list(mismatches(row, schema, schema["$defs"])) == [mismatch]


@EVERY_SHAPE
def test_every_part_set_has_a_schema_that_says_what_it_is(shape):
    schemas = SCHEMAS[shape]
    assert tuple(schemas) == PART_SETS[shape]
    for name, schema in schemas.items():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == name
        assert json.loads(json.dumps(schema)) == schema


def columns(schema):
    for described in (schema, *schema.get("$defs", {}).values()):
        yield from described["properties"].items()


@EVERY_SHAPE
def test_every_column_is_described_and_every_offset_has_its_unit(shape):
    for schema in SCHEMAS[shape].values():
        for name, column in columns(schema):
            assert column["description"].endswith(".")
            if name.endswith("_offset"):
                assert "Milliseconds, inferred" in column["description"]


def test_the_records_column_for_participants_is_the_same_in_all_places():
    nested, tables = SCHEMAS[Shape.NESTED], SCHEMAS[Shape.TABLES]
    assert tuple(nested["records"]["properties"])[4:7] == PARTICIPANTS
    present = [name for name in tables["interactions"]["properties"] if name.endswith("_present")]
    assert present == [f"{name}_present" for name in PARTICIPANTS]
    assert tuple(tables["scores"]["properties"]["participant"]["enum"]) == PARTICIPANTS


def test_the_page_is_what_the_schema_says():
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "docs/records.md is not the schema's: run  cxai schema --markdown > docs/records.md"
    )


def test_the_page_has_every_column():
    page = markdown()
    for shape in Shape:
        for name, schema in SCHEMAS[shape].items():
            assert f"### `{name}`\n" in page
            for column, _ in columns(schema):
                assert f"| `{column}` |" in page
