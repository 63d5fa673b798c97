"""A CX AI result that has been read: what its rows are made from."""

from dataclasses import dataclass, field
from typing import Any

from cxai.policy.reply import NO_DRIFT, Drift

PARTICIPANTS = ("all_participants", "participant_one", "participant_two")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A validated CX AI result.

    `participants` maps each of PARTICIPANTS to
    `{"enlighten_bundles": [...] | None, "voice_activity_segments": [...] | None}` or None, with
    keys in snake_case and in the order of the form. Fields that the form does not know stand under
    `extra` beside those it knows; `drift` names them, and the documented fields that were absent.
    """

    participants: dict[str, Any] = field(repr=False)
    drift: Drift = NO_DRIFT

    more_drift = 0  # `drift` has it; the pipeline still asks for both
