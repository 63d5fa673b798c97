"""Messages for failures of an object store.

obstore's messages may quote keys and signatures, so only the status, the store's error code and the
kind of failure are taken from them.
"""

import re
from dataclasses import dataclass

from cxai.objects.port import StoreError, StoreRefusedError

_STATUS = re.compile(r"(?:status code: |\(code: )(\d{3})\b")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_KIND = re.compile(r"\bHttpError \{\s*kind: (\w+)")
# Failures to get credentials, by obstore's phrases and the services' paths,
# none of which can be part of a bucket's name or a prefix.
_CREDENTIALS = re.compile(
    r"performing token request|Failed to read token file|credential error|AssumeRoleWith"
    r"|/latest/(?:api/token|meta-data)"
)
_TLS = re.compile(r"\bInvalidCertificate\(")

_GIVE_CREDENTIALS = (
    "Set them in the environment variables of the cloud's own tools, or give this machine a role."
)
_FULL = "Free up space there, or raise the quota."
_CHECK_NAME = "Check its name and the account of the credentials."
_UNSUPPORTED = "It does not support what an export needs: choose another destination."

_NO_RESPONSE = {
    "Connect": "no connection. Check the endpoint, the network and the proxy.",
    "Timeout": "no response. Check the network and the store.",
    "": "the response is not from an object store. Check the endpoint.",
}

_ADVICE = {
    # code or status: (refused until something is changed?, what to do)
    "NoSuchBucket": (True, f"The bucket does not exist. {_CHECK_NAME}"),
    "ContainerNotFound": (True, f"The container does not exist. {_CHECK_NAME}"),
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
    "403": (True, "Grant the credentials the rights to read, write, list and delete there."),
    "404": (True, f"The bucket does not exist. {_CHECK_NAME}"),
    "405": (True, _UNSUPPORTED),
    "429": (False, "It is throttling requests."),
    "501": (True, _UNSUPPORTED),
    "503": (False, "It is throttling requests, or out of service."),
    "507": (False, f"It is full. {_FULL}"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request: HTTP status and the store's code (both may be empty), and its text."""

    status: str
    code: str
    text: str

    @property
    def is_absence(self) -> bool:
        """Whether the object does not exist; that the bucket does not is another failure."""
        return self.status == "404" and self.code not in {"NoSuchBucket", "ContainerNotFound"}


def failure_of(error: Exception) -> Failure:
    """Parse obstore's error for a failed request."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    return Failure(status[1] if status else "", code[1] if code else "", text)


def store_error(what: str, failure: Failure) -> StoreError:
    """Return the error for a failed request. `what` failed, with the location: "read x in s3://y"."""
    response = " ".join(filter(None, (failure.status and f"HTTP {failure.status}", failure.code)))
    if _CREDENTIALS.search(failure.text):
        return StoreRefusedError(f"Can't {what}: no credentials were found. {_GIVE_CREDENTIALS}")
    advice = _ADVICE.get(failure.code) or _ADVICE.get(failure.status)
    if advice is not None:
        is_refused, text = advice
        kind = StoreRefusedError if is_refused else StoreError
        return kind(f"Can't {what}: the response was {response}. {text}")
    if response:
        return StoreError(f"Can't {what}: the response was {response}.")
    return _no_response(what, failure.text)


def _no_response(what: str, text: str) -> StoreError:
    if "incorrectly configured region" in text:
        return StoreRefusedError(f"Can't {what}: {_ADVICE['301'][1]}")
    if _TLS.search(text):
        return StoreRefusedError(
            f"Can't {what}: its certificate is not trusted. Set SSL_CERT_FILE to its CA's file, or"
            " check the name of the endpoint."
        )
    kind = found[1] if (found := _KIND.search(text)) else ""
    closed = "the connection was closed. Check the network and the store."
    return StoreError(f"Can't {what}: {_NO_RESPONSE.get(kind, closed)}")
