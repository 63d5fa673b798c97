"""The state of a run in a sentence, and as plain values for a log line or JSON."""

from typing import Any

from cxai.core.figures import counted, elapsed, remaining, significant
from cxai.core.run_state import ApiState, Kind, RunState


def sentence(state: RunState) -> str:
    """Return what a run does, or why it waits."""
    work = state.work
    match state.kind:
        case Kind.DISK_FULL | Kind.UNREACHABLE if (blocked := state.blocked) is not None:
            what = f"space in {blocked.place}" if blocked.is_full else blocked.place
            most = "" if blocked.at_most_s is None else f" of up to {elapsed(blocked.at_most_s)}"
            return f"waiting for {what} ({elapsed(blocked.for_s)}{most}): {blocked.cause}"
        case Kind.STALLED if (stall := state.stall) is not None:
            where = f"{stall.stage}: {stall.stage.symptom}"
            return f"stalled for {elapsed(stall.for_s)} at {where} ({stall.holding} waiting)"
        case Kind.STOPPING:
            grace = f", up to {remaining(work.grace_s)}" if work.in_flight else ""
            return f"stopping: {counted(work.in_flight, 'requests')} in flight{grace}"
        case Kind.WAITING_TO_RETRY:
            what = "one ID" if work.waiting == 1 else f"the next of {work.waiting:,} IDs"
            return f"waiting {remaining(work.next_retry_s or 0.0)} to retry {what}"
        case Kind.WAITING_FOR_INPUT:
            what = "input" if state.counts.lines else "the first line"
            silence = f" for {elapsed(state.stall.for_s)}" if state.stall is not None else ""
            return f"waiting for {what}{silence}"
        case kind:
            return _of_the_api(kind, state.api)


def plain(state: RunState) -> dict[str, Any]:
    """Return the state as a sentence and by its kind, with progress and pace."""
    verdicts = sorted((verdict.value, n) for verdict, n in state.verdicts.items())
    return {
        "state": sentence(state),
        "kind": state.kind.value,
        "done": state.done,
        "total": state.total,
        "open": state.work.open,
        **dict(verdicts),
        "rate_now": round(state.requests_per_s, 1),
        "rate_allowed": round(state.api.rate, 1),
        "in_flight": state.work.in_flight,
        "eta_s": None if state.eta_s is None else round(state.eta_s),
        "elapsed_s": round(state.elapsed_s, 1),
    }


def _of_the_api(kind: Kind, api: ApiState) -> str:
    trouble = f" ({api.trouble})" if api.trouble else ""
    match kind:
        case Kind.WAITING_FOR_OTHERS | Kind.SLOWED:
            return _of_the_pace(kind, api)
        case Kind.NO_ANSWER:
            return (
                f"no usable answer from {api.url} for {elapsed(api.unanswered_s or 0.0)}{trouble}"
            )
        case Kind.OUTAGE:
            return f"outage for {elapsed(api.down_for_s or 0.0)}{trouble}: probing"
        case Kind.DOUBT:
            return f"checking whether the API is down{trouble}"
        case Kind.PAUSED if (pause := api.pause) is not None:
            return f"paused for {remaining(pause.for_s)}: {pause.why}"
        case _:
            return kind.value


def _of_the_pace(kind: Kind, api: ApiState) -> str:
    if kind is Kind.WAITING_FOR_OTHERS:
        return f"waiting for {api.waits_for}"
    pace = f"{significant(api.rate)} of {significant(api.rate_ceiling, 3)} requests/s"
    return f"slowed to {pace}: the API is rate-limiting"
