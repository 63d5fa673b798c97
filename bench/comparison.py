"""Several clients, measured in turn and round by round, so that a busy minute hits all of them."""

from collections.abc import Callable, Mapping, Sequence

from support.arrivals import pace

from bench.clients import Client
from bench.context import BenchContext, Server
from bench.measurement import FailedRunError


class Comparison:
    """Figures of the worker, the bare client and some peers, in this order, by round.

    For each client cpu_us of an ID, ids_per_s by the clock, peak_mib of memory, and requests_per_s
    as the server saw them. Each is asked for its share of `ids`, or for all of them if they are
    `equal`. A peer that can't run or fails is left out, and says why. Raises FailedRunError if one
    of the first two fails.
    """

    def __init__(
        self, context: BenchContext, clients: Sequence[Client], server: Server, ids: int,
        *, equal: bool = False, in_flight: int = 64,
    ) -> None:  # fmt: skip
        self._clients = clients
        self._found: dict[str, list[Mapping[str, float]]] = {one.key: [] for one in clients}
        self._why_not: dict[str, str] = {}
        for number in range(context.rounds):
            for client in clients if number % 2 == 0 else clients[::-1]:
                if client.key in self._why_not:
                    continue
                count = ids if equal else max(2, round(ids * client.share))
                server.arrivals()  # those of a run that failed
                try:
                    run = context.do_once(client, server, count, in_flight)
                except FailedRunError as error:
                    if client in clients[:2]:
                        raise
                    self._why_not[client.key] = str(error)
                    continue
                self._found[client.key].append({
                    "cpu_us": run.cpu_s / count * 1e6,
                    "ids_per_s": count / run.wall_s,
                    "peak_mib": run.peak_mib,
                    "requests_per_s": pace(server.arrivals(), min(in_flight, count - 1)),
                })  # fmt: skip
                context.report(f"round {number + 1}: {client.name}: {run}")

    def of(self, client: Client, figure: str) -> list[float]:
        """Return a figure of each round."""
        return [each[figure] for each in self._found[client.key]]

    def ratios(self, one: Client, other: Client, figure: str) -> list[float]:
        """Return how many times the other's figure one has, in each round."""
        pairs = zip(self.of(one, figure), self.of(other, figure), strict=True)
        return [its / others for its, others in pairs]

    def rows(self, *columns: Callable[[Client], str]) -> list[Sequence[str]]:
        """Return a row for each client: its name and its columns, or why it did not run."""
        return [
            (one.name, f"did not run: {self._why_not[one.key]}")
            if one.key in self._why_not
            else (one.name, *(column(one) for column in columns))
            for one in self._clients
        ]
