"""Is it the API, or this ID? One theory: what every ID gets is no ID's verdict.

Each reply is a Signal about the API (policy/table.py). A failure is *held*: it is charged to its ID
only once a request that left later is answered. If failures come in a row instead, the API itself
is in DOUBT. Then nothing leaves but a canary, a request that the API has answered before. If the
canary is answered, the failures were the IDs' own and are charged. If not, the API is DOWN and they
are forgiven, as if they had not happened. Until the API has answered anything there is no canary,
and an ordinary request leaves in its place.

UP: requests leave as usual.
    ANSWERED        what left before is charged; the row of failures ends
    FAILED          held; N in a row → DOUBT
    THROTTLED       held; R rounds in a row, and there is a canary → DOUBT
    TOKEN_REFUSED   held → DOUBT; forgiven if it left before the token was renewed

DOUBT: only canaries leave, one at a time.
    ANSWERED        the canary: all are charged, N doubles → UP
                    another: what left before is charged; nothing left → UP
    FAILED          the canary: all are forgiven → DOWN; another: held
    THROTTLED       the canary: the limit applies to all, R doubles → UP; if the doubt was about
                    something else, another canary leaves; another request: held
    TOKEN_REFUSED   the canary, twice: the token is refused; another: held

DOWN: only probes leave, alternately the canary and ordinary requests, one at a time, at growing
intervals.
    ANSWERED        if it left since → UP; if it left before, nothing changes
    FAILED          forgiven; the probe: the interval doubles
    THROTTLED       the probe: the same interval again
    TOKEN_REFUSED   held → DOUBT

N counts failures in a row, of whatever kind. R counts rounds: refusals of requests that had left
before the first of them came back are one round. An ordinary answer resets N. A verdict that is
held back while nothing is ready or in flight (at the end of a run, with a full backlog or a silent
queue) is a doubt as well: see `idle`.

A request that left before the state was entered is neither canary nor probe. Pure: times are
seconds of one monotonic clock, given by the caller.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic

from cxai.governor.held import Held, HeldFailures, Item
from cxai.policy.table import Signal

_LIMIT, _TOKEN = "limit", "token"

_CANARIES_FOR_TOKEN = 2  # that are refused, before the token counts as refused
_MAX_DOUBLINGS = 3  # of N and R


class State(StrEnum):
    """Whether the API answers."""

    UP = "up"
    DOUBT = "doubt"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The figures of the table: N is `failures`, R is `rounds`; both grow to eight times that.

    `others`: answers to other requests after which a refusal with 429 is charged to its ID; as many
    as may be in flight. The first probe leaves `probe_base_s` seconds after the API is found DOWN,
    each further one after twice the interval, at most `probe_cap_s` seconds.
    """

    failures: int
    others: int
    probe_base_s: float
    probe_cap_s: float
    rounds: int = 3


@dataclass(slots=True)
class Findings(Generic[Item]):
    """What follows from a signal.

    `charged` failures count from now on, `forgiven` ones never happened. `token_refused`: the
    canary's token is refused. `refused_alone`: a limit refuses single IDs only. `was_short`: the
    kind of an outage that was over at the first probe.
    """

    charged: list[Held[Item]] = field(default_factory=list)
    forgiven: list[Held[Item]] = field(default_factory=list)
    token_refused: bool = False
    refused_alone: bool = False
    was_short: str = ""


@dataclass(slots=True)
class Health(Generic[Item]):
    """The `state` of the API as seen by this run, entered at `since`.

    `about` is the cause of a doubt, `doubts` their number. The caller sets `has_canary`.
    """

    settings: HealthSettings
    state: State = State.UP
    since: float = float("-inf")
    about: str = ""
    has_canary: bool = False
    doubts: int = 0
    _held: HeldFailures[Item] = field(default_factory=HeldFailures)
    _failures: int = 0  # since the last answer
    _doublings: int = 0  # of N
    _rounds: int = 0  # refused ones in a row
    _round_doublings: int = 0  # of R
    _answers: int = 0
    _refused_at: float = float("-inf")
    _renewed_at: float = float("-inf")
    _probes: int = 0  # since the state was entered
    _probe_at: float = float("-inf")

    @property
    def held(self) -> int:
        """How many items have something held against them."""
        return len(self._held)

    @property
    def is_calm(self) -> bool:
        """Whether the API is up and nothing is held: an answer then changes only counts."""
        return self.state is State.UP and not self._held

    @property
    def doubts_token(self) -> bool:
        """Whether the doubt is about the token, and the token has not been renewed since."""
        in_doubt = self.state is State.DOUBT and self.about == _TOKEN
        return in_doubt and self.since > self._renewed_at

    def rounds_before(self, left_at: float) -> int:
        """Return how many refused rounds came before a request that left at `left_at`."""
        return self._rounds if left_at > self._refused_at else max(0, self._rounds - 1)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next canary or probe may leave."""
        return 0.0 if self.state is State.UP else max(0.0, self._probe_at - now)

    def learn(
        self,
        signal: Signal,
        kind: str,
        item: Item | None,
        left_at: float,
        now: float,
        *,
        is_probe: bool,
    ) -> Findings[Item]:
        """Note what came back for a request that left at `left_at`.

        A failure of this `kind` is held against `item`, None for a canary. A probe left alone.
        """
        is_probe = is_probe and left_at >= self.since
        match signal:
            case Signal.ANSWERED:
                return self._answered(left_at, now, is_probe=is_probe)
            case Signal.FAILED:
                return self._failed(kind, item, left_at, now, is_probe=is_probe)
            case Signal.THROTTLED:
                return self._throttled(item, left_at, now, is_probe=is_probe)
            case _:
                return self._token_refused(item, left_at, now, is_probe=is_probe)

    def learn_answers(self, count: int) -> None:
        """Do as `learn` does for `count` answers to ordinary requests. Only while it is calm."""
        self._rounds = self._failures = 0
        self._answers += count
        if self.state is State.UP:
            self._doublings = 0

    def idle(self, now: float) -> None:
        """Note that no answer is to be expected that would settle what is held."""
        if self.state is State.UP and self._held:
            self._doubt(self._held.last_kind() or _LIMIT, now)

    def renewed(self, now: float) -> list[Held[Item]]:
        """Note that there is another token; return the refusals of the last one, now forgiven."""
        self.since = self._renewed_at = self._probe_at = now
        self._probes = 0
        return self._held.take([i for i, held in self._held.items() if _TOKEN in held.kinds])

    def _answered(self, left_at: float, now: float, *, is_probe: bool) -> Findings[Item]:
        self.learn_answers(self.settings.others if is_probe else 1)  # a canary's suffices
        found: Findings[Item] = Findings()
        if self.state is State.DOWN:
            if left_at >= self.since:
                found.was_short = "" if self._probes else self.about
                self._doublings = 0
                self._enter(State.UP, now)
            return found
        if is_probe:
            found.charged = self._held.take_all()
        elif self._held:
            most_answers = self._answers - self.settings.others
            found.charged = self._held.take_answered(left_at, most_answers)
        if self.state is State.DOUBT and not any(held.kinds for held in self._held.values()):
            found.refused_alone = is_probe and self.about == _LIMIT
            if is_probe and self.about != _LIMIT:
                self._doublings = min(self._doublings + 1, _MAX_DOUBLINGS)
            self._enter(State.UP, now)
        return found

    def _failed(
        self, kind: str, item: Item | None, left_at: float, now: float, *, is_probe: bool
    ) -> Findings[Item]:
        self._held.hold(item, left_at, kind)
        if self.state is State.UP:
            self._failures += 1
            if self._failures >= self.settings.failures * 2**self._doublings:
                self._doubt(kind, now)
        elif is_probe:
            if self.state is State.DOUBT:
                self._enter(State.DOWN, now)
            else:
                self._probes += 1
            self._probe_at = now + self._probe_wait_s()
        return Findings(forgiven=self._held.take_all() if self.state is State.DOWN else [])

    def _throttled(
        self, item: Item | None, left_at: float, now: float, *, is_probe: bool
    ) -> Findings[Item]:
        if left_at > self._refused_at:  # else it belongs to the same round
            self._rounds += 1
            self._refused_at = now
        if self.state is State.DOWN:
            if is_probe:
                self._probe_at = now + self._probe_wait_s()
        elif self.state is State.DOUBT and is_probe:
            if self.about == _LIMIT:  # the limit applies to all
                self._round_doublings = min(self._round_doublings + 1, _MAX_DOUBLINGS)
                self._rounds = 0
                self._enter(State.UP, now)
        else:
            if (held := self._held.hold(item, left_at)) is not None:
                held.is_throttled, held.answers = True, self._answers
            needed = self.settings.rounds * 2**self._round_doublings
            if self.state is State.UP and self._rounds >= needed and self.has_canary:
                self._doubt(_LIMIT, now)
        return Findings()

    def _token_refused(
        self, item: Item | None, left_at: float, now: float, *, is_probe: bool
    ) -> Findings[Item]:
        held = self._held.hold(item, left_at, _TOKEN)
        if left_at <= self._renewed_at:  # it was another token
            return Findings(forgiven=[] if held is None else self._held.take([held.item]))
        if not (self.state is State.DOUBT and self.about == _TOKEN):
            self._doubt(_TOKEN, now)
        elif is_probe:
            self._probes += 1
            self._probe_at = now + self.settings.probe_base_s
            return Findings(token_refused=self._probes >= _CANARIES_FOR_TOKEN)
        return Findings()

    def _doubt(self, about: str, now: float) -> None:
        self.about = about
        self.doubts += 1
        self._enter(State.DOUBT, now)

    def _enter(self, state: State, now: float) -> None:
        self.state, self.since = state, now
        self._probes, self._probe_at = 0, now

    def _probe_wait_s(self) -> float:
        doublings = min(self._probes, 32)
        return min(self.settings.probe_base_s * 2.0**doublings, self.settings.probe_cap_s)
