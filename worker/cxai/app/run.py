"""A wired run: its pipeline, the state that it shows, and its background tasks."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from cxai.app.waiting import blocked_in
from cxai.core.events import Emit
from cxai.core.governor_ports import Limiter
from cxai.core.pipeline import Pipeline
from cxai.core.run_state import ApiState, Pause, WorkState
from cxai.errors import CxaiError
from cxai.governor.governor import Governor
from cxai.governor.health import State
from cxai.observe.monitor import Sample
from cxai.settings import Settings
from cxai.version import __version__


class Pace(Limiter, Protocol):
    """A limiter that shows its state, and checks each request again just before it is sent."""

    @property
    def rate(self) -> float:
        """Requests per second that are allowed now."""

    @property
    def paused(self) -> tuple[float, str] | None:
        """Seconds that the pause still lasts and its reason, None without one."""

    async def send_slot(self) -> None:
        """Return when a request that has its turn may go onto its connection."""


@dataclass(frozen=True, slots=True)
class Run:
    """A pipeline, and those parts of it whose state is shown."""

    pipeline: Pipeline
    governor: Governor
    pace: Pace
    settings: Settings

    def emit_start(self, emit: Emit, run_id: str, source: str, output: str) -> None:
        """Emit that it begins; `source` and `output` name its input and results for people."""
        emit(
            "run_started",
            run_id=run_id,
            version=__version__,
            source=source,
            output=output,
            resource=self.settings.resource,
            rate=self.settings.rate,
            in_flight=self.settings.in_flight,
            base_url=self.governor.api,
        )

    def sample(self, place: str, expected_lines: int | None = None) -> Sample:
        """Return its state now; `place` is where its results go."""
        pipeline, governor = self.pipeline, self.governor
        backlog, paused = pipeline.backlog, self.pace.paused
        return Sample(
            tally=pipeline.tally,
            stage_counters=pipeline.stage_counters,
            work=WorkState(
                open=backlog.open,
                waiting=backlog.waiting,
                next_retry_s=backlog.next_due_s(),
                in_flight=pipeline.in_flight,
                input_ended=pipeline.input_ended,
                is_stopping=pipeline.ending,
                grace_s=pipeline.bounds.grace_s,
            ),
            api=ApiState(
                url=governor.api,
                rate=self.pace.rate,
                rate_ceiling=self.settings.rate,
                pause=Pause(*paused) if paused else None,
                in_doubt=governor.health.state is State.DOUBT,
                down_for_s=governor.outage_s,
                trouble=governor.trouble or "",
                advice=governor.advice,
                unanswered_s=governor.unanswered_s,
            ),
            expected_lines=expected_lines,
            blocked=blocked_in(pipeline.room, place, pipeline.bounds.disk_patience_s),
        )

    async def run(self, *background: Coroutine[Any, Any, None]) -> CxaiError | None:
        """Run the pipeline to its end; return what stopped it early, None if nothing did.

        `background` runs for as long as the pipeline does. A failure of it stops the run; one that
        is no CxaiError is raised when the pipeline has ended.
        """
        failures: list[Exception] = []

        async def watched(work: Coroutine[Any, Any, None]) -> None:
            try:
                await work
            except CxaiError as error:
                self.pipeline.stop(error)
            except Exception as error:  # noqa: BLE001 - raised when the pipeline has ended
                failures.append(error)
                self.pipeline.stop(CxaiError("An internal error."))

        tasks = [asyncio.create_task(watched(work)) for work in background]
        try:
            await self.pipeline.run()
        except CxaiError as error:
            if failures:
                raise failures[0] from error
            return error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return None
