"""The account's pause, as one worker knows it."""

import math
from collections.abc import Callable

from cxai.cluster.limits import AccountLimits


class AccountPause:
    """Until when no request of the account may leave, and why. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.why = ""
        self._until_s = -math.inf
        self._is_unshared = False

    def left_s(self, now: float) -> float:
        """Return how many seconds it still lasts, 0 if it is over."""
        return max(0.0, self._until_s - now)

    def extend(self, until_s: float, why: str, *, shared: bool) -> bool:
        """Make it last until then; return False if it already lasts that long.

        `shared` is whether the database has this pause.
        """
        if until_s <= self._until_s:
            return False
        self._until_s, self.why = until_s, why
        self._is_unshared |= not shared
        return True

    async def share(self, limits: AccountLimits, now: Callable[[], float]) -> None:
        """Write it to the database, unless that has it. Raises BlockedError."""
        while self._is_unshared and (left_s := self.left_s(now())):
            until_s = self._until_s
            await limits.pause(left_s)
            self._is_unshared = self._until_s > until_s
        self._is_unshared = False
