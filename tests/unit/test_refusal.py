"""Whose words the body of a refusal is: nothing, the API's own form, or a foreign one."""

import codecs

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bodies import json_values

from cxai.policy.reply import Form
from cxai.resources.reply_parser import form_of
from cxai.simulator.bodies import error_json


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t"])
def test_a_body_that_is_blank_is_empty(body):
    assert form_of(body) is Form.EMPTY


@pytest.mark.parametrize(
    "value",
    [
        {"errorMessage": "Invalid token."},
        {"ErrorMessage": "Invalid token.", "requestId": 7},
        {"errorMessage": None},
        {"errorMessage": ""},
        {"type": "about:blank", "title": "Bad Request", "status": 400},
        {"title": "Not Found", "status": 404},
        {"title": "Not Found", "traceId": "00-4bf92f35"},
        {"Title": "Not Found", "Type": None},
    ],
)
def test_an_error_message_and_a_problem_are_the_apis_own_form(value):
    body = orjson.dumps(value)
    assert form_of(body) is Form.OWN
    assert form_of(codecs.BOM_UTF8 + b" " + body + b"\r\n" * 10_000) is Form.OWN


def test_an_error_of_the_simulator_is_in_the_apis_own_form():
    assert form_of(error_json("No such ID.")) is Form.OWN


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>Sign in</html>",
        b"upstream connect error",
        b'"Invalid token."',
        b"null",
        b"[]",
        b"{}",
        b'[{"errorMessage": "x"}]',
        b'{"errorMessage": {"text": "x"}}',
        b'{"message": "Not yours."}',
        b'{"error": "Forbidden", "status": 403}',
        b'{"error": {"errorMessage": "x"}}',
        b'{"title": "Sign in"}',
        b'{"title": 7, "status": 404}',
        b'{"errorMessage": "cut he',
        b'{"errorMessage": "whole"',
        b'{"errorMessage": "x"} trailing',
        '{"errorMessage": "x"}'.encode("utf-16"),
        b"\0",
    ],
)
def test_anything_else_is_foreign(body):
    assert form_of(body) is Form.FOREIGN


@given(st.binary(max_size=100) | json_values.map(orjson.dumps))
def test_no_body_is_too_strange_to_have_a_form(body):
    assert (form_of(body) is Form.EMPTY) == (not body.strip())
