"""Is it the API, or this ID? One theory: what everybody gets is nobody's verdict.

Each reply is a signal about the API itself:

- ANSWERED: it spoke about this ID (a result, a status, "no such interaction", "rejected").
- THROTTLED: it asks for fewer requests.
- TOKEN_REFUSED: it does not accept the token.
- FAILED: no answer (5xx, no connection, a redirect, a gateway's page, a body that is no result).

A failure is *held*: it counts against its ID only once a request that left later is answered. If
failures come in a row instead, the API itself is in DOUBT. Then nothing leaves but a canary, a
request that the API has answered before. If the canary is answered, the failures were the IDs' own
and are charged. If not, the API is DOWN and they are forgiven: they never happened. As long as the
API has answered nothing, there is no canary, and an ordinary request leaves in its place.

UP: requests leave as usual.
    ANSWERED        what left before is charged; the row of failures ends
    FAILED          held; N in a row → DOUBT
    THROTTLED       held; R rounds in a row, and there is a canary → DOUBT
    TOKEN_REFUSED   held → DOUBT; forgiven if it left before the token was renewed

DOUBT: only canaries leave, one at a time.
    ANSWERED        the canary: all are charged, N doubles → UP
                    another: what left before is charged; nothing left → UP
    FAILED          the canary: all are forgiven → DOWN; another: held
    THROTTLED       the canary: a limit that all share, R doubles → UP; if the doubt was about
                    something else, it is asked again; another: held
    TOKEN_REFUSED   the canary, twice: the token is refused; another: held

DOWN: only probes leave, the canary and ordinary requests by turns, one at a time, after ever longer
waits.
    ANSWERED        if it left since → UP; if it left before, nothing changes
    FAILED          forgiven; the probe: the wait doubles
    THROTTLED       the probe: the same wait again
    TOKEN_REFUSED   held → DOUBT

N counts failures in a row, of whatever kind. R counts rounds: the refusals of all that had left
before the first of them came back are one. An ordinary answer sets N back. If a verdict is held
back while nothing is ready or under way (the end of a run, a full backlog, a silent queue), that is
a doubt as well: see `idle`.

A request that left before the state was entered is neither canary nor probe. Pure: times are
seconds of one monotonic clock, given by the caller.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from cxai.policy.table import Signal

Item = TypeVar("Item", bound=Hashable)

_LIMIT, _TOKEN = "limit", "token"

# A refused token is looked at so often before it counts.
_LOOKS = 2

# N and R grow to eight times what they are at first.
_MOST_DOUBLINGS = 3


class State(StrEnum):
    """Whether the API answers."""

    UP = "up"
    DOUBT = "doubt"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The figures of the table.

    `failures`: N, failures in a row that make a doubt; `rounds`: R, refused rounds in a row that
    do. Both grow to eight times that. `others`: answers to other requests after which a refusal
    with 429 is the ID's own trouble; as many as may be in flight. A probe leaves `probe_base_s`
    seconds after the API is found DOWN, the next ones after twice the wait each, at most
    `probe_cap_s` seconds.
    """

    failures: int
    others: int
    probe_base_s: float
    probe_cap_s: float
    rounds: int = 3


@dataclass(slots=True)
class Held(Generic[Item]):
    """What is held against an item: failures by kind, and whether it was refused by a limit.

    It counts when a request that left after `since` is answered.
    """

    item: Item
    since: float
    kinds: Counter[str] = field(default_factory=Counter)
    is_throttled: bool = False
    answers: int = 0


@dataclass(slots=True)
class News(Generic[Item]):
    """What follows from a signal.

    `charged` counts from now on, `forgiven` never happened. `token_refused`: the canary's token is
    refused. `refused_alone`: the API refuses single IDs, and not all. `was_short`: the kind of an
    outage that was over at the first look.
    """

    charged: list[Held[Item]] = field(default_factory=list)
    forgiven: list[Held[Item]] = field(default_factory=list)
    token_refused: bool = False
    refused_alone: bool = False
    was_short: str = ""


@dataclass(slots=True)
class Health(Generic[Item]):
    """The state of the API as this run has met it.

    `since` is when the state was entered, `about` what a doubt is about. `has_canary` is set by the
    caller as soon as something has been answered. `doubts` counts them.
    """

    settings: HealthSettings
    state: State = State.UP
    since: float = float("-inf")
    about: str = ""
    has_canary: bool = False
    doubts: int = 0
    _held: dict[Item, Held[Item]] = field(default_factory=dict)
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
        """Whether the API is up and nothing is held: an answer changes no more than counts then."""
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
        """Return how long the next canary or probe has to wait."""
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
    ) -> News[Item]:
        """Note what came back for a request that left at `left_at`.

        `item` is what it is held against, None for a canary that has its result already. `kind` is
        the way in which it failed. `is_probe`: it left alone, to tell about the API.
        """
        news: News[Item] = News()
        is_probe = is_probe and left_at >= self.since
        match signal:
            case Signal.ANSWERED:
                self._answered(left_at, now, news, is_probe=is_probe)
            case Signal.FAILED:
                self._failed(kind, item, left_at, now, news, is_probe=is_probe)
            case Signal.THROTTLED:
                self._throttled(item, left_at, now, is_probe=is_probe)
            case _:
                self._token_refused(item, left_at, now, news, is_probe=is_probe)
        return news

    def learn_answers(self, count: int) -> None:
        """Do as `learn` does for so many answers to ordinary requests. Only while it is calm."""
        self._count_answers(count)

    def idle(self, now: float) -> None:
        """Note that nothing is left whose answer could tell about what is held."""
        if self.state is State.UP and self._held:
            latest = max(self._held.values(), key=lambda held: held.since)
            self._doubt(next(iter(latest.kinds), _LIMIT), now)

    def renewed(self, now: float) -> News[Item]:
        """Note that there is another token: what the last one was refused for is forgiven."""
        news: News[Item] = News()
        news.forgiven = self._take([i for i, held in self._held.items() if _TOKEN in held.kinds])
        self.since = self._renewed_at = self._probe_at = now
        self._probes = 0
        return news

    # --- the signals ---

    def _answered(self, left_at: float, now: float, news: News[Item], *, is_probe: bool) -> None:
        self._count_answers(self.settings.others if is_probe else 1)  # the canary's is enough
        if self.state is State.DOWN:
            if left_at >= self.since:
                news.was_short = "" if self._probes else self.about
                self._doublings = 0
                self._enter(State.UP, now)
            return
        if self._held:
            news.charged = self._take(self._charged_by(left_at, is_probe=is_probe))
        if self.state is State.DOUBT and not any(held.kinds for held in self._held.values()):
            news.refused_alone = is_probe and self.about == _LIMIT
            if is_probe and self.about != _LIMIT:
                self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)
            self._enter(State.UP, now)

    def _count_answers(self, count: int) -> None:
        self._rounds = self._failures = 0
        self._answers += count
        if self.state is State.UP:
            self._doublings = 0

    def _failed(
        self,
        kind: str,
        item: Item | None,
        left_at: float,
        now: float,
        news: News[Item],
        *,
        is_probe: bool,
    ) -> None:
        self._hold(item, left_at, kind)
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
        if self.state is State.DOWN:
            news.forgiven = self._take(list(self._held))

    def _throttled(self, item: Item | None, left_at: float, now: float, *, is_probe: bool) -> None:
        if left_at > self._refused_at:  # what left before was refused by the same limit
            self._rounds += 1
            self._refused_at = now
        if self.state is State.DOWN:
            if is_probe:
                self._probe_at = now + self._probe_wait_s()
        elif self.state is State.DOUBT and is_probe:
            if self.about == _LIMIT:  # the limit is shared by all
                self._round_doublings = min(self._round_doublings + 1, _MOST_DOUBLINGS)
                self._rounds = 0
                self._enter(State.UP, now)
        else:
            held = self._hold(item, left_at)
            if held is not None:
                held.is_throttled, held.answers = True, self._answers
            needed = self.settings.rounds * 2**self._round_doublings
            if self.state is State.UP and self._rounds >= needed and self.has_canary:
                self._doubt(_LIMIT, now)

    def _token_refused(
        self, item: Item | None, left_at: float, now: float, news: News[Item], *, is_probe: bool
    ) -> None:
        held = self._hold(item, left_at, _TOKEN)
        if left_at <= self._renewed_at:  # it was another token
            news.forgiven = self._take([held.item]) if held is not None else []
        elif not (self.state is State.DOUBT and self.about == _TOKEN):
            self._doubt(_TOKEN, now)
        elif is_probe:
            self._probes += 1
            self._probe_at = now + self.settings.probe_base_s
            news.token_refused = self._probes >= _LOOKS

    # --- what is held ---

    def _hold(self, item: Item | None, since: float, kind: str = "") -> Held[Item] | None:
        if item is None:
            return None
        held = self._held.setdefault(item, Held(item, since))
        held.since = max(held.since, since)
        if kind:
            held.kinds[kind] += 1
        return held

    def _charged_by(self, left_at: float, *, is_probe: bool) -> list[Item]:
        """Return what an answer charges to a request that left at `left_at`."""
        if is_probe:
            return list(self._held)
        others = self._answers - self.settings.others
        return [
            item
            for item, held in self._held.items()
            if held.since < left_at and (not held.is_throttled or held.answers <= others)
        ]

    def _take(self, items: list[Item]) -> list[Held[Item]]:
        return [self._held.pop(item) for item in items]

    # --- the states ---

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
