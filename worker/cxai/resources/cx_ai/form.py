"""The documented form of a CX AI result: what its fields are called, and of which type they are.

Scores and offsets are doubles, also where a whole number was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import AliasGenerator, ConfigDict, Field, WithJsonSchema, with_config
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict  # typing's own is not enough for pydantic before 3.12

from cxai.policy.reply import NO_DRIFT, Drift

MAX_BUNDLE_NAME_CHARS = 1024
"""Characters in the name of a bundle: in tables, each of its models has a copy."""

# What `ignore` ignores is found by counting keys. Together that is faster than `forbid` (a body of
# 23 KB: 76 instead of 112 µs).
_strictly = with_config(
    ConfigDict(
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        extra="ignore",
        alias_generator=AliasGenerator(validation_alias=to_camel),
    )
)

_MS = "Milliseconds, inferred from the public sample: the API states no unit."
_Score = float | None
_Offset = float | None  # whole ones one night and fractional ones the next are one column, too
_BundleName = Annotated[
    str,
    Field(max_length=MAX_BUNDLE_NAME_CHARS),
    WithJsonSchema({"type": "string"}),  # a guard of ours, no property of the data
]


@_strictly
class Model(TypedDict):
    """What one AI behavioural model found. Scores may be negative, and in any order."""

    name: Annotated[str | None, Field(description="Name of the model.")]
    score: Annotated[_Score, Field(description="Overall score.")]
    min_score: Annotated[_Score, Field(description="Lowest score in the interaction.")]
    min_score_offset: Annotated[_Offset, Field(description=f"Time of the lowest score. {_MS}")]
    max_score: Annotated[_Score, Field(description="Highest score in the interaction.")]
    max_score_offset: Annotated[_Offset, Field(description=f"Time of the highest score. {_MS}")]
    quartile1: Annotated[_Score, Field(description="Score across the first quarter.")]
    quartile2: Annotated[_Score, Field(description="Score across the second quarter.")]
    quartile3: Annotated[_Score, Field(description="Score across the third quarter.")]
    quartile4: Annotated[_Score, Field(description="Score across the fourth quarter.")]


@_strictly
class Bundle(TypedDict):
    """An AI behavioural model bundle."""

    name: Annotated[
        _BundleName | None,
        Field(description="Name of the bundle, such as Customer Satisfaction."),
    ]
    models: Annotated[
        Annotated[list[Model], Field(fail_fast=True)] | None,
        Field(description="One per model, in the API's order."),
    ]


@_strictly
class Segment(TypedDict):
    """A stretch of voice or of silence."""

    start_time_offset: Annotated[_Offset, Field(description=f"Start of the segment. {_MS}")]
    end_time_offset: Annotated[_Offset, Field(description=f"End of the segment. {_MS}")]
    result: Annotated[
        str | None, Field(description="`voice` or `silence`; any other text is kept as sent.")
    ]


@_strictly
class Participant(TypedDict):
    """What was found for one participant."""

    enlighten_bundles: Annotated[
        Annotated[list[Bundle], Field(fail_fast=True)] | None,
        Field(description="One per eligible AI behavioural model bundle."),
    ]
    voice_activity_segments: Annotated[
        Annotated[list[Segment], Field(fail_fast=True)] | None,
        Field(description="Voice and silence in turn; null where the API sends null."),
    ]


@_strictly
class Result(TypedDict):
    """A CX AI result. A participant may be absent."""

    all_participants: NotRequired[
        Annotated[Participant | None, Field(description="All participants together.")]
    ]
    participant_one: NotRequired[
        Annotated[Participant | None, Field(description="The first participant.")]
    ]
    participant_two: NotRequired[
        Annotated[Participant | None, Field(description="The second participant.")]
    ]


@dataclass(frozen=True, slots=True)
class ObjectForm:
    """An object of the documented form: what its fields are called there and here.

    `lists` holds the form of the elements of those fields that are lists of objects.
    """

    path: str
    fields: Mapping[str, str]
    lists: Mapping[str, "ObjectForm"] = field(default_factory=dict)


def _camel(typed: type) -> Mapping[str, str]:
    return {to_camel(name): name for name in typed.__annotations__}


_MODEL = ObjectForm(".enlightenBundles[].models[]", _camel(Model))
_BUNDLE = ObjectForm(".enlightenBundles[]", _camel(Bundle), {"models": _MODEL})
_SEGMENT = ObjectForm(".voiceActivitySegments[]", _camel(Segment))
PARTICIPANT_FORM = ObjectForm(
    "", _camel(Participant), {"enlightenBundles": _BUNDLE, "voiceActivitySegments": _SEGMENT}
)
RESULT_FIELDS = _camel(Result)
"""The fields of a result, as the API calls them, with our names; each is a participant."""

PARTICIPANTS = tuple(RESULT_FIELDS.values())

KNOWN_FIELDS = frozenset(RESULT_FIELDS).union(
    *(form.fields for form in (PARTICIPANT_FORM, _BUNDLE, _MODEL, _SEGMENT))
)
"""What the API calls the fields of all objects of the form."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """A validated CX AI result: what its rows are made from.

    `participants` maps each of PARTICIPANTS to
    `{"enlighten_bundles": [...] | None, "voice_activity_segments": [...] | None}` or None, with
    keys in snake_case and in the order of the form. Fields that the form does not know stand under
    `extra` beside those it knows; `drift` names them, and the documented fields that were absent.
    """

    participants: dict[str, Any] = field(repr=False)
    drift: Drift = NO_DRIFT
