"""What the simulated API sends about an interaction itself: its status."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from cxai.simulator.behaviour import Behaviour
from cxai.simulator.scenario import Kind

_IN_PROCESSING = ("pendingProcessing", "processing")

STATES: Mapping[str, tuple[str, ...]] = {
    "uploaded": ("declared", "filePendingUpload", "fileUploading", "fileUploaded", *_IN_PROCESSING),
    "downloaded": (
        *("declared", "filePendingDownload", "fileDownloading", "fileDownloaded"),
        *_IN_PROCESSING,
    ),
}
"""The states before `processed`, for either way in which a file reaches the API."""

_NOT_TRANSCRIBED = ("processingFailed", "The audio could not be transcribed.")
_FAILURES: Mapping[str, tuple[str, str]] = {
    "uploaded": ("fileUploadFailed", "The upload ended before the file did."),
    "downloaded": ("fileDownloadFailed", "https://files.example/call.wav answered 403."),
}
_FILE_ARRIVED = {"fileUploaded", "fileDownloaded", *_IN_PROCESSING, "processingFailed", "processed"}

_FIRST_DECLARED = datetime(2026, 1, 5, 8, tzinfo=UTC)
_MONTH_S = 30 * 86_400


def status_json(interaction_id: str, its: Behaviour, earlier: int, at: datetime) -> bytes:
    """Return the status at the time `at`, after `earlier` requests for it."""
    way = "uploaded" if int(its.draw * 1_000) % 2 else "downloaded"
    states, message = STATES[way], None
    declared = _FIRST_DECLARED
    match its.kind:
        case Kind.PROCESSING if earlier < its.affected:
            state = states[max(0, len(states) - its.affected + earlier)]
            declared = at - timedelta(minutes=2)
        case Kind.ABANDONED:
            state = states[0 if its.draw < 0.5 else 1]  # noqa: PLR2004 - one half each
            declared = at - timedelta(days=3)
        case Kind.FAILED:
            state, message = _NOT_TRANSCRIBED if its.draw < 0.8 else _FAILURES[way]  # noqa: PLR2004
        case _:
            state = "processed"
            declared += timedelta(seconds=int(its.draw * _MONTH_S))
    times: dict[str, Any] = {"uploaded": None, "downloaded": None}
    times[way] = declared + timedelta(seconds=20) if state in _FILE_ARRIVED else None
    return orjson.dumps(
        {
            "identifier": interaction_id,
            "status": state,
            "declared": declared,
            **times,
            "processed": declared + timedelta(seconds=300) if state == "processed" else None,
            "errorMessage": message,
        },
        option=orjson.OPT_UTC_Z,
    )
