"""The progress of a shared export, and what its workers do or wait for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cxai.cluster.account import Account, AccountState
from cxai.cluster.books import Books
from cxai.cluster.rows import Counts, WorkerRow
from cxai.core.figures import counted, significant
from cxai.core.timestamp import timestamp
from cxai.objects.port import ObjectStore


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """An export, its account and its workers at one moment."""

    export: str
    destination: str
    counts: Counts
    account: AccountState
    workers: Sequence[WorkerRow]

    @property
    def _summary(self) -> str:
        counts = self.counts
        if not counts.finished:
            return "open" if counts.fed else "open; more input may follow"
        left = f", {counted(counts.unpublished, 'objects')} to be published"
        return f"settled{left if counts.unpublished else ''}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        counts = self.counts
        return {
            "export": self.export,
            "destination": self.destination,
            "state": self._summary,
            "lines": counts.lines,
            "duplicates": counts.duplicates,
            "ids": counts.ids,
            "open": counts.open,
            "verdicts": {verdict.value: n for verdict, n in counts.verdicts.items()},
            "fed": counts.fed,
            "blocks": {"queued": counts.queued, "leased": counts.leased},
            "objects": {"committed": counts.last_object, "unpublished": counts.unpublished},
            "account": asdict(self.account),
            "workers": [_of_worker(worker) for worker in self.workers],
        }

    def text(self) -> str:
        """Return it for people."""
        counts, account = self.counts, self.account
        origins = [(counts.ids, "distinct"), (counts.duplicates, "duplicates")]
        ends = [(n, verdict.value) for verdict, n in counts.verdicts.items()]
        live = [worker for worker in self.workers if not worker.gone]
        rate, lowered = significant(account.rate), ""
        reserved = f"{account.in_use:,} reserved"
        if account.rate_now < account.rate:
            lowered = f" (now {significant(account.rate_now)}, since the API refuses more)"
        if account.in_use and not live:
            reserved += " until the lease of a killed worker expires"
        lines = [
            f"{self.export}: {self._summary}.",
            f"  {counted(counts.lines, 'lines')} = {_sum(origins)}",
            f"  {counts.ids:,} distinct = {_sum([*ends, (counts.open, 'open')])}",
            f"  {counted(counts.last_object, 'commits')} in {self.destination}",
            f"  Limit of all workers: {rate} requests/s{lowered}",
            f"  Slots for requests in flight: {account.in_flight:,}, {reserved}",
        ]
        if account.paused_s:
            lines.append(f"  All requests are paused for {account.paused_s:.0f} s.")
        blocks = f"{counts.queued:,} in the queue, {counts.leased:,} with a worker"
        lines.append(f"  Blocks of up to 50 IDs: {blocks}")
        lines.append(f"  {counted(len(live), 'workers')}{':' if live else ' running'}")
        lines += [
            f"    {worker.name} (seen {worker.silent_s:.0f} s ago,"
            f" {counted(worker.blocks, 'blocks')}): {worker.state or 'starting'}"
            for worker in live
        ]
        return "\n".join(lines)


async def cluster_status(books: Books, account: Account, store: ObjectStore) -> ClusterStatus:
    """Return the status of an export. Raises EngineDownError."""
    counts, state, workers = await books.counts(), await account.state(), await books.workers()
    return ClusterStatus(str(books.url), store.location, counts, state, workers)


def _sum(parts: list[tuple[int, str]]) -> str:
    return " + ".join(counted(n, what) for n, what in parts if n) or "0"


def _of_worker(worker: WorkerRow) -> dict[str, Any]:
    started_at, silent_s = timestamp(worker.started_at), round(worker.silent_s, 1)
    return {**asdict(worker), "started_at": started_at, "silent_s": silent_s}
