"""The calls to an SQS queue that a source needs. Each is made once: it succeeds or fails.

A lost reply of ReceiveMessage hides messages until their visibility timeout is over. Credentials,
region and endpoint come from the usual places of AWS clients: environment, profile, role.
"""

import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from cxai.sources.queue import DeniedError, RefusedError, UnreachableError

T = TypeVar("T")

MOST = 10
"""Most messages that the service lets one call receive or delete."""

# The longest wait that the service allows.
_MOST_WAIT_S = 20

# Platforms set this variable, and most AWS clients read it; botocore reads AWS_DEFAULT_REGION only.
_REGION = "AWS_REGION"

_CONNECT_S = 5
_READ_S = _MOST_WAIT_S + 10

_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429
_TRANSIENT = ("Throttl", "OverLimit", "RequestThrottled", "KmsThrottled", "ServiceUnavailable")

_ABSENT = ("NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_LOGIN = (
    *("InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "InvalidSecurity"),
    *("ExpiredToken", "RequestExpired", "MissingAuthenticationToken", "IncompleteSignature"),
)
_NOT_SQS = "the endpoint's reply is not from SQS"
_NO_LOGIN = (NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError)


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `handle` acknowledges this delivery of it."""

    id: str
    handle: str
    body: str


class SqsQueue:
    """A queue, by its name and, if it is another one, the account that owns it.

    Each method raises UnreachableError if the service is temporarily unreachable, and RefusedError
    for an error that does not pass without a change.
    """

    def __init__(self, name: str, account: str | None, region: str | None) -> None:
        self._name = name
        self._account = account
        self._region = region
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._url = ""

    async def open(self) -> None:
        """Connect and find the queue, unless that is done."""
        if self._client is None:
            region = self._region or os.environ.get(_REGION) or None
            config = AioConfig(
                connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 1}
            )
            try:
                opening = get_session().create_client("sqs", region_name=region, config=config)
                self._client = await self._stack.enter_async_context(opening)
            except (BotoCoreError, ValueError) as error:
                raise _meaning(error) from error
        if not self._url:
            owner = {"QueueOwnerAWSAccountId": self._account} if self._account else {}
            call = self._client.get_queue_url(QueueName=self._name, **owner)
            self._url = await _called(call, lambda reply: reply["QueueUrl"])

    async def receive(self, wait_s: float) -> Sequence[Message]:
        """Return messages; wait for one up to `wait_s` seconds, rounded up, at least 1."""
        # Without a wait, SQS queries only some of its servers and may miss messages.
        seconds = max(1, math.ceil(min(_MOST_WAIT_S, wait_s)))
        call = self._client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=MOST, WaitTimeSeconds=seconds
        )
        return await _called(
            call,
            lambda reply: [
                Message(one["MessageId"], one["ReceiptHandle"], one["Body"])
                for one in reply.get("Messages", ())
            ],
        )

    async def delete(self, handles: Sequence[str]) -> Sequence[str]:
        """Delete at most MOST messages; return the handles of those that could not be deleted."""
        entries = [{"Id": str(number), "ReceiptHandle": one} for number, one in enumerate(handles)]
        return await _called(
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries),
            lambda reply: [handles[int(one["Id"])] for one in reply.get("Failed", ())],
        )

    async def in_flight(self) -> tuple[int, float]:
        """Return about how many messages are delivered but not deleted, and the timeout, in s."""
        names = ["ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout"]
        count, timeout_s = await _called(
            self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names),
            lambda reply: [float(reply["Attributes"][name]) for name in names],
        )
        return int(count), timeout_s

    async def close(self) -> None:
        """Close all connections."""
        await self._stack.aclose()
        self._client = None


async def _called(call: Awaitable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T]) -> T:
    """Return `read(reply)`. Raises UnreachableError if another server, such as a proxy, replied."""
    try:
        reply = await call
        if "json" not in reply["ResponseMetadata"]["HTTPHeaders"].get("content-type", ""):
            raise UnreachableError(_NOT_SQS)  # it would look like that of an empty queue
        return read(reply)
    except (BotoCoreError, ClientError, ResponseParserError, OSError) as error:
        raise _meaning(error) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreachableError(_NOT_SQS) from error  # botocore does not validate replies


def _meaning(error: Exception) -> Exception:
    """Return the meaning of an error for reading, without the endpoint's URL."""
    if isinstance(error, NoRegionError):
        return RefusedError(
            "its region is not known. Set AWS_REGION, or add it to the URL:"
            " sqs://name?region=eu-central-1"
        )
    if isinstance(error, _NO_LOGIN):
        return RefusedError(
            f"no AWS credentials were found ({type(error).__name__}). Set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role."
        )
    if isinstance(error, ClientError):
        return _error_reply(error)
    if isinstance(error, ConnectionError | HTTPClientError | OSError):
        return UnreachableError(f"the endpoint can't be reached: {type(error).__name__}")
    if isinstance(error, ResponseParserError):
        return UnreachableError(_NOT_SQS)
    return RefusedError(f"it can't be used: {type(error).__name__}.")


def _error_reply(error: ClientError) -> Exception:
    details, reply = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    status = int(reply.get("HTTPStatusCode", 0))
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS or _has(code, _TRANSIENT):
        return UnreachableError(f"service error: {code} ({status})")
    if _has(code, _ABSENT):
        return RefusedError(
            "there is no such queue in this region and account. Check the name, the region and the"
            " account. If the queue was deleted, its messages are lost."
        )
    if _has(code, _LOGIN):
        return RefusedError(f"the credentials were refused: {code}. Renew them.")
    if "AccessDenied" in code:
        return DeniedError(
            f"access is denied: {message} The role or user needs sqs:GetQueueUrl,"
            " sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes."
        )
    return RefusedError(f"service error: {code}: {message}")


def _has(code: str, parts: Sequence[str]) -> bool:
    return any(part in code for part in parts)
