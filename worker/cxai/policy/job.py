"""The state of one ID between two requests."""

from dataclasses import dataclass

from cxai.policy.reply import Endpoint, Said
from cxai.policy.verdict import Verdict

_NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Job:
    """What has happened to an ID so far, and the endpoint to request next.

    `attempts` counts the requests that cost an attempt, and `failing_as` is the verdict that all of
    them lead to: `exhausted` once they differ. `refusals` counts how often a limit refused it while
    others were answered; the governor counts it.

    `absent_since_s` is the monotonic time of the first "no result" in this run. `processed` is
    whether the status endpoint called it processed, `looked_again` whether its result was missing
    nevertheless and was requested again. `said` holds the API's last words about it.
    """

    endpoint: Endpoint = Endpoint.RESULT
    attempts: int = 0
    failing_as: Verdict | None = None
    refusals: int = 0
    absent_since_s: float | None = None
    processed: bool = False
    looked_again: bool = False
    said: Said = _NOTHING
