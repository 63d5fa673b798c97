"""Several clients, measured in turn and round by round, so that a busy minute hits all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import fill

from bench.arrivals import pace
from bench.clients import Client
from bench.context import BenchContext, Server
from bench.measurement import FailedRunError, interpreter


@dataclass(frozen=True, slots=True)
class Section:
    """What one section found: how it was measured, a table, and figures to be judged by name."""

    title: str
    how: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, float]

    def text(self) -> str:
        """Return it as Markdown."""
        how = fill(f"{self.how} {interpreter()}.", 100, break_on_hyphens=False)
        return f"## {self.title}\n\n{how}\n\n{table(self.header, self.rows)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns in line; a short row is filled up."""
    full = [(*row, *[""] * (len(header) - len(row))) for row in (header, *rows)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in full]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(map(str.ljust, row, widths)) for row in cells]
    return "".join(f"| {line} |\n" for line in lines)


class Comparison:
    """Figures of the worker, the bare client and some peers, in this order, by round.

    For each client: seconds and cpu_s for an ID, peak_mib of memory, and requests_per_s as the
    server saw them. Each is asked for its share of `ids`, or for all of them if they are `equal`.
    A peer that can't run or fails is left out, and says why. Raises FailedRunError if one of the
    first two fails.
    """

    def __init__(
        self, context: BenchContext, clients: Sequence[Client], server: Server, ids: int,
        *, equal: bool = False, in_flight: int = 64,
    ) -> None:  # fmt: skip
        self.clients = clients
        self._found: dict[str, list[Mapping[str, float]]] = {one.key: [] for one in clients}
        self._why_not = {one.key: why for one in clients if (why := one.missing())}
        for number in range(context.rounds):
            for client in filter(self.ran, clients if number % 2 == 0 else clients[::-1]):
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
                    "seconds": run.wall_s / count,
                    "cpu_s": run.cpu_s / count,
                    "peak_mib": run.peak_mib,
                    "requests_per_s": pace(server.arrivals(), min(in_flight, count - 1)),
                })  # fmt: skip
                context.report(f"round {number + 1}: {client.name}: {run}")

    def ran(self, client: Client) -> bool:
        """Return whether nothing speaks against a client."""
        return client.key not in self._why_not

    def all(self, client: Client, figure: str) -> list[float]:
        """Return a figure of each round."""
        return [each[figure] for each in self._found[client.key]]

    def ratios(self, one: Client, other: Client, figure: str) -> list[float]:
        """Return how many times the other's figure one has, in each round."""
        pairs = zip(self.all(one, figure), self.all(other, figure), strict=True)
        return [its / others for its, others in pairs]

    def against(self, figure: str) -> dict[str, float]:
        """Return by key how many times the worker's figure each other client has, at the median."""
        ours, *others = filter(self.ran, self.clients)
        return {one.key: median(self.ratios(one, ours, figure)) for one in others}

    def rows(self, columns: Callable[[Client], Sequence[str]]) -> list[Sequence[str]]:
        """Return a row for each client: its name and its columns, or why it did not run."""
        return [
            (one.name, *columns(one))
            if self.ran(one)
            else (one.name, f"did not run: {self._why_not[one.key]}")
            for one in self.clients
        ]
