"""Requests of a worker that shares its account: each holds a slot, and may wait for a new turn."""

from cxai.cluster.limiter import ClusterLimiter, TurnLostError
from cxai.core.ports import Fetcher
from cxai.policy.reply import Endpoint, Failure, Reply


class GovernedFetcher:
    """Adapter of ports.Fetcher around another one, which has to await `limiter.send_slot`."""

    def __init__(self, fetcher: Fetcher, limiter: ClusterLimiter) -> None:
        self._fetcher = fetcher
        self._limiter = limiter

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Send one request, which holds one slot of the account until exactly when it is over.

        Opening a connection may take longer than a turn lasts. Then the request gets another turn,
        on the connection that is open by then; that wait counts for none of its time-outs.
        """
        async with self._limiter.slots.one():
            while True:
                try:
                    return await self._fetcher.fetch(interaction_id, endpoint)
                except TurnLostError:
                    await self._limiter.another_turn()
