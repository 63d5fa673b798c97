"""The documented form of a CX AI result: the names and types of its fields.

The decoder of regular bodies, the validator of all others and the schema of the rows are made from
it. Scores and offsets are doubles, even if a whole number was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from cxai.policy.reply import NO_DRIFT, Drift

MAX_BUNDLE_NAME_CHARS = 1024  # in tables, the row of each model repeats the name of its bundle


class Scalar(Enum):
    """What a single value can be."""

    TEXT = "text"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of objects of one form."""

    element: "ObjectForm"


@dataclass(frozen=True)
class Field:
    """A field of an object: its name in our rows, its type and its description. Any may be null.

    `most_chars` limits a text, as a protection: the API documents no limit.
    """

    name: str
    type: "Scalar | ListOf | ObjectForm"
    description: str
    most_chars: int | None = None

    @cached_property
    def api_name(self) -> str:
        """Its name in the API: `minScore` for our `min_score`."""
        first, *others = self.name.split("_")
        return first + "".join(map(str.capitalize, others))


@dataclass(frozen=True)
class ObjectForm:
    """An object of the form. `path` is its place within a participant, empty for the participant.

    Its fields may be absent if `is_partial`; otherwise an absent field is a deviation.
    """

    title: str
    description: str
    path: str
    fields: tuple[Field, ...]
    is_partial: bool = False

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names of its fields, by their names in the API."""
        return {each.api_name: each.name for each in self.fields}

    @cached_property
    def lists(self) -> Mapping[str, "ObjectForm"]:
        """The form of the elements of its lists, by their names in the API."""
        return {f.api_name: f.type.element for f in self.fields if isinstance(f.type, ListOf)}


_MS = "Milliseconds, inferred from the public sample: the API states no unit."

MODEL = ObjectForm(
    "Model",
    "What one AI behavioural model found. Scores may be negative, and in any order.",
    ".enlightenBundles[].models[]",
    (
        Field("name", Scalar.TEXT, "Name of the model."),
        Field("score", Scalar.DOUBLE, "Overall score."),
        Field("min_score", Scalar.DOUBLE, "Lowest score in the interaction."),
        Field("min_score_offset", Scalar.DOUBLE, f"Time of the lowest score. {_MS}"),
        Field("max_score", Scalar.DOUBLE, "Highest score in the interaction."),
        Field("max_score_offset", Scalar.DOUBLE, f"Time of the highest score. {_MS}"),
        Field("quartile1", Scalar.DOUBLE, "Score across the first quarter."),
        Field("quartile2", Scalar.DOUBLE, "Score across the second quarter."),
        Field("quartile3", Scalar.DOUBLE, "Score across the third quarter."),
        Field("quartile4", Scalar.DOUBLE, "Score across the fourth quarter."),
    ),
)

BUNDLE = ObjectForm(
    "Bundle",
    "An AI behavioural model bundle.",
    ".enlightenBundles[]",
    (
        Field(
            "name",
            Scalar.TEXT,
            "Name of the bundle, such as Customer Satisfaction.",
            MAX_BUNDLE_NAME_CHARS,
        ),
        Field("models", ListOf(MODEL), "One per model, in the API's order."),
    ),
)

SEGMENT = ObjectForm(
    "Segment",
    "A stretch of voice or of silence.",
    ".voiceActivitySegments[]",
    (
        Field("start_time_offset", Scalar.DOUBLE, f"Start of the segment. {_MS}"),
        Field("end_time_offset", Scalar.DOUBLE, f"End of the segment. {_MS}"),
        Field("result", Scalar.TEXT, "`voice` or `silence`; any other text is kept as sent."),
    ),
)

PARTICIPANT = ObjectForm(
    "Participant",
    "What was found for one participant.",
    "",
    (
        Field("enlighten_bundles", ListOf(BUNDLE), "One per eligible AI behavioural model bundle."),
        Field(
            "voice_activity_segments",
            ListOf(SEGMENT),
            "Voice and silence in turn; null where the API sends null.",
        ),
    ),
)

RESULT = ObjectForm(
    "Result",
    "A CX AI result. A participant may be absent.",
    "",
    (
        Field("all_participants", PARTICIPANT, "All participants together."),
        Field("participant_one", PARTICIPANT, "The first participant."),
        Field("participant_two", PARTICIPANT, "The second participant."),
    ),
    is_partial=True,
)

PARTICIPANTS = tuple(each.name for each in RESULT.fields)

KNOWN_FIELDS = frozenset().union(
    *(form.names for form in (RESULT, PARTICIPANT, BUNDLE, MODEL, SEGMENT))
)
"""The names in the API of all fields of the form."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """A validated CX AI result.

    `participants` maps each of PARTICIPANTS to
    `{"enlighten_bundles": [...] | None, "voice_activity_segments": [...] | None}` or None, with
    keys in snake_case and in the order of the form. Undocumented fields of an object are under its
    key `extra`; `drift` names them, and the documented fields that were absent.
    """

    participants: dict[str, Any] = field(repr=False)
    drift: Drift = NO_DRIFT
