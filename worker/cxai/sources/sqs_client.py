"""The calls to a queue of SQS that a source needs, each made once: it is answered or it fails.

A lost reply of ReceiveMessage hides messages until their visibility timeout is over, then they
come again. Credentials, region and endpoint come from where every AWS client has them: environment,
profile, role of the machine or the pod.
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
    ConnectionError,  # noqa: A004 - of botocore, which has one of its own
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
"""The most messages of one call, to receive or to delete: the service allows no more."""

MOST_WAIT_S = 20
"""The longest wait of one call: the service allows no more."""

# What most AWS clients read, and the platforms set; botocore itself knows AWS_DEFAULT_REGION alone.
_REGION = "AWS_REGION"

_CONNECT_S = 5
_READ_S = MOST_WAIT_S + 10

_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429
_PASSING = ("Throttl", "OverLimit", "RequestThrottled", "KmsThrottled", "ServiceUnavailable")

_ABSENT = ("NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_LOGIN = (
    *("InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "InvalidSecurity"),
    *("ExpiredToken", "RequestExpired", "MissingAuthenticationToken", "IncompleteSignature"),
)
_NO_REPLY = "its endpoint sends what is no reply of SQS"
_NO_LOGIN = (NoCredentialsError, PartialCredentialsError, ProfileNotFound, TokenRetrievalError)


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `handle` is what this delivery of it is acknowledged by."""

    id: str
    handle: str
    body: str


class SqsQueue:
    """A queue by its name, and the account that owns it if that is another one.

    Each method raises UnreachableError if the service can't be reached now, and RefusedError for an
    error that does not pass by itself.
    """

    def __init__(self, name: str, account: str | None, region: str | None) -> None:
        self._name = name
        self._account = account
        self._region = region
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._url = ""

    async def open(self) -> None:
        """Find the queue, if that is not done yet."""
        if self._client is None:
            region = self._region or os.environ.get(_REGION) or None
            config = AioConfig(
                connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 1}
            )
            try:
                opening = get_session().create_client("sqs", region_name=region, config=config)
                self._client = await self._stack.enter_async_context(opening)
            except (BotoCoreError, ValueError) as error:
                raise _understood(error) from error
        if not self._url:
            owner = {"QueueOwnerAWSAccountId": self._account} if self._account else {}
            call = self._client.get_queue_url(QueueName=self._name, **owner)
            self._url = await _called(call, lambda reply: reply["QueueUrl"])

    async def receive(self, wait_s: float) -> Sequence[Message]:
        """Return messages; wait for one up to `wait_s` seconds, rounded up to whole ones.

        At least a second, since less asks a part of the servers alone, and may find none.
        """
        seconds = max(1, math.ceil(min(MOST_WAIT_S, wait_s)))
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
        """Delete MOST messages at most; return the handles of those that could not be deleted."""
        entries = [{"Id": str(number), "ReceiptHandle": one} for number, one in enumerate(handles)]
        return await _called(
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries),
            lambda reply: [handles[int(one["Id"])] for one in reply.get("Failed", ())],
        )

    async def in_flight(self) -> tuple[int, float]:
        """Return about how many messages have been delivered to anyone and are not deleted.

        And for how many seconds a message is hidden after its delivery.
        """
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
    """Return what `read` makes of a reply. One that is not of SQS, such as a proxy's, is none."""
    try:
        reply = await call
        if "json" not in reply["ResponseMetadata"]["HTTPHeaders"].get("content-type", ""):
            raise UnreachableError(_NO_REPLY)  # else it would be read as that of an empty queue
        return read(reply)
    except (BotoCoreError, ClientError, ResponseParserError, OSError) as error:
        raise _understood(error) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreachableError(_NO_REPLY) from error  # botocore checks nothing of what comes


def _understood(error: Exception) -> Exception:
    """Return what an error means for the reading; the endpoint's URL is not shown."""
    if isinstance(error, NoRegionError):
        return RefusedError(
            "it is not said in which region it is. Set AWS_REGION, or write it behind the name:"
            " sqs://name?region=eu-central-1"
        )
    if isinstance(error, _NO_LOGIN):
        return RefusedError(
            f"there are no credentials ({type(error).__name__}). Set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role."
        )
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, ConnectionError | HTTPClientError | OSError):
        return UnreachableError(f"its endpoint can't be reached: {type(error).__name__}")
    if isinstance(error, ResponseParserError):
        return UnreachableError(_NO_REPLY)
    return RefusedError(f"it can't be used: {type(error).__name__}.")


def _answered(error: ClientError) -> Exception:
    said, reply = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, words = str(said.get("Code", "")), str(said.get("Message", ""))
    status = int(reply.get("HTTPStatusCode", 0))
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS or _has(code, _PASSING):
        return UnreachableError(f"it says: {code} ({status})")
    if _has(code, _ABSENT):
        return RefusedError(
            "there is no such queue in this region and account. Check its name, the region and the"
            " account; has it been deleted, its messages are lost."
        )
    if _has(code, _LOGIN):
        return RefusedError(f"it refuses the credentials: {code}. Renew them.")
    if "AccessDenied" in code:
        return DeniedError(
            f"access is denied: {words} It needs sqs:GetQueueUrl, sqs:ReceiveMessage,"
            " sqs:DeleteMessage and sqs:GetQueueAttributes."
        )
    return RefusedError(f"it says: {code}: {words}")


def _has(code: str, parts: Sequence[str]) -> bool:
    return any(part in code for part in parts)
