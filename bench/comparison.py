"""Several clients, measured in turn so that a busy minute hits all of them; and how it is shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from textwrap import fill

from support.arrivals import pace

from bench.clients import Client
from bench.context import BenchContext, Server
from bench.measurement import FailedRunError, interpreter


class Comparison:
    """Figures of the worker, the bare client and some peers, in this order, by round.

    For each client cpu_us of an ID, ids_per_s by the clock, peak_mib of memory, and requests_per_s
    as the server saw them. Each is asked for its share of the IDs, or as often as `turns` says, for
    as many as may be in flight. A peer that can't run or fails is left out, and says why. Raises
    FailedRunError if one of the first two fails.
    """

    def __init__(
        self, context: BenchContext, clients: Sequence[Client], server: Server,
        *, in_flight: int = 64, turns: int = 0,
    ) -> None:  # fmt: skip
        self._clients = clients
        self._found: dict[Client, list[Mapping[str, float]]] = {one: [] for one in clients}
        self._why_not: dict[Client, str] = {}
        for number in range(context.rounds):
            for client in clients if number % 2 == 0 else clients[::-1]:
                if client in self._why_not:
                    continue
                count = turns * in_flight or max(2, round(context.ids * client.share))
                server.arrivals()  # those of a run that failed
                try:
                    run = context.do_once(client, server, count, in_flight)
                except FailedRunError as error:
                    if client in clients[:2]:
                        raise
                    self._why_not[client] = str(error)
                    continue
                self._found[client].append({
                    "cpu_us": run.cpu_s / count * 1e6,
                    "ids_per_s": count / run.wall_s,
                    "peak_mib": run.peak_mib,
                    "requests_per_s": pace(server.arrivals(), min(in_flight, count - 1)),
                })  # fmt: skip

    def of(self, client: Client, figure: str) -> list[float]:
        """Return a figure of each round."""
        return [each[figure] for each in self._found[client]]

    def ratios(self, one: Client, other: Client, figure: str) -> list[float]:
        """Return how many times the other's figure one has, in each round."""
        pairs = zip(self.of(one, figure), self.of(other, figure), strict=True)
        return [its / others for its, others in pairs]

    def rows(self, *columns: Callable[[Client], str]) -> list[Sequence[str]]:
        """Return a row for each client: its name and its columns, or why it did not run."""
        return [
            (one.name, f"did not run: {self._why_not[one]}")
            if one in self._why_not
            else (one.name, *(column(one) for column in columns))
            for one in self._clients
        ]


def section(title: str, how: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a section that says how its table was measured, and by which Python."""
    how = fill(f"{how} {interpreter()}.", 100, break_on_hyphens=False)
    return f"## {title}\n\n{how}\n\n{table(header, rows)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns in line; a short row is filled up."""
    full = [(*row, *[""] * (len(header) - len(row))) for row in (header, *rows)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in full]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(map(str.ljust, row, widths))} |\n" for row in cells)


def spread(figures: Iterable[float], form: str) -> str:
    """Return `median (least-greatest)`, each in a form such as `.2f`; equal figures as one."""
    ordered = sorted(figures)
    middle, least, most = (f"{one:{form}}" for one in (median(ordered), ordered[0], ordered[-1]))
    return middle if ordered[0] == ordered[-1] else f"{middle} ({least}–{most})"  # noqa: RUF001
