"""The body of the status endpoint: how far the processing of an interaction is.

Source: the vendor's public documentation and SDK. Known are `processed` and three failures;
anything else means that it is under way.
"""

from worker.api.wire import not_a_result, parse
from worker.domain.reply import Failure, Processing

_FAILED = frozenset({"fileuploadfailed", "filedownloadfailed", "processingfailed"})


def processing(body: bytes) -> Processing | Failure:
    """Return what `body` says of the interaction; never raises, whatever the bytes are.

    Fails with NOT_A_RESULT if it is no JSON object with a status that is a non-empty text.
    """
    raw = parse(body)
    if isinstance(raw, Failure):
        return raw
    status = raw.get("status") if isinstance(raw, dict) else None
    if not isinstance(status, str) or not status.strip():
        return not_a_result("has no status")
    match status.strip().casefold():
        case "processed":
            return Processing.PROCESSED
        case known if known in _FAILED:
            return Processing.FAILED
        case _:
            return Processing.UNDER_WAY
