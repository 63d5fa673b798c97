"""What is sent for a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from cxai.simulator.bodies import error_json
from cxai.simulator.coding import IDENTITY
from cxai.simulator.fault import Fault

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to be sent after `delay_s` seconds. `body` is as sent.

    `coding` is what Content-Encoding says, right or wrong; `fault` what is wrong with the answer.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    coding: str = IDENTITY
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    fault: Fault | None = None

    def all_headers(self) -> dict[str, str]:
        """Return the headers that tell of the body, and the answer's own."""
        typed = {"Content-Type": self.content_type} if self.body else {}
        coded = {} if self.coding == IDENTITY else {"Content-Encoding": self.coding}
        return {**typed, **coded, **self.headers}


def error(
    status: int, message: str | None = None, *, retry_after: str | None = None, delay_s: float = 0
) -> Answer:
    """Return an error with a JSON body, with the standard phrase of `status` as default message.

    A 404 has no body.
    """
    body = (
        b"" if status == HTTPStatus.NOT_FOUND else error_json(message or HTTPStatus(status).phrase)
    )
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status, body, headers=headers, delay_s=delay_s)
