"""The resource CX AI: from a body to the lines of its rows."""

from datetime import datetime

import orjson

from cxai.core.layout import NO_BANDS, BandsMark
from cxai.policy.reply import Failure, Record
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.layout import LAYOUT, RECORDS
from cxai.resources.cx_ai.regular import read_regular
from cxai.resources.cx_ai.regular_lines import nested_line, table_lines
from cxai.resources.cx_ai.rows import nested, tables
from cxai.resources.json_body import not_a_result
from cxai.resources.lines import Row, line, lines, stamped
from cxai.resources.options import Shape


class CxAi:
    """CX AI results, laid out in one shape. An adapter of `ports.Resource`.

    `run_id` is in every row. With `bands`, each score has its band; `bands_mark` identifies them.
    """

    layout = LAYOUT
    path = "ai"

    def __init__(
        self,
        shape: Shape,
        run_id: str,
        bands: Bands | None = None,
        bands_mark: BandsMark = NO_BANDS,
    ) -> None:
        self.bands_mark = bands_mark
        self._shape = shape
        self._run_id = run_id
        self._bands = bands

    def read(self, interaction_id: str, body: bytes, at: datetime) -> Record | Failure:
        participants = read_regular(body)
        if participants is None:
            return self.read_any(interaction_id, body, at)
        stamp = self._stamp(interaction_id, at)
        match self._shape:
            case Shape.NESTED:
                return Record({RECORDS: nested_line(stamp, participants, self._bands)})
            case Shape.TABLES:
                return Record(table_lines(stamp, participants, self._bands))

    def read_any(self, interaction_id: str, body: bytes, at: datetime) -> Record | Failure:
        """Do as `read` does, with the general reader, even for a regular body."""
        # pydantic takes 100 ms to import, and most runs have regular bodies only.
        from cxai.resources.cx_ai.read import read_interaction  # noqa: PLC0415

        found = read_interaction(body)
        if isinstance(found, Failure):
            return found
        stamp = self._stamp(interaction_id, at)
        try:
            match self._shape:
                case Shape.NESTED:
                    made = {RECORDS: line(nested(stamp, found, self._bands))}
                case Shape.TABLES:
                    rows = tables(found, self._bands)
                    made = {name: lines(stamp, of_set) for name, of_set in rows.items() if of_set}
        except orjson.JSONEncodeError:  # orjson reads 1,024 levels, but writes 254
            return not_a_result("can't be written as JSON: nested too deeply")
        return Record(made, found.drift)

    def _stamp(self, interaction_id: str, at: datetime) -> Row:
        return stamped(interaction_id, self.layout.schema_version, at, self._run_id)
