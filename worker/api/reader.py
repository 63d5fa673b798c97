"""Makes sense of the API's bodies: undoes their content coding, then reads them."""

from worker.api import status, wire
from worker.api.content_coding import Limits, decode
from worker.domain.reply import Failure, Interaction, Processing, Reply


class BodyReader:
    """Reads replies, each bounded by `limits`. An adapter of `ports.Reader`; never raises."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def result(self, reply: Reply) -> Interaction | Failure:
        """Decode and validate a result."""
        body = decode(reply.body, reply.content_encoding, self._limits)
        return body if isinstance(body, Failure) else wire.read(body)

    def processing(self, reply: Reply) -> Processing | Failure:
        """Decode and validate an answer of the status endpoint."""
        body = decode(reply.body, reply.content_encoding, self._limits)
        return body if isinstance(body, Failure) else status.processing(body)
