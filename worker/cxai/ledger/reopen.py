"""`cxai run --reopen-missing`: fetches the IDs of lost parts again.

The rows of a result are in the parts of all record sets with the same number. If one of these is
missing, all are withdrawn, so that no row exists twice after its ID is fetched again. Files that
remain go to quarantine; the ledger keeps the IDs until each has a verdict again.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from cxai.core.events import Emit
from cxai.core.layout import FAILURES
from cxai.errors import IntegrityError
from cxai.ledger.form import ExportForm
from cxai.ledger.port import Database
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import missing_parts


def withdraw_missing(database: Database, form: ExportForm, directory: Path, emit: Emit) -> None:
    """Withdraw the parts whose files are missing and not released, and the verdicts of their IDs.

    All or nothing, with an event. Raises IntegrityError if rows of these IDs were released, since
    those are in use.
    """
    states = database.parts()
    lost = {_group_of(state) for state in missing_parts(directory, states, form.compression)}
    if not lost:
        return
    parts = sorted((state for state in states if _group_of(state) in lost), key=_group_of)
    for _, group in groupby(parts, key=_group_of):
        _refuse_released(list(group), form, directory)
    ids = database.withdraw(parts)
    names = ",".join(part_name(state, form.compression) for state in parts)
    emit("parts_reopened", parts=names, ids=ids)


def _group_of(state: PartState) -> tuple[bool, int]:
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
