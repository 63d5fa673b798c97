"""Buckets of S3 and compatible stores, of Google Cloud Storage, and of Azure.

Credentials, region and endpoint come from the environment variables of each cloud's own tools, or
from the machine's role or workload identity. They are never shown.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from cxai.errors import UsageError
from cxai.objects.cloud import CloudStore, Store
from cxai.objects.port import LEAST_S

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_URL = re.compile(
    r"(?P<scheme>[a-z0-9]+)://(?P<bucket>[a-z0-9][a-z0-9._-]*[a-z0-9])"
    r"(?:@(?P<account>[a-z0-9]+)\.(?:dfs|blob)\.core\.windows\.net)?"
    r"(?:/(?P<prefix>[\w!.'()=+,:@ -]+(?:/[\w!.'()=+,:@ -]+)*))?/?",
    re.ASCII,
)
_FORMS = {
    "s3": "s3://bucket/prefix",
    "gs": "gs://bucket/prefix",
    "az": "az://container/prefix",
    "abfss": "abfss://container@account.dfs.core.windows.net/prefix",
}
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT",),
    "abfss": ("AZURE_STORAGE_ENDPOINT",),
}
_CLIENTS: Mapping[str, type[Store]] = {
    "s3": S3Store,
    "gs": GCSStore,
    "az": AzureStore,
    "abfss": AzureStore,
}

# Four retries within a few seconds: for a longer failure, the caller waits, and logs it.
RETRIES: "RetryConfig" = {
    "max_retries": 4,
    "backoff": {
        "init_backoff": timedelta(seconds=0.2),
        "max_backoff": timedelta(seconds=4),
        "base": 2,
    },
    "retry_timeout": timedelta(seconds=25),
}
_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=10),
    "timeout": timedelta(hours=1),  # CloudStore cancels each call much earlier
}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a bucket's URL. `prefix` is empty for the bucket itself."""

    url: str
    scheme: str
    bucket: str
    prefix: str
    account: str | None


def cloud_store(
    destination: str, *, retries: "RetryConfig" = RETRIES, least_s: float = LEAST_S
) -> CloudStore:
    """Return the store of a URL. Raises UsageError if the URL or the environment is wrong.

    `retries` happen within a call, and within its time limit.
    """
    address = address_of(destination)
    client: ClientConfig = {**_CLIENT, "allow_http": _allows_http(address.scheme, os.environ)}
    try:
        store = _CLIENTS[address.scheme](
            address.bucket,
            prefix=address.prefix or None,
            config=_config(address),
            client_options=client,
            retry_config=retries,
        )
    except BaseError as error:
        # Without the values that obstore quotes.
        problem = str(error).partition("\n")[0].split(": ")[1].rstrip(".")
        raise UsageError(
            f"{address.url} can't be used: {problem}. Set what is missing in the environment"
            " variables of the cloud's own tools."
        ) from None
    return CloudStore(store, address.url, least_s=least_s)


def address_of(destination: str) -> Address:
    """Parse a URL. Raises UsageError if it is not that of a bucket."""
    text = destination.strip()
    found = _URL.fullmatch(text)
    scheme = text.partition(":")[0].lower()
    prefix = (found["prefix"] or "") if found else ""
    if (
        found is None
        or (found["account"] is not None) != (scheme == "abfss")
        or not {".", ".."}.isdisjoint(prefix.split("/"))
    ):
        raise UsageError(
            f"The destination is not of the form {_FORMS[scheme]}. A prefix may contain letters"
            " without accents, digits, spaces and !_.'()=+,:@-, and there is no query: other"
            " options of the store come from the environment."
        )
    return Address(text.rstrip("/"), scheme, found["bucket"], prefix, found["account"])


def _allows_http(scheme: str, environment: Mapping[str, str]) -> bool:
    """Whether requests to the store may be sent in clear text."""
    for variable in _ENDPOINTS[scheme]:
        if not (endpoint := environment.get(variable)):
            continue
        url = urlsplit(endpoint.strip())
        if "@" in url.netloc or url.scheme not in {"http", "https"} or not url.hostname:
            raise UsageError(f"{variable} is not of the form https://host[:port].")
        if url.scheme == "https":
            return False
        if not _is_loopback(url.hostname) and environment.get("AWS_ALLOW_HTTP") != "true":
            raise UsageError(
                f"{variable} would send the results in clear text. Use https://, or, if the whole"
                " network in between is yours, set AWS_ALLOW_HTTP=true."
            )
        return True
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _config(address: Address) -> Any:
    if address.scheme == "s3":
        return {"disable_bulk_delete": True}  # every store can delete one at a time
    return {"account_name": address.account} if address.account else None
