"""A result with the keys of the worker's records, as a user would write it."""

from typing import Any

_MODEL = {
    "name": "name", "score": "score", "min_score": "minScore", "max_score": "maxScore",
    "min_score_offset": "minScoreOffset", "max_score_offset": "maxScoreOffset",
    **{f"quartile{number}": f"quartile{number}" for number in (1, 2, 3, 4)},
}.items()  # fmt: skip
_SEGMENT = {
    "start_time_offset": "startTimeOffset", "end_time_offset": "endTimeOffset", "result": "result"
}.items()  # fmt: skip


def record(interaction_id: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an interaction."""
    return {
        "interaction_id": interaction_id,
        "all_participants": _participant(result["allParticipants"]),
        "participant_one": _participant(result["participantOne"]),
        "participant_two": _participant(result["participantTwo"]),
    }


def _participant(found: dict[str, Any]) -> dict[str, Any]:
    bundles, segments = found["enlightenBundles"], found["voiceActivitySegments"]
    return {
        "enlighten_bundles": [
            {
                "name": one["name"],
                "models": [{new: its[old] for new, old in _MODEL} for its in one["models"]],
            }
            for one in bundles
        ],
        "voice_activity_segments": segments
        and [{new: one[old] for new, old in _SEGMENT} for one in segments],
    }
