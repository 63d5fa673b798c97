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
from cxai.ledger.port import Database
from cxai.ledger.recovery import Notice
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import missing_parts

_Together = tuple[bool, int]  # whether it is of the failures, and the number


def withdraw_missing(database: Database, form: ExportForm, directory: Path, notice: Notice) -> None:
    """Forget the parts whose files are missing and were not released, and their IDs' verdicts.

    All or nothing, with a `notice`. Raises IntegrityError if rows of these IDs were released, and
    so are in use.
    """
    states = database.parts()
    lost = {_together(state) for state in missing_parts(directory, states, form.compression)}
    if not lost:
        return
    withdrawn = defaultdict(list)
    for state in states:
        if _together(state) in lost:
            withdrawn[_together(state)].append(state)
    for group in withdrawn.values():
        _refuse_released(group, form, directory)
    parts = [state for group in withdrawn.values() for state in group]
    ids = database.withdraw(parts)
    names = ",".join(part_name(state, form.compression) for state in parts)
    notice("parts_reopened", parts=names, ids=ids)


def _together(state: PartState) -> _Together:
    return state.set == FAILURES, state.number


def _refuse_released(group: Sequence[PartState], form: ExportForm, directory: Path) -> None:
    released = [state for state in group if state.is_released]
    if released:
        here = [part_name(state, form.compression) for state in group if state not in released]
        raise IntegrityError(
            f"{directory}: {', '.join(here)} can't be fetched again, because"
            f" {part_name(released[0], form.compression)} has other rows of the same IDs and was"
            " released. Put the missing file back, or release it as well with"
            " `cxai prune --missing`."
        )
