"""A Reader and a RowWriter for replies in plain words. tests/contract checks them as well."""

from dataclasses import replace

from cxai.policy.reply import (
    NO_DRIFT,
    Drift,
    Endpoint,
    Failure,
    FailureKind,
    Form,
    Processing,
    Record,
    Refusal,
    Status,
)
from cxai.policy.verdict import FailureStage


class PlainReader:
    """Reader of bodies that name their kind: garbled, html, torn, a Processing, or any result.

    A result `drift: a b` has the unknown fields a and b. A Processing may be followed by
    `declared:` and the seconds since 1970. `says:` precedes a message of the API. The result of an
    ID in `unwritable` can't be written.
    """

    def __init__(self, unwritable=()):
        self._unwritable = unwritable

    at_once = 1

    async def read(self, arrived, at):  # noqa: ARG002 - the port's signature
        return [self.seen(one.interaction_id, one.endpoint, one.reply) for one in arrived]

    def seen(self, interaction_id, endpoint, reply):
        message = _message(reply.body)
        if reply.status != 200:
            return Refusal(reply.status, _form(reply.body), message, reply.retry_after_s)
        read = self._result(interaction_id, reply.body) if endpoint is Endpoint.RESULT else None
        read = read or self._status(reply.body)
        if isinstance(read, Failure):
            return replace(read, status=200, message=message, retry_after_s=reply.retry_after_s)
        return read

    def _result(self, interaction_id, body):
        if (failure := _unreadable(body)) is not None:
            return failure
        if interaction_id in self._unwritable:
            return Failure(FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, "nested too deeply")
        _, drifts, paths = body.decode().partition("drift: ")
        drift = Drift(unknown=tuple(paths.split())) if drifts else NO_DRIFT
        return Record({"records": f"{interaction_id} ok\n".encode()}, drift)

    def _status(self, body):
        if (failure := _unreadable(body)) is not None:
            return failure
        state, _, declared_s = body.decode().partition(" declared: ")
        if state == "archived":
            return Status(Processing.UNDER_WAY, state, is_known=False)
        try:
            return Status(
                Processing(state), state, declared_s=float(declared_s) if declared_s else None
            )
        except ValueError:
            return Failure(FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, "has no status")


def _unreadable(body):
    match body.split():
        case [b"garbled", *_]:
            return Failure(FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, "has no participants")
        case [b"html"]:
            return Failure(FailureKind.NOT_JSON, FailureStage.PARSE, "HTML or XML")
        case [b"torn"]:
            return Failure(FailureKind.UNDECODABLE, FailureStage.DECODE, "ends too soon")
    return None


def _form(body):
    if not body:
        return Form.EMPTY
    return Form.FOREIGN if body.startswith(b"html") else Form.OWN


def _message(body):
    _, says, words = body.decode().partition("says: ")
    return words if says else None


class PlainRowWriter:
    """RowWriter of lines with the ID and the verdict. `said` has the API's words on each ID."""

    def __init__(self):
        self.said = {}

    def failure(self, entry, settle, *, attempts, at, said):  # noqa: ARG002 - the port's signature
        self.said[entry.id] = said
        line = f"{entry.id} {settle.verdict} {settle.stage} {attempts}: {settle.reason}\n"
        return {"failures": line.encode()}
