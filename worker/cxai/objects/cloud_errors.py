"""What a failure of an object store means, in our own words.

obstore's messages hold the bodies and URLs of requests, which may show keys and signatures. So of
them only the status, the store's code and the kind of failure are read and shown.
"""

import re
from dataclasses import dataclass

from cxai.objects.port import StoreError, StoreRefusedError

_STATUS = re.compile(r"(?:status code: |\(code: )(\d{3})\b")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_KIND = re.compile(r"\bHttpError \{\s*kind: (\w+)")
# What was asked for credentials, by the words of obstore and the paths of the services: not by
# words that a bucket or a prefix may hold.
_OF_CREDENTIALS = re.compile(
    r"performing token request|Failed to read token file|credential error|AssumeRoleWith"
    r"|/latest/(?:api/token|meta-data)"
)
_OF_TLS = re.compile(r"\bInvalidCertificate\(")

_GIVE_CREDENTIALS = (
    "Set them in the environment, in the variables of the cloud's own tools, or give this machine a"
    " role."
)
_FULL = "Free up space there, or raise the quota."
_CHECK_NAME = "Check its name, and whose account the credentials are of."

_ADVICE = {
    # code or status: is it refused until something is changed, and what to do
    "NoSuchBucket": (True, f"There is no such bucket. {_CHECK_NAME}"),
    "ContainerNotFound": (True, f"There is no such container. {_CHECK_NAME}"),
    "RequestTimeTooSkewed": (True, "Set the clock of this machine."),
    "ExpiredToken": (True, f"The credentials have expired. {_GIVE_CREDENTIALS}"),
    "InvalidToken": (True, f"The credentials are wrong. {_GIVE_CREDENTIALS}"),
    "InvalidAccessKeyId": (True, f"The credentials are wrong. {_GIVE_CREDENTIALS}"),
    "SignatureDoesNotMatch": (True, f"The credentials are wrong. {_GIVE_CREDENTIALS}"),
    "AuthenticationFailed": (True, f"The credentials are wrong. {_GIVE_CREDENTIALS}"),
    "AuthorizationHeaderMalformed": (True, "Set AWS_REGION to the region of the bucket."),
    "PermanentRedirect": (True, "Set AWS_REGION to the region of the bucket."),
    "QuotaExceeded": (False, f"It is full. {_FULL}"),
    "XMinioStorageFull": (False, f"It is full. {_FULL}"),
    "XMinioAdminBucketQuotaExceeded": (False, f"It is full. {_FULL}"),
    "301": (True, "Set AWS_REGION to the region of the bucket."),
    "401": (True, f"The credentials are wrong. {_GIVE_CREDENTIALS}"),
    "403": (True, "Give the credentials the rights to read, write, list and delete there."),
    "404": (True, f"There is no such bucket. {_CHECK_NAME}"),
    "405": (True, "It can't do what an export needs: choose another place."),
    "429": (False, "It asks for fewer requests."),
    "501": (True, "It can't do what an export needs: choose another place."),
    "503": (False, "It asks for fewer requests, or is out of service."),
    "507": (False, f"It is full. {_FULL}"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a failed request: the HTTP status, the store's code, both may be empty."""

    status: str
    code: str
    text: str

    @property
    def is_absence(self) -> bool:
        """Whether it says that there is no such object, and not that there is no such bucket."""
        return self.status == "404" and self.code not in {"NoSuchBucket", "ContainerNotFound"}


def failure_of(error: Exception) -> Failure:
    """Read what obstore says of a failed request."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    return Failure(status[1] if status else "", code[1] if code else "", text)


def store_error(what: str, failure: Failure) -> StoreError:
    """Return the error for a failed request. `what` failed, up to the name of the place."""
    answer = " ".join(filter(None, (failure.status and f"HTTP {failure.status}", failure.code)))
    if _OF_CREDENTIALS.search(failure.text):
        return StoreRefusedError(f"Can't {what}: there are no credentials. {_GIVE_CREDENTIALS}")
    advice = _ADVICE.get(failure.code) or _ADVICE.get(failure.status)
    if advice is not None:
        refused, words = advice
        kind = StoreRefusedError if refused else StoreError
        return kind(f"Can't {what}: it answers {answer}. {words}")
    if answer:
        return StoreError(f"Can't {what}: it answers {answer}.")
    return _without_an_answer(what, failure.text)


def _without_an_answer(what: str, text: str) -> StoreError:
    if "incorrectly configured region" in text:
        return StoreRefusedError(f"Can't {what}: {_ADVICE['301'][1]}")
    if _OF_TLS.search(text):
        return StoreRefusedError(
            f"Can't {what}: its certificate is not trusted. Set SSL_CERT_FILE to the CA's, or check"
            " the name of the endpoint."
        )
    kind = _KIND.search(text)
    match kind[1] if kind else None:
        case "Connect":
            failed = "no connection. Check the endpoint, the network and the proxy."
        case "Timeout":
            failed = "it does not answer. Check the network and the store."
        case None:
            failed = "what came back is no answer of an object store. Check the endpoint."
        case _:
            failed = "the connection was cut. Check the network and the store."
    return StoreError(f"Can't {what}: {failed}")
