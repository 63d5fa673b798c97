"""The account in the database: its limits, on a connection of their own, and how they stand."""

from dataclasses import dataclass

from cxai.cluster.engine import Engine
from cxai.cluster.limits import AccountLimits
from cxai.cluster.url import EngineUrl

# Much less than what a lease is longer than a request: else a slow answer would end it.
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class AccountState:
    """The limits of all workers together, and how they stand.

    `rate` is requests per second, `rate_now` what is allowed while the API refuses more. `in_use`
    of the `in_flight` requests have a holder. `paused_s` is how long a pause still lasts, 0 without
    one.
    """

    rate: float
    rate_now: float
    in_flight: int
    in_use: int
    paused_s: float


class Account:
    """The account that an export belongs to. Raises EngineDownError as the engine does."""

    def __init__(self, url: EngineUrl) -> None:
        self._engine = Engine(url, purpose="limits", answer_s=_ANSWER_S)
        self.limits = AccountLimits(self._engine.rows)

    async def state(self) -> AccountState:
        """Return how the limits stand now."""
        (row,) = await self._engine.rows("SELECT * FROM account_state()")
        return AccountState(*row)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._engine.close()
