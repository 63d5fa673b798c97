"""Several clients, measured in turn and round by round, so that a busy minute hits all of them."""

from collections.abc import Callable, Mapping, Sequence

from bench.arrivals import pace
from bench.clients import Client
from bench.context import BenchContext
from bench.measurement import FailedRunError, Spread
from bench.serving import serving

Figures = Mapping[str, float]


class Comparison:
    """The figures of each client, by round: wall_us and cpu_us of an ID, peak_mib, requests_per_s.

    Compared are the worker, the bare client and some peers, in this order, with so many requests
    in flight; each gets its share of `ids` from a server with these options, which is on the first
    core unless a client is on all. A peer that can't run or fails is left out, and says why.
    Raises FailedRunError if one of the first two does.
    """

    def __init__(
        self, context: BenchContext, clients: Sequence[Client], *server_options: str,
        ids: Callable[[Client], int], in_flight: int = 64,
    ) -> None:  # fmt: skip
        self._clients = clients
        self._found: dict[str, list[Figures]] = {one.key: [] for one in clients}
        self._why_not = {one.key: why for one in clients if (why := one.missing())}
        on = context.cores if any(one.all_cores for one in clients) else context.cores[:1]
        with serving(on, *server_options) as server:
            for number in range(context.rounds):
                for client in filter(self.ran, clients if number % 2 == 0 else clients[::-1]):
                    count = ids(client)
                    try:
                        run = context.do_once(client, server, count, in_flight)
                    except FailedRunError as error:
                        if client in clients[:2]:
                            raise
                        self._why_not[client.key] = str(error)
                    arrivals = server.arrivals()
                    if self.ran(client):
                        self._found[client.key].append({
                            "wall_us": run.wall_s / count * 1e6,
                            "cpu_us": run.cpu_s / count * 1e6,
                            "peak_mib": run.peak_bytes / (1 << 20),
                            "requests_per_s": pace(arrivals, min(in_flight, count - 1)),
                        })  # fmt: skip
                        context.report(f"round {number + 1}: {client.name}: {run}")

    def ran(self, client: Client) -> bool:
        """Return whether nothing speaks against a client."""
        return client.key not in self._why_not

    def spread(self, client: Client, of: Callable[[Figures], float]) -> Spread:
        """Return the spread of a figure over all rounds."""
        return Spread.of(map(of, self._found[client.key]))

    def ratio(self, one: Client, other: Client, figure: str) -> Spread:
        """Return how many times the other's figure one has, taken within each round."""
        pairs = zip(self._found[one.key], self._found[other.key], strict=True)
        return Spread.of(its[figure] / others[figure] for its, others in pairs)

    def against(self, what: str, figure: str) -> dict[str, float]:
        """Return for each other client how many times the worker's figure it has."""
        ours, *others = filter(self.ran, self._clients)
        return {f"{what}, {one.key}": self.ratio(one, ours, figure).median for one in others}

    def rows(self, *columns: Callable[[Client], str]) -> list[Sequence[str]]:
        """Return a row for each client: its name and its columns, or why it did not run."""
        return [
            (one.name, *(column(one) for column in columns))
            if self.ran(one)
            else (one.name, f"did not run: {self._why_not[one.key]}")
            for one in self._clients
        ]
