"""The verdicts: every way in which an ID can end."""

from collections.abc import Mapping
from enum import StrEnum


class Verdict(StrEnum):
    """How an ID ended. Each distinct ID of the input gets exactly one."""

    OK = "ok"
    NOT_FOUND = "not_found"
    NOT_READY = "not_ready"
    PROCESSING_FAILED = "processing_failed"
    INVALID_ID = "invalid_id"
    REJECTED = "rejected"
    BAD_BODY = "bad_body"
    CORRUPT_BODY = "corrupt_body"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    EXHAUSTED = "exhausted"
    POISON = "poison"


ANSWERED = frozenset({Verdict.OK, Verdict.NOT_FOUND, Verdict.PROCESSING_FAILED})
"""Verdicts that are the API's answer. All others count as failures of the run."""

OPEN_AGAIN = frozenset(Verdict) - ANSWERED - {Verdict.INVALID_ID, Verdict.TOO_LARGE}
"""Verdicts that the next run retries, since the API may well answer then."""

ADVICE: Mapping[Verdict, str] = {
    Verdict.NOT_FOUND: "the API has no CX AI result for them",
    Verdict.NOT_READY: "still being processed; run the same command again later",
    Verdict.PROCESSING_FAILED: "ElevateAI could not process the interaction, or never got its"
    " file; declare it again there",
    Verdict.INVALID_ID: "correct these lines of the input (the failures say which)",
    Verdict.REJECTED: "the API, or a gateway in front of it, refused the request; the reason"
    " names the status",
    Verdict.BAD_BODY: "the API answered with something other than a CX AI result",
    Verdict.CORRUPT_BODY: "the body arrived damaged each time; run the same command again",
    Verdict.UNSUPPORTED_ENCODING: "a proxy sends a content coding that was not requested",
    Verdict.TOO_LARGE: "if such results are real, raise the limit that the reason names"
    " (max_decoded_bytes, max_ratio, max_wire_bytes), then --reopen too_large",
    Verdict.REDIRECTED: "the API, or a proxy in front of it, redirects requests; check base_url",
    Verdict.EXHAUSTED: "the API kept failing; run the same command again",
    Verdict.POISON: "every worker that processed one of them was lost; look for the cause in the"
    " workers' logs and memory limits",
}
"""What a user can do about each verdict except `ok`."""


class FailureStage(StrEnum):
    """The stage in which a request failed."""

    INPUT = "input"
    CONNECT = "connect"
    HEADERS = "headers"
    BODY = "body"
    DECODE = "decode"
    PARSE = "parse"
    VALIDATE = "validate"
