"""THE table: what a reply or a failure means for an ID, and what is done next.

Everything that decides about an ID's way lives here. Sources: the API's documentation (401, 404),
its sister endpoints (408 and 429 are retryable), RFC 9110 for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeGuard, cast

from cxai.policy.reply import Failure, Processing, Reply, Status, Trouble
from cxai.policy.rules import Rules as Rules  # noqa: PLC0414 - its old place
from cxai.policy.rules import backoff_s
from cxai.policy.verdict import Stage, Verdict

# --- meanings: the right-hand side of the table ---


@dataclass(frozen=True, slots=True)
class Result:
    """A body that has to be read."""


@dataclass(frozen=True, slots=True)
class Absent:
    """No result: never was, not yet, or no more. The status endpoint can tell.

    `perhaps_later` if, without asking for the status, it should be looked at again; `for_good` if
    the API says that it does not come back.
    """

    perhaps_later: bool = False
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """Not yet: to be looked at again."""


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """The token is the trouble, not the ID."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests: everyone's business, no fault of this ID."""


@dataclass(frozen=True, slots=True)
class Transient:
    """May go well next time; `then` is the verdict when the attempts are used up.

    `burns` tells whether it costs an attempt; it does not where the ID can't have been at fault.
    """

    then: Verdict = Verdict.EXHAUSTED
    burns: bool = True


@dataclass(frozen=True, slots=True)
class Final:
    """Asking again would give the same."""

    verdict: Verdict


Meaning = Result | Absent | Pending | TokenRefused | Throttled | Transient | Final

BY_STATUS: Mapping[int, Meaning] = {
    200: Result(),
    202: Pending(),
    203: Transient(),  # changed by a proxy on the way: not what the API has sent
    204: Absent(perhaps_later=True),
    401: TokenRefused(),
    403: TokenRefused(),
    404: Absent(),
    408: Transient(),
    409: Absent(perhaps_later=True),
    410: Absent(for_good=True),
    425: Transient(),
    429: Throttled(),
}

_LIMITS_IF_TIMED = frozenset({403, 503})
"""Statuses that tell of a limit if they come with a Retry-After: a token is not right later."""

BY_STATUS_CLASS: Mapping[int, Meaning] = {
    2: Final(Verdict.BAD_BODY),
    3: Final(Verdict.REDIRECTED),
    4: Final(Verdict.REJECTED),
    5: Transient(),
}
"""For statuses without a row of their own, by their first digit."""

BY_TROUBLE: Mapping[Trouble, Meaning] = {
    Trouble.NO_CONNECTION: Transient(burns=False),
    Trouble.TIMEOUT: Transient(),
    Trouble.BROKEN_OFF: Transient(),
    Trouble.UNDECODABLE: Transient(then=Verdict.CORRUPT_BODY),
    Trouble.UNSUPPORTED_ENCODING: Final(Verdict.UNSUPPORTED_ENCODING),
    Trouble.TOO_LARGE: Final(Verdict.TOO_LARGE),
    Trouble.NOT_JSON: Transient(then=Verdict.BAD_BODY),  # a proxy's page, perhaps for an hour
    Trouble.NOT_A_RESULT: Final(Verdict.BAD_BODY),
}


def meaning(seen: Reply | Failure) -> Meaning:
    """Look a reply or a failure up in the table."""
    means = _row(seen)
    if isinstance(means, Final) and seen.retry_after_s is not None:
        return Transient(then=means.verdict)  # the server itself calls it temporary
    return means


def _row(seen: Reply | Failure) -> Meaning:
    if isinstance(seen, Failure):
        return BY_TROUBLE[seen.trouble]
    if seen.status in _LIMITS_IF_TIMED and seen.retry_after_s is not None:
        return Throttled()
    # A status outside of 1xx-5xx is no HTTP; it may be a broken proxy's, so ask again.
    return BY_STATUS.get(seen.status) or BY_STATUS_CLASS.get(seen.status // 100, Transient())


# --- decisions: what the pipeline does next ---


@dataclass(frozen=True, slots=True)
class Read:
    """Decode, validate and normalize the body of `reply`."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Settle:
    """The way ends here."""

    verdict: Verdict
    reason: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Again:
    """Ask the same question not sooner than in `delay_s` seconds.

    `burns` tells whether it costs the ID one of its attempts. `pause_s`, if not None, holds
    everyone's requests back for that long. `heading` is the verdict to which its burned attempts
    lead, this one included.
    """

    delay_s: float
    burns: bool = True
    pause_s: float | None = None
    heading: Verdict = Verdict.EXHAUSTED


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Ask the status endpoint what the missing result means, not sooner than in `delay_s` s."""

    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AskResult:
    """Ask for the result (again) not sooner than in `delay_s` seconds.

    `second_look` if it was missing although processed: what is missing then is no more asked for.
    """

    delay_s: float = 0.0
    second_look: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the run; this ID and all others stay open."""

    reason: str


Decision = Read | Settle | Again | AskStatus | AskResult | Halt


# --- rules ---

_SECOND_LOOK_S = 5.0

_HOURS_SHOWN = 48

_NO_CX_AI = (
    "processed, but there is no CX AI result:"
    " deleted after 45 days, or declared without CX AI (includeAiResults)"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an ID has behind it when a reply to it is judged.

    `attempts` counts burned requests, this one included; `throttled` earlier refusals of anybody
    since the API last answered; `waited_s` seconds since the API first had no result for it.
    `age_s` is seconds since the interaction was declared, None if that is not known.
    `processed` tells that the status endpoint has called it processed, `looked_again` that its
    result was missing all the same and was given a second look, `outage` that the API
    fails for everyone, `singled_out` that it is refused again and again while others are answered.
    `heading` is the verdict to which all burned requests before this one lead.
    """

    attempts: int
    throttled: int = 0
    waited_s: float = 0.0
    age_s: float | None = None
    processed: bool = False
    looked_again: bool = False
    outage: bool = False
    singled_out: bool = False
    heading: Verdict | None = None


class Effect(Enum):
    """What a reply or a failure tells of the API itself, whatever it means for its ID."""

    ANSWERED = auto()
    REFUSED = auto()
    FAILED = auto()
    OVERLOADED = auto()


def effect(seen: Reply | Failure) -> Effect:
    """Return what is learned of the API: it answers, asks for less, fails, or fails for load."""
    match meaning(seen):
        case Throttled():
            return Effect.REFUSED
        case Transient(then=Verdict.EXHAUSTED):
            busy = isinstance(seen, Reply) and seen.status == 503  # noqa: PLR2004 - a row as well
            return Effect.OVERLOADED if busy else Effect.FAILED
        case _:
            return Effect.ANSWERED


def accepts_token(seen: Reply | Failure) -> bool:
    """Whether the API has answered, and found nothing wrong with the token."""
    return effect(seen) is Effect.ANSWERED and not isinstance(meaning(seen), TokenRefused)


def is_unreachable(seen: Reply | Failure) -> bool:
    """Whether there was not even a connection."""
    return isinstance(seen, Failure) and seen.trouble is Trouble.NO_CONNECTION


def is_readable(seen: Reply | Failure) -> TypeGuard[Reply]:
    """Whether there is a body that answers the question."""
    return isinstance(seen, Reply) and isinstance(meaning(seen), Result)


def judge(seen: Reply | Failure, standing: Standing, rules: Rules, draw: float) -> Decision:
    """Decide what follows from the reply (or the failure) to a request for a result."""
    match meaning(seen):
        case Result():
            return Read(cast(Reply, seen))  # no failure has this row
        case Absent() as absent:
            return _absent(absent, seen, standing, rules)
        case Pending():
            return _later(seen, standing, rules)
        case other:
            return _otherwise(other, seen, standing, rules, draw)


def _absent(absent: Absent, seen: Reply | Failure, standing: Standing, rules: Rules) -> Decision:
    if not standing.processed:
        if rules.check_status:
            return AskStatus(_asked_for_s(seen, rules))
        if absent.perhaps_later:
            return _later(seen, standing, rules)
        return Settle(Verdict.NOT_FOUND, _reason(seen), _stage(seen))
    if absent.for_good or standing.looked_again:
        return Settle(Verdict.NOT_FOUND, _NO_CX_AI, _stage(seen))
    # The API's endpoints may not agree for a moment.
    delay_s = max(min(rules.recheck_s, _SECOND_LOOK_S), _asked_for_s(seen, rules))
    return AskResult(delay_s, second_look=True)


def judge_status(
    seen: Status | Reply | Failure, standing: Standing, rules: Rules, draw: float
) -> Decision:
    """Decide what follows from the reply to a question for the status of a missing result."""
    if isinstance(seen, Status):
        return _by_state(seen, standing, rules)
    match meaning(seen):
        case Absent(perhaps_later=False):
            return Settle(Verdict.NOT_FOUND, "no such interaction", Stage.HEADERS)
        case Pending():
            return _later(seen, standing, rules)
        case TokenRefused() | Throttled() as other:
            return _otherwise(other, seen, standing, rules, draw)
        case _:
            # The result is missing and its status can't be read: not known, so left open.
            return _otherwise(Transient(), seen, standing, rules, draw)


def _by_state(status: Status, standing: Standing, rules: Rules) -> Decision:
    age_s = standing.age_s
    match status.processing:
        case Processing.PROCESSED:
            return AskResult()
        case Processing.FAILED:
            why = f"the API failed to process it ({status.state})"
        case Processing.AWAITING_FILE if age_s is not None and age_s >= rules.file_patience_s:
            why = f"declared {_ago(age_s)} and its file never arrived ({status.state})"
        case _:
            return _later(status, standing, rules)
    return Settle(Verdict.PROCESSING_FAILED, why, Stage.BODY)


def _later(seen: Status | Reply | Failure, standing: Standing, rules: Rules) -> Decision:
    delay_s = max(rules.recheck_s, _asked_for_s(seen, rules))
    if standing.waited_s + delay_s > rules.patience_s:
        is_waiting = isinstance(seen, Status) and seen.processing is Processing.AWAITING_FILE
        why = "its file has not arrived yet" if is_waiting else "still being processed"
        return Settle(Verdict.NOT_READY, why, Stage.BODY)
    return AskResult(delay_s)


def _ago(age_s: float) -> str:
    hours = int(age_s // 3_600)
    if hours <= 1:
        return "an hour ago" if hours else "just now"
    return f"{hours} hours ago" if hours < _HOURS_SHOWN else f"{hours // 24} days ago"


def _otherwise(
    means: TokenRefused | Throttled | Transient | Final,
    seen: Reply | Failure,
    standing: Standing,
    rules: Rules,
    draw: float,
) -> Decision:
    match means:
        case TokenRefused():
            return Halt(_reason(seen))
        case Throttled() if standing.singled_out:  # no limit that all share: this ID's own trouble
            return _otherwise(Transient(), seen, standing, rules, draw)
        case Throttled():
            own = backoff_s(
                standing.throttled + 1, rules.backoff_base_s, rules.backoff_cap_s, 0.5 + draw / 2
            )
            pause_s = max(own, _asked_for_s(seen, rules))
            return Again(pause_s, burns=False, pause_s=pause_s)
        case Transient(then=verdict, burns=burns):
            burns = burns and not standing.outage
            # Only who fails in one way all the time gets a verdict that tells of that way.
            if standing.heading not in {None, verdict}:
                verdict = Verdict.EXHAUSTED
            if burns and standing.attempts >= rules.max_attempts:
                return Settle(verdict, _reason(seen), _stage(seen))
            own = backoff_s(standing.attempts, rules.backoff_base_s, rules.backoff_cap_s, draw)
            return Again(max(own, _asked_for_s(seen, rules)), burns=burns, heading=verdict)
        case final:
            return Settle(final.verdict, _reason(seen), _stage(seen))


def _asked_for_s(seen: Status | Reply | Failure, rules: Rules) -> float:
    if seen.retry_after_s is None:
        return 0.0
    return min(seen.retry_after_s, rules.retry_after_cap_s)


def _reason(seen: Reply | Failure) -> str:
    return seen.reason if isinstance(seen, Failure) else f"HTTP {seen.status}"


def _stage(seen: Reply | Failure) -> Stage:
    return seen.stage if isinstance(seen, Failure) else Stage.HEADERS
