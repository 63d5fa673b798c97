"""The validator of the general reader, made from the documented form.

It renames the documented fields, puts them in order, ignores all others, and locates values of a
wrong type.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic can't use typing's before 3.12

from cxai.resources.cx_ai import form

# Ignored fields are found by counting keys, which is faster than `forbid` (76 instead of 112 µs for
# a body of 23 KB).
_STRICTLY = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True, extra="ignore")


def validator(of: form.ObjectForm) -> Callable[[Any], dict[str, Any]]:
    """Return the validator of a parsed object. It raises pydantic.ValidationError."""
    adapter: TypeAdapter[Any] = TypeAdapter(_typed(of))
    return adapter.validate_python


@cache
def _typed(of: form.ObjectForm) -> Any:
    fields = {
        each.name: Annotated[_type(each) | None, Field(validation_alias=each.api_name)]
        for each in of.fields
    }
    made: Any = TypedDict(of.title, fields, total=not of.is_partial)  # type: ignore[misc]
    return with_config(_STRICTLY)(made)


def _type(field: form.Field) -> Any:
    match field.type:
        case form.Scalar.TEXT:
            return Annotated[str, Field(max_length=field.most_chars)]
        case form.Scalar.DOUBLE:
            return float
        case form.ListOf(element):
            return Annotated[list[_typed(element)], Field(fail_fast=True)]  # type: ignore[misc]
        case form.ObjectForm():
            return _typed(field.type)
