"""What the simulated API says of an interaction itself: its state, and how it was declared."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

_IN_PROCESSING = ("pendingProcessing", "processing")

WAYS: Mapping[str, tuple[str, ...]] = {
    "uploaded": ("declared", "filePendingUpload", "fileUploading", "fileUploaded", *_IN_PROCESSING),
    "downloaded": (
        "declared",
        "filePendingDownload",
        "fileDownloading",
        "fileDownloaded",
        *_IN_PROCESSING,
    ),
}
"""The two ways of a file to the API, and the states on each before it is `processed`."""

FAILURES: Mapping[str, Mapping[str, str]] = {
    "uploaded": {
        "processingFailed": "The audio could not be transcribed.",
        "fileUploadFailed": "The upload ended before the file did.",
    },
    "downloaded": {
        "processingFailed": "The audio could not be transcribed.",
        "fileDownloadFailed": "https://files.example/call.wav answered 403.",
    },
}
"""The states in which an interaction can fail on each way, with what the API says of it."""

_HAS_NO_FILE = frozenset(
    state
    for way in WAYS
    for state in (*WAYS[way][:3], *FAILURES[way])
    if state != "processingFailed"
)

_FIRST_DECLARED = datetime(2026, 1, 5, 8, tzinfo=UTC)
_UNDER_WAY_FOR = timedelta(minutes=2)
_ABANDONED_FOR = timedelta(days=3)


def way_of(draw: float) -> str:
    """Return the way by which a file comes; `draw` is in [0, 1)."""
    return "uploaded" if int(draw * 1_000) % 2 else "downloaded"


def processed_json(interaction_id: str, draw: float) -> bytes:
    """Return the status of what was processed, on a day and hour that `draw` chooses."""
    declared = _FIRST_DECLARED + timedelta(seconds=int(draw * 30 * 86_400))
    return _status_json(interaction_id, "processed", draw, declared)


def under_way_json(
    interaction_id: str, draw: float, earlier: int, looks: int, at: datetime
) -> bytes:
    """Return the status after `earlier` looks of `looks`, the last of which sees `processing`."""
    states = WAYS[way_of(draw)]
    state = states[max(0, len(states) - looks + earlier)]
    return _status_json(interaction_id, state, draw, at - _UNDER_WAY_FOR)


def abandoned_json(interaction_id: str, draw: float, at: datetime) -> bytes:
    """Return the status of what was declared days ago and never got its file."""
    state = WAYS[way_of(draw)][0 if draw < 0.5 else 1]  # noqa: PLR2004 - one half each
    return _status_json(interaction_id, state, draw, at - _ABANDONED_FOR)


def failed_json(interaction_id: str, draw: float) -> bytes:
    """Return the status of what failed: mostly in processing, else on the way there."""
    in_processing, on_the_way = FAILURES[way_of(draw)].items()
    state, why = in_processing if draw < 0.8 else on_the_way  # noqa: PLR2004 - four fifths
    return _status_json(interaction_id, state, draw, _FIRST_DECLARED, why)


def declared_json(interaction_id: str, *, with_cx_ai: bool) -> bytes:
    """Return the parameters with which an interaction was declared."""
    return orjson.dumps(
        {
            "identifier": interaction_id,
            "type": "audio",
            "languageTag": "en-us",
            "vertical": "default",
            "audioTranscriptionMode": "highAccuracy",
            "transcript": None,
            "chat": None,
            "downloadUri": None,
            "includeAiResults": with_cx_ai,
        }
    )


def _status_json(
    interaction_id: str, state: str, draw: float, declared: datetime, error: str | None = None
) -> bytes:
    arrived = None if state in _HAS_NO_FILE else declared + timedelta(seconds=20)
    times: dict[str, Any] = {"uploaded": None, "downloaded": None}
    times[way_of(draw)] = arrived
    done = declared + timedelta(seconds=300) if state == "processed" else None
    return orjson.dumps(
        {
            "identifier": interaction_id,
            "status": state,
            "declared": declared,
            **times,
            "processed": done,
            "errorMessage": error,
        },
        option=orjson.OPT_UTC_Z,
    )
