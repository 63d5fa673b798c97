"""A result with the keys of the worker's records, as a user would write it."""

from typing import Any

_MODEL = [
    ("name", "name"), ("score", "score"),
    ("min_score", "minScore"), ("min_score_offset", "minScoreOffset"),
    ("max_score", "maxScore"), ("max_score_offset", "maxScoreOffset"),
    *[(f"quartile{number}", f"quartile{number}") for number in (1, 2, 3, 4)],
]  # fmt: skip
_SEGMENT = [
    ("start_time_offset", "startTimeOffset"), ("end_time_offset", "endTimeOffset"),
    ("result", "result"),
]  # fmt: skip


def record(interaction_id: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an interaction."""
    return {
        "interaction_id": interaction_id,
        "all_participants": _participant(result["allParticipants"]),
        "participant_one": _participant(result["participantOne"]),
        "participant_two": _participant(result["participantTwo"]),
    }


def _participant(found: dict[str, Any]) -> dict[str, Any]:
    segments = found["voiceActivitySegments"]
    return {
        "enlighten_bundles": [
            {"name": bundle["name"], "models": _renamed(bundle["models"], _MODEL)}
            for bundle in found["enlightenBundles"]
        ],
        "voice_activity_segments": None if segments is None else _renamed(segments, _SEGMENT),
    }


def _renamed(rows: list[dict[str, Any]], names: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{new: row[old] for new, old in names} for row in rows]
