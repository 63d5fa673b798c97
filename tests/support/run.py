"""A pipeline among doubles, on virtual time."""

import asyncio

from support.defaults import health_settings, patience_settings, pipeline_settings, policy_settings
from support.doubles import (
    LATENCY_S,
    FreeLimiter,
    ListSource,
    MemoryLedger,
    ScriptedFetcher,
)
from support.plain import PlainReader, PlainRowWriter
from support.virtual import START_S, VirtualClock

from cxai.core.backlog import Backlog
from cxai.core.entry import key_of
from cxai.core.pipeline import Pipeline
from cxai.errors import StopCause, StopRequestedError
from cxai.governor.governor import Governor

RULES = policy_settings(
    max_attempts=3, backoff_base_s=1.0, backoff_cap_s=60.0, recheck_s=30.0, patience_s=60.0
)
SIGTERM = StopRequestedError("SIGTERM", StopCause.SIGNAL)


class Run:
    """One run over blocks of entries, or over a `source`; whatever isn't given is a double.

    `script` and `latency_s` are ScriptedFetcher's, unless there is another `fetcher`.
    Every draw is `draw`. `patience` is of outages, from the start on. `governor` makes one.
    """

    def __init__(
        self,
        *blocks,
        script=None,
        latency_s=LATENCY_S,
        source=None,
        ledger=None,
        limiter=None,
        reader=None,
        row_writer=None,
        rules=RULES,
        bounds=None,
        backlog=5_000,
        fetcher=None,
        draw=0.5,
        retries_per_s=2.5,
        health=None,
        patience=None,
        governor=Governor,
    ):
        clock = VirtualClock()
        bounds = bounds or pipeline_settings()
        self.source = source or ListSource(blocks)
        self.ledger = ledger or MemoryLedger(is_queue=self.source.is_queue)
        self.limiter = limiter or FreeLimiter(clock)
        self.fetcher = fetcher or ScriptedFetcher(script, latency_s=latency_s)
        items = Backlog(backlog)
        self.governor = governor(
            items,
            self.limiter,
            clock,
            renew=self.fetcher.renew,
            retries_per_s=retries_per_s,
            health=health or health_settings(others=bounds.in_flight),
            patience=patience or patience_settings(start_s=10_800.0),
        )
        self.pipeline = Pipeline(
            source=self.source,
            ledger=self.ledger,
            backlog=items,
            governor=self.governor,
            fetcher=self.fetcher,
            reader=reader or PlainReader(),
            row_writer=row_writer or PlainRowWriter(),
            clock=clock,
            rules=rules,
            bounds=bounds,
            draw=lambda: draw,
        )
        self.tally = self.pipeline.tally

    def start(self):
        """Return the run as a task."""
        return asyncio.create_task(self.pipeline.run(), name="run")

    async def to_the_end(self):
        """Run until every ID has its verdict, and return the run."""
        await self.pipeline.run()
        assert self.tally.adds_up
        assert self.tally.open == 0
        return self

    def verdict(self, interaction_id):
        """Return what is committed of an ID, None if nothing is."""
        return self.ledger.disk.verdicts.get(key_of(interaction_id))

    def lines(self, part_set):
        """Return the committed lines of a part set."""
        return self.ledger.disk.lines[part_set].decode().splitlines()


def now():
    """Return the seconds of virtual time that have passed."""
    return asyncio.get_running_loop().time() - START_S
