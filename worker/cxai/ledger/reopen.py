"""`cxai run --reopen-missing`: the IDs of lost parts are new again.

A result's rows stand in the parts of all sets of records that have the same number. If one of these
is missing, all of them are withdrawn, and so no row of an ID is there twice when it has been
fetched again. The files that are left are then unknown to the ledger, and are set aside.

The ledger keeps which IDs these are: until each has a verdict again, no run into the directory ends
with exit code 0, since its input may not hold them.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cxai.core.layout import FAILURES
from cxai.errors import IntegrityError
from cxai.ledger.form import ExportForm
from cxai.ledger.recovery import missing_parts
from cxai.ledger.sqlite import Database
from cxai.observe.logging import LOG
from cxai.output.parts import PartState, part_name

_Together = tuple[bool, int]  # whether it is of the failures, and the number


def withdraw_missing(
    database: Database, states: Sequence[PartState], form: ExportForm, directory: Path
) -> None:
    """Forget the parts whose files are missing and were not released, and their IDs' verdicts.

    All or nothing. Raises IntegrityError if rows of these IDs were released, and so are in use.
    """
    lost = {_together(state) for state in missing_parts(directory, states, form.compression)}
    if not lost:
        return
    withdrawn = defaultdict(list)
    for state in states:
        if _together(state) in lost:
            withdrawn[_together(state)].append(state)
    names = [part_name(state, form.compression) for group in withdrawn.values() for state in group]
    for group in withdrawn.values():
        _refuse_released(group, form, directory)
    ids = 0
    with database.transaction():
        for (of_failures, number), group in withdrawn.items():
            for state in group:
                _withdraw(database, state)
            rows = "failures" if of_failures else "records"
            database.run(f"note_{rows}", {"number": number})
            ids += database.change(f"forget_{rows}", {"number": number})
    LOG.warning("parts_reopened", parts=",".join(names), ids=ids)


def _together(state: PartState) -> _Together:
    return state.set == FAILURES, state.number


def _withdraw(database: Database, state: PartState) -> None:
    which = {"set": state.set, "number": state.number}
    database.run("withdraw_part", which)
    database.run("withdraw_extents", which)
    if not state.sealed:  # each set has one that is open
        database.run("write_part", PartState(state.set, state.number + 1).as_row())


def _refuse_released(group: Sequence[PartState], form: ExportForm, directory: Path) -> None:
    released = [state for state in group if state.released_at is not None]
    if released:
        here = [part_name(state, form.compression) for state in group if state not in released]
        raise IntegrityError(
            f"{directory}: {', '.join(here)} can't be fetched again, because"
            f" {part_name(released[0], form.compression)} has other rows of the same IDs and was"
            " released. Put the missing file back, or release it as well with"
            " `cxai prune --missing`."
        )
