"""One step in the life of an ID: from a reply to what happens next.

Pure: the same arguments give the same step, so that a recorded life can be replayed.
"""

import math
from dataclasses import dataclass, replace

from cxai.policy.reply import Endpoint, Failure, ParsedReply, Record, Refusal, Said, Status
from cxai.policy.settings import PolicySettings, backoff_s
from cxai.policy.table import ALONE, OK, Meaning, Row, Signal, row
from cxai.policy.verdict import FailureStage, Verdict
from cxai.policy.words import reason

_NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Job:
    """What has happened to an ID so far, and the endpoint to request next.

    `attempts` counts the requests that cost an attempt, and `failing_as` is the verdict that all of
    them lead to: `exhausted` once they differ. The governor counts in `refusals` how often a limit
    refused it while others were answered. `absent_since_s` is the monotonic time of the first "no
    result" in this run. `processed` is whether the status endpoint called it processed,
    `looked_again` whether its result was missing nevertheless and was requested again.
    """

    endpoint: Endpoint = Endpoint.RESULT
    attempts: int = 0
    failing_as: Verdict | None = None
    refusals: int = 0
    absent_since_s: float | None = None
    processed: bool = False
    looked_again: bool = False
    said: Said = _NOTHING


@dataclass(frozen=True, slots=True)
class Keep:
    """The ID is completed, with a record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Settle:
    """The ID is completed with this verdict, without a record."""

    verdict: Verdict
    reason: str
    stage: FailureStage


@dataclass(frozen=True, slots=True)
class Ask:
    """Request the job's endpoint, not sooner than in `delay_s` seconds.

    `pause_s`, if not None, pauses the requests of all IDs for that long.
    """

    delay_s: float = 0.0
    pause_s: float | None = None


Decision = Keep | Settle | Ask


@dataclass(frozen=True, slots=True)
class ApiConditions:
    """What a step depends on beyond its ID.

    `now_s` is the monotonic time, `utc_s` seconds since 1970 (UTC). `refused_rounds` counts the
    consecutive rounds of refusals by a limit before this one.
    """

    now_s: float
    utc_s: float
    refused_rounds: int = 0


Next = tuple[Job, Decision]
_NoBody = Refusal | Failure
_NoRecord = Status | _NoBody

_REFUSED_ALONE = 3
_RECONCILE_S = 5.0
_HOURS_SHOWN = 48
_NO_SUCH = "no such interaction"
_IN_PROGRESS = "still being processed"
_NO_CX_AI = (
    "processed, but there is no CX AI result:"
    " deleted after 45 days, or declared without CX AI (includeAiResults)"
)


def signal_of(job: Job, seen: ParsedReply) -> Signal:
    """Return what a reply shows about the API."""
    return _row(job, seen).signal


def step(  # noqa: PLR0911 - one return per meaning
    job: Job, seen: ParsedReply, api: ApiConditions, rules: PolicySettings, draw: float
) -> Next:
    """Return the job after the reply from its endpoint, and the decision.

    `draw` is a random number in [0, 1), for the jitter.
    """
    if isinstance(seen, Record):
        return job, Keep(seen)
    found = _row(job, seen)
    job = replace(job, said=_said(job.said, seen))
    if isinstance(seen, Status):
        return _by_state(job, seen, found, api, rules)
    match found.meaning:
        case Meaning.MISSING | Meaning.NOT_YET | Meaning.GONE:
            return _missing(job, seen, found, api, rules)
        case Meaning.PENDING:
            return _check_later(job, seen, api, rules)
        case Meaning.LIMIT:
            return job, _pause(seen, api, rules, draw)
        case Meaning.RETRY | Meaning.RETRY_THEN_STATUS:
            return _retry(job, seen, found, api, rules, draw)
        case meaning:
            why = _NO_SUCH if meaning is Meaning.UNKNOWN else reason(seen)
            return job, Settle(found.verdict, why, _stage(seen))


def _row(job: Job, seen: ParsedReply) -> Row:
    """Look up the reply; a limit that repeatedly refuses only this ID is a failure of the ID."""
    found = row(seen, job.endpoint)
    alone = found.signal is Signal.THROTTLED and job.refusals >= _REFUSED_ALONE
    return ALONE if alone else found


def _said(said: Said, seen: _NoRecord) -> Said:
    """Note the API's message; a refusal without one keeps that of the last with its status."""
    match seen:
        case Status(state=state, message=message):
            return Said(OK, message, state)
        case Failure(status=None):
            return replace(said, message=None)
        case refused:
            before = said.message if said.status == refused.status else None
            return replace(said, status=refused.status, message=refused.message or before)


def _missing(
    job: Job, seen: _NoBody, found: Row, api: ApiConditions, rules: PolicySettings
) -> Next:
    if not job.processed:
        if rules.check_status:
            return _request(job, Endpoint.STATUS, api), Ask(_retry_after_s(seen, rules))
        if found.meaning is Meaning.NOT_YET:
            return _check_later(job, seen, api, rules)
        return job, Settle(Verdict.NOT_FOUND, reason(seen), FailureStage.HEADERS)
    if found.meaning is Meaning.GONE or job.looked_again:
        return job, Settle(Verdict.NOT_FOUND, _NO_CX_AI, FailureStage.HEADERS)
    # The two endpoints may disagree for a moment.
    delay_s = max(min(rules.recheck_s, _RECONCILE_S), _retry_after_s(seen, rules))
    return _request(replace(job, looked_again=True), Endpoint.RESULT, api), Ask(delay_s)


def _by_state(
    job: Job, seen: Status, found: Row, api: ApiConditions, rules: PolicySettings
) -> Next:
    job = replace(job, processed=found.meaning is Meaning.PROCESSED)
    match found.meaning:
        case Meaning.PROCESSED:
            return _request(job, Endpoint.RESULT, api), Ask()
        case Meaning.UNPROCESSABLE:
            why = f"the API failed to process it ({seen.state})"
            return job, Settle(found.verdict, why, FailureStage.BODY)
        case Meaning.AWAITING_FILE:
            age_s = -math.inf if seen.declared_s is None else api.utc_s - seen.declared_s
            if age_s < rules.file_patience_s:
                return _check_later(job, seen, api, rules, "its file has not arrived yet")
            why = f"declared {_ago(age_s)} and its file never arrived ({seen.state})"
            return job, Settle(Verdict.PROCESSING_FAILED, why, FailureStage.BODY)
        case _:
            return _check_later(job, seen, api, rules)


def _check_later(
    job: Job, seen: _NoRecord, api: ApiConditions, rules: PolicySettings, why: str = _IN_PROGRESS
) -> Next:
    delay_s = max(rules.recheck_s, _retry_after_s(seen, rules))
    waited_s = 0.0 if job.absent_since_s is None else api.now_s - job.absent_since_s
    if waited_s + delay_s > rules.patience_s:
        return job, Settle(Verdict.NOT_READY, why, FailureStage.BODY)
    return _request(job, Endpoint.RESULT, api), Ask(delay_s)


def _request(job: Job, endpoint: Endpoint, api: ApiConditions) -> Job:
    since_s = api.now_s if job.absent_since_s is None else job.absent_since_s
    return replace(job, endpoint=endpoint, absent_since_s=since_s)


def _ago(age_s: float) -> str:
    hours = int(age_s // 3_600)
    if hours <= 1:
        return "an hour ago" if hours else "just now"
    return f"{hours} hours ago" if hours < _HOURS_SHOWN else f"{hours // 24} days ago"


def _pause(seen: _NoBody, api: ApiConditions, rules: PolicySettings, draw: float) -> Ask:
    rounds, draw = api.refused_rounds + 1, 0.5 + draw / 2
    own_s = backoff_s(rounds, rules.backoff_base_s, rules.backoff_cap_s, draw)
    pause_s = max(own_s, _retry_after_s(seen, rules))
    return Ask(pause_s, pause_s)


def _retry(
    job: Job, seen: _NoBody, found: Row, api: ApiConditions, rules: PolicySettings, draw: float
) -> Next:
    verdict, most = found.verdict, min(found.most or rules.max_attempts, rules.max_attempts)
    # Only an ID that fails in one way all the time gets the verdict of that way.
    if job.failing_as not in {None, verdict}:
        verdict, most = Verdict.EXHAUSTED, rules.max_attempts
    if found.most is not None:  # a few attempts must not all fall into one short failure
        draw = 0.5 + draw / 2
    own_s = backoff_s(job.attempts + 1, rules.backoff_base_s, rules.backoff_cap_s, draw)
    retry = Ask(max(own_s, _retry_after_s(seen, rules)))
    if not found.counts:
        return job, retry
    attempts = max(job.attempts, min(job.attempts + 1, most))
    job = replace(job, attempts=attempts, failing_as=verdict)
    if attempts < most:
        return job, retry
    if found.meaning is Meaning.RETRY_THEN_STATUS and rules.check_status and not job.processed:
        return _request(job, Endpoint.STATUS, api), Ask(_retry_after_s(seen, rules))
    why = reason(seen)
    if found.signal is Signal.TOKEN_REFUSED:
        why += ", though the token is good for others"
    return job, Settle(verdict, why, _stage(seen))


def _retry_after_s(seen: _NoRecord, rules: PolicySettings) -> float:
    return min(seen.retry_after_s or 0.0, rules.retry_after_cap_s)


def _stage(seen: _NoBody) -> FailureStage:
    return seen.stage if isinstance(seen, Failure) else FailureStage.HEADERS
