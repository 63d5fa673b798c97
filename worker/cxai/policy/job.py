"""One ID between two requests: all that the policy knows about it."""

from dataclasses import dataclass

from cxai.policy.reply import Endpoint, Said
from cxai.policy.verdict import Verdict

_NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Job:
    """What an ID has behind it, and what is asked next.

    `attempts` counts the requests that cost an attempt, and `failing_as` is the verdict that all of
    them lead to: `exhausted` once they differ. `refusals` counts how often it was refused by a
    limit while others were answered; its caller raises it.

    `absent_since_s` is the monotonic time of the first "no result" of this run. `processed` is
    whether the status endpoint called it processed, `looked_again` whether its result was missing
    all the same and was given a second look. `said` is what the API said about it last.
    """

    endpoint: Endpoint = Endpoint.RESULT
    attempts: int = 0
    failing_as: Verdict | None = None
    refusals: int = 0
    absent_since_s: float | None = None
    processed: bool = False
    looked_again: bool = False
    said: Said = _NOTHING
