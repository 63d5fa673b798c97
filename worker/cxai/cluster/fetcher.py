"""A request of a worker that shares its account: it holds a slot, and waits for another turn."""

from cxai.cluster.limiter import ClusterLimiter, TurnLostError
from cxai.core.ports import Fetcher
from cxai.policy.reply import Endpoint, Failure, Reply


class GovernedFetcher:
    """Adapter of ports.Fetcher around another, which has to await `limiter.send_slot`.

    Each request holds one slot of the account, which is given back exactly when it is over.
    """

    def __init__(self, fetcher: Fetcher, limiter: ClusterLimiter) -> None:
        self._fetcher = fetcher
        self._limiter = limiter

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Ask once; return what was really read.

        Opening a connection may take longer than a turn lasts. Then the request has another turn,
        on the connection that is open by then: none of its time-outs counts the wait for that.
        """
        async with self._limiter.slots.one():
            while True:
                try:
                    return await self._fetcher.fetch(interaction_id, endpoint)
                except TurnLostError:
                    await self._limiter.another_turn()
