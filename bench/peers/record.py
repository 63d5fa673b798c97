"""A result with the keys of the worker's records, as a user would write it."""

from typing import Any


def record(interaction_id: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an interaction."""
    return {
        "interaction_id": interaction_id,
        "all_participants": participant(result["allParticipants"]),
        "participant_one": participant(result["participantOne"]),
        "participant_two": participant(result["participantTwo"]),
    }


def participant(found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found for one participant."""
    segments = found["voiceActivitySegments"]
    return {
        "enlighten_bundles": [
            {"name": bundle["name"], "models": [model(one) for one in bundle["models"]]}
            for bundle in found["enlightenBundles"]
        ],
        "voice_activity_segments": None if segments is None else [segment(s) for s in segments],
    }


def model(scored: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of one model."""
    return {
        "name": scored["name"],
        "score": scored["score"],
        "min_score": scored["minScore"],
        "min_score_offset": scored["minScoreOffset"],
        "max_score": scored["maxScore"],
        "max_score_offset": scored["maxScoreOffset"],
        "quartile1": scored["quartile1"],
        "quartile2": scored["quartile2"],
        "quartile3": scored["quartile3"],
        "quartile4": scored["quartile4"],
    }


def segment(heard: dict[str, Any]) -> dict[str, Any]:
    """Return one stretch of voice or silence."""
    return {
        "start_time_offset": heard["startTimeOffset"],
        "end_time_offset": heard["endTimeOffset"],
        "result": heard["result"],
    }
