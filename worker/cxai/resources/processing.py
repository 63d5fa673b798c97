"""The body of the status endpoint: how far an interaction has been processed.

Source: the vendor's public documentation and SDK, which name thirteen states.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cxai.policy.reply import Failure, Processing, Status
from cxai.resources.json_body import not_a_result, parse
from cxai.resources.message import message_of, one_line

MAX_STATE_CHARS = 64  # of a state's name that are kept

STATES: Mapping[str, Processing] = {
    "declared": Processing.AWAITING_FILE,
    "filePendingUpload": Processing.AWAITING_FILE,
    "fileUploading": Processing.AWAITING_FILE,
    "fileUploaded": Processing.UNDER_WAY,
    "fileUploadFailed": Processing.FAILED,
    "filePendingDownload": Processing.AWAITING_FILE,
    "fileDownloading": Processing.AWAITING_FILE,
    "fileDownloaded": Processing.UNDER_WAY,
    "fileDownloadFailed": Processing.FAILED,
    "pendingProcessing": Processing.UNDER_WAY,
    "processing": Processing.UNDER_WAY,
    "processed": Processing.PROCESSED,
    "processingFailed": Processing.FAILED,
}
"""Every documented state. Either the customer uploads the file, or the API downloads it."""


_FIRST_YEAR = 2000  # some servers send the earliest date of their calendar for "never"


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.casefold()))


_BY_NAME = {_letters(name): processing for name, processing in STATES.items()}


def processing(body: bytes) -> Status | Failure:
    """Return the status in `body`; never raises, whatever the bytes are.

    Only the letters of a state's name count, in any case. An undocumented state counts as under
    way. Fails with NOT_A_RESULT unless it is a JSON object with a non-empty text as status.
    """
    raw = parse(body)
    if isinstance(raw, Failure):
        return raw
    name = raw.get("status") if isinstance(raw, dict) else None
    if not isinstance(name, str) or not (name := name.strip()):
        return not_a_result("has no status")
    known = _BY_NAME.get(_letters(name))
    return Status(
        processing=known or Processing.UNDER_WAY,
        state=one_line(name, MAX_STATE_CHARS),
        is_known=known is not None,
        declared_s=_seconds(raw.get("declared")),
        message=message_of(raw.get("errorMessage")),
    )


def _seconds(value: Any) -> float | None:
    """Return an ISO 8601 time (UTC by default) in seconds since 1970, None if it is invalid."""
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return at.timestamp() if at.year >= _FIRST_YEAR else None
    except (TypeError, ValueError, OverflowError):
        return None
