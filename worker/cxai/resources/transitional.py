"""The two steps, body to result and result to lines, that the pipeline still takes apart."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cxai.core.ports import Resource
from cxai.policy.reply import Failure, Reply, Status
from cxai.resources.cx_ai.interaction import Interaction
from cxai.resources.cx_ai.read import read_interaction
from cxai.resources.failures import FailureRows
from cxai.resources.message import message
from cxai.resources.processing import processing
from cxai.resources.reader import _MOST_ERROR_BYTES, BodyReader


class TwoStepReader(BodyReader):
    """A BodyReader with the older methods of `ports.Reader`."""

    async def result(self, reply: Reply) -> Interaction | Failure:
        """Decode and validate a result."""
        return await self._read(reply, read_interaction)

    async def processing(self, reply: Reply) -> Status | Failure:
        """Decode and validate an answer of the status endpoint."""
        return await self._read(reply, processing)

    def message(self, reply: Reply) -> str | None:
        """Return the API's own words in the body of an error, None if there are none."""
        body = self._decoded(reply, _MOST_ERROR_BYTES) if reply.body else b""
        return None if isinstance(body, Failure) else message(body)


class TwoStepRecorder(FailureRows):
    """A FailureRows with the older method of `ports.Recorder`."""

    def __init__(self, resource: Resource, run_id: str) -> None:
        super().__init__(resource.layout.schema_version, run_id)
        self._resource: Any = resource

    def record(
        self, interaction_id: str, interaction: Interaction, at: datetime
    ) -> Mapping[str, bytes] | Failure:
        """Return the record's lines; a Failure if it can't be written as JSON."""
        made: Mapping[str, bytes] | Failure = self._resource.lay_out(
            interaction_id, interaction, at
        )
        return made
