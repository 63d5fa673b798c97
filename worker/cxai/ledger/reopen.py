"""`cxai run --reopen-missing`: fetches the IDs of lost parts again.

The rows of a result are in the parts of all record sets with the same number. If one of these is
missing, all are withdrawn, so that no row exists twice after its ID is fetched again. Files that
remain are no longer in the ledger, and go to quarantine.

The ledger keeps these IDs: until each has a verdict again, no run into the directory ends with exit
code 0, since its input may not contain them.
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

_Group = tuple[bool, int]  # whether it holds failures, and the number


def withdraw_missing(database: Database, form: ExportForm, directory: Path, notice: Notice) -> None:
    """Withdraw the parts whose files are missing and not released, and the verdicts of their IDs.

    All or nothing, with a `notice`. Raises IntegrityError if rows of these IDs were released, since
    those are in use.
    """
    states = database.parts()
    lost = {_group_of(state) for state in missing_parts(directory, states, form.compression)}
    if not lost:
        return
    withdrawn = defaultdict(list)
    for state in states:
        if _group_of(state) in lost:
            withdrawn[_group_of(state)].append(state)
    for group in withdrawn.values():
        _refuse_released(group, form, directory)
    parts = [state for group in withdrawn.values() for state in group]
    ids = database.withdraw(parts)
    names = ",".join(part_name(state, form.compression) for state in parts)
    notice("parts_reopened", parts=names, ids=ids)


def _group_of(state: PartState) -> _Group:
    return state.set == FAILURES, state.number


def _refuse_released(group: Sequence[PartState], form: ExportForm, directory: Path) -> None:
    released = [state for state in group if state.is_released]
    if released:
        here = [part_name(state, form.compression) for state in group if state not in released]
        raise IntegrityError(
            f"{directory}: the IDs of {', '.join(here)} can't be fetched again, because"
            f" {part_name(released[0], form.compression)}, which was released, has other rows of"
            " the same IDs. Put the missing file back, or release it as well:"
            f" `cxai prune {directory} --missing`."
        )
