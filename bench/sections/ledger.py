"""What the account of an ID takes on disk."""

from bench.clients import WORKER
from bench.page import Claim, Section
from bench.workshop import Workshop

_TARGET_BYTES = 80

_HOW = "`ledger.sqlite` after one run in which every ID got its record."


def ledger(workshop: Workshop) -> Section:
    """Measure a ledger."""
    ids = workshop.size.ids
    with workshop.fast_server() as base_url:
        task = workshop.task(ids, base_url)
        try:
            workshop.run(WORKER.prepare(workshop.scratch), task)
            size = (task.out / "ledger.sqlite").stat().st_size
        finally:
            workshop.clear(task)
    per_id = size / ids
    workshop.say(f"ledger: {per_id:.1f} bytes per ID")
    met = per_id <= _TARGET_BYTES
    return Section(
        "The ledger",
        _HOW,
        ("IDs", "bytes", "bytes per ID"),
        [(f"{ids:,}", f"{size:,}", f"{per_id:.1f}")],
        [Claim("ledger on disk per ID", f"≤ {_TARGET_BYTES} bytes", f"{per_id:.1f} bytes", met)],
    )
