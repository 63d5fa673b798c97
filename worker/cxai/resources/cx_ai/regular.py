"""Decodes regular bodies: those that match the documented form, as nearly all do.

msgspec parses and validates them in one pass, into objects whose types are made from the form: 47
µs for a body of 24 KB. The general reader (`read.py`) takes 165 µs, and defines what a body means.
It reads all bodies that are not regular, including those that msgspec would write in other bytes.
"""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct, defstruct
from msgspec.json import Decoder
from msgspec.structs import astuple

from cxai.resources.cx_ai import form

MOST = 1e15
"""The largest number that is regular: from 1e16 on, msgspec writes `1e16` and orjson `1e+16`."""

_NUMBER = Annotated[float, Meta(ge=-MOST, le=MOST)]


def read_regular(body: bytes) -> Sequence[Any] | None:
    """Return the participants of a regular body in the order of PARTICIPANTS, None for any other.

    A participant is None, or an object with the fields of the form as attributes. A body is not
    regular if it is no valid result, lacks a documented field or has an undocumented one, has a
    number beyond MOST or a byte order mark, or if all its participants are null or absent.
    """
    try:
        participants = astuple(_decode(body))
    except (DecodeError, UnicodeDecodeError):
        return None
    # If all are null, they may be absent, and then the body is no result.
    return participants if any(participants) else None


@cache
def sent(of: form.ObjectForm) -> type[Struct]:
    """Return the type of an object as the API sends it: decoding fails for any other."""
    absent = (None,) if of.is_partial else ()
    return defstruct(
        of.title,
        [(each.name, _type(each) | None, *absent) for each in of.fields],
        rename={each.name: each.api_name for each in of.fields},
        forbid_unknown_fields=True,
        gc=False,  # no object can be part of a cycle
    )


def kept(of: form.ObjectForm, *columns: str) -> type[Struct]:
    """Return the type of an object as we write it: the fields of the form, then `columns`.

    Without `columns`, an object of the type `sent(of)` becomes one of this type by assigning its
    `__class__`, which takes 0.09 µs; creating another object takes 0.4 µs.
    """
    return defstruct(of.title, [*(each.name for each in of.fields), *columns], gc=False)


def _type(field: form.Field) -> Any:
    match field.type:
        case form.Scalar.TEXT:
            return Annotated[str, Meta(max_length=field.most_chars)]
        case form.Scalar.DOUBLE:
            return _NUMBER
        case form.ListOf(element):
            return list[sent(element)]  # type: ignore[misc]
        case form.ObjectForm():
            return sent(field.type)


_decode = Decoder(sent(form.RESULT)).decode
