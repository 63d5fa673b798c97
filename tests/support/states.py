"""States of a run, as a monitor hands them to observers."""

from datetime import UTC, datetime

from cxai.core.run_state import ApiState, Counts, RunState, WorkState

AT = datetime(2026, 11, 26, 3, 0, 0, 123_456, tzinfo=UTC)


def api_state(**more):
    """Return an API that is up, at the pace of the settings, but for `more`."""
    return ApiState(**{"url": "https://api.test", "rate": 5.0, "rate_ceiling": 5.0} | more)


def run_state(*, work=None, api=None, lines=0, **more):
    """Return a run that has just begun, but for `more`."""
    begun = {"at": AT, "elapsed_s": 0.0, "done": 0, "total": None, "verdicts": {}, "eta_s": None}
    quiet = {"counts": Counts(lines=lines), "requests_per_s": 0.0}
    states = {"work": WorkState(**(work or {})), "api": api_state(**(api or {}))}
    return RunState(**begun | quiet | states | more)
