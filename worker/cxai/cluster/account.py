"""The account in the database: its limits, on a connection of their own, and their use."""

from dataclasses import dataclass

from cxai.cluster.engine import Engine
from cxai.cluster.limits import AccountLimits
from cxai.cluster.url import EngineUrl

_ANSWER_S = 5.0  # much less than slots.RESERVE_S, or one slow answer would let a lease expire


@dataclass(frozen=True, slots=True)
class AccountState:
    """The limits of all workers together, and their use.

    `rate` is requests per second, `rate_now` what is allowed while the API refuses more. `in_use`
    of the `in_flight` slots have a holder. `paused_s` is how long a pause still lasts, or 0.
    """

    rate: float
    rate_now: float
    in_flight: int
    in_use: int
    paused_s: float


class Account:
    """The account that an export belongs to. Methods raise EngineDownError."""

    def __init__(self, url: EngineUrl) -> None:
        self._engine = Engine(url, purpose="limits", answer_s=_ANSWER_S)
        self.limits = AccountLimits(self._engine.rows)

    async def state(self) -> AccountState:
        """Return the limits and their use now."""
        return AccountState(*(await self._engine.rows("SELECT * FROM account_state()"))[0])

    async def close(self) -> None:
        """Close the connection."""
        await self._engine.close()
