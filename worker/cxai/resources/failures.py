"""The rows of the part set `failures`: IDs without a record, the same for every resource."""

from collections.abc import Mapping
from datetime import datetime

from cxai.core.entry import Entry
from cxai.core.layout import FAILURES
from cxai.policy.reply import Said
from cxai.policy.step import Settle
from cxai.resources.lines import line, stamped


class FailureRows:
    """Lists IDs without a record. An adapter of `ports.RowWriter`.

    `schema_version` (that of the resource) and `run_id` are in every row.
    """

    def __init__(self, schema_version: int, run_id: str) -> None:
        self._schema_version = schema_version
        self._run_id = run_id

    def failure(
        self, entry: Entry, settle: Settle, *, attempts: int, at: datetime, said: Said
    ) -> Mapping[str, bytes]:
        row = {
            **stamped(entry.id, self._schema_version, at, self._run_id),
            "verdict": settle.verdict,
            "reason": settle.reason,
            "stage": settle.stage,
            "attempts": attempts,
            "api_status": said.status,
            "api_message": said.message,
            "api_state": said.state,
            # A file name may be invalid Unicode: such bytes are escaped.
            "source": entry.source.encode("utf-8", "backslashreplace").decode(),
            "line": entry.line,
        }
        return {FAILURES: line(row)}
