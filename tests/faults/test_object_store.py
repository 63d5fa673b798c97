"""Calls to an object store that fails, refuses, hangs or loses responses."""

import asyncio
import hashlib
import json
import os
import re
import traceback
from datetime import timedelta
from urllib.parse import unquote

import pytest
from support.certificate import CA, server_context
from support.moto_server import ANY_CREDENTIALS
from support.raw_server import Ending, RawServer, header, response
from support.store_proxy import StoreProxy
from support.waiting import wait_until

from cxai.errors import UsageError
from cxai.objects.cloud_stores import RETRIES, cloud_store
from cxai.objects.port import StoreError, StoreRefusedError, TakenError
from cxai.objects.registry import open_store

CONTENT = b'{"id":1}\n' * 1000
SHA256 = hashlib.sha256(CONTENT).digest()
PENDING = "_pending/7-1-records"
FINAL = "records/records-000000001.jsonl"
SECRET = ANY_CREDENTIALS["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Leave nothing but these credentials, and nowhere to look for others."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name, value in {**ANY_CREDENTIALS, "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def opened(environment):
    """Return what opens the store at an endpoint; it waits as long as a test may."""

    def at(endpoint, bucket="bucket", *, retries=1, least_s=20.0):
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        soon = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(seconds=1)}
        patience = {**RETRIES, "max_retries": retries, "backoff": {**RETRIES["backoff"], **soon}}
        return cloud_store(f"s3://{bucket}/a/prefix", retries=patience, least_s=least_s)

    return at


async def content(store, name):
    return b"".join([chunk async for chunk in store.read(name)])


async def names(store, prefix):
    return [found.name async for found in store.names(prefix)]


def words(raised):
    """Return all that a person may see of an error, traceback and causes included."""
    return "".join(traceback.format_exception(raised.value))


# --- a result that is unknown ---


@pytest.mark.promise(
    "The answer of the object store is lost after it has written, copied or deleted an object",
    "the call is settled by what is there: exactly one object, whole",
    group="Objects",
)
@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_a_lost_request_or_response_is_resolved_by_the_existing_object(
    moto, bucket, opened, fault
):
    async with StoreProxy(moto) as proxy:
        store = opened(proxy.url, bucket)
        proxy.faults[0] = fault
        await store.put_new(PENDING, CONTENT)
        assert len(proxy.requests) == (2 if fault == "lost" else 3)  # it is read and compared
        proxy.faults.update({len(proxy.requests) + n: fault for n in (0, 3, 6)})
        await store.publish(PENDING, FINAL, SHA256)
        proxy.faults[len(proxy.requests)] = fault
        await store.replace("manifest.json", CONTENT)
        assert await names(store, "_pending") == []
        assert await names(store, "records") == [FINAL]
        assert await content(store, FINAL) == await content(store, "manifest.json") == CONTENT


async def test_a_lost_response_does_not_hide_different_content(moto, bucket, opened):
    await opened(moto, bucket).put_new(PENDING, b"another")
    async with StoreProxy(moto, {0: "unanswered"}) as proxy:
        with pytest.raises(TakenError, match=r"already exists in .*, with different content"):
            await opened(proxy.url, bucket).put_new(PENDING, CONTENT)


async def test_a_conflict_without_an_object_is_an_error_after_which_the_call_may_be_repeated(
    moto, bucket, opened
):
    conflict = response(xml("ConditionalRequestConflict"), status="409 Conflict")
    async with StoreProxy(moto, {0: conflict}) as proxy:  # another wrote it at that moment, in vain
        store = opened(proxy.url, bucket)
        with pytest.raises(StoreError, match="another call is writing or has deleted it"):
            await store.put_new(PENDING, CONTENT)
        await store.put_new(PENDING, CONTENT)
        assert await content(store, PENDING) == CONTENT


PUBLISHING = 5  # requests: is the final name free, how large is it, copy, is it whole, delete


@pytest.mark.promise(
    "A worker dies between any two requests of publishing an object",
    "the next one completes it: one object under its final name, none pending",
    group="Objects",
)
@pytest.mark.parametrize("number", range(PUBLISHING))
async def test_publishing_that_a_killed_worker_began_is_completed_by_the_next(
    moto, bucket, opened, number
):
    other = opened(moto, bucket)
    await other.put_new(PENDING, CONTENT)
    async with StoreProxy(moto, {number: "held"}) as proxy:
        store = opened(proxy.url, bucket)
        dying = asyncio.create_task(store.publish(PENDING, FINAL, SHA256))
        await asyncio.wait_for(proxy.held.wait(), 20)
        dying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dying
    assert len(proxy.requests) == number + 1
    await other.publish(PENDING, FINAL, SHA256)
    assert await names(other, "_pending") == []
    assert await content(other, FINAL) == CONTENT


async def test_publishing_takes_five_requests(moto, bucket, opened):
    async with StoreProxy(moto) as proxy:
        store = opened(proxy.url, bucket)
        await store.put_new(PENDING, CONTENT)
        assert len(proxy.requests) == 1
        await store.publish(PENDING, FINAL, SHA256)
    methods = [request.split(" ")[0] for request in proxy.requests]
    assert methods == ["PUT", "HEAD", "HEAD", "PUT", "HEAD", "DELETE"]


async def test_an_incomplete_copy_is_never_accepted(moto, bucket, opened):
    copied = response(b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>", "Connection: close")
    async with StoreProxy(moto, {2: copied}) as proxy:  # it says so, but did not copy
        store = opened(proxy.url, bucket)
        await opened(moto, bucket).put_new(PENDING, CONTENT)
        with pytest.raises(StoreError, match="the copy is incomplete"):
            await store.publish(PENDING, FINAL, SHA256)
        await store.publish(PENDING, FINAL, SHA256)
        assert await content(store, FINAL) == CONTENT


async def test_objects_in_a_deleted_bucket_are_not_reported_missing(moto, opened):
    store = opened(moto, "no-such-bucket")
    for call in (
        store.publish(PENDING, FINAL, SHA256),
        store.put_new(PENDING, CONTENT),
        store.replace(FINAL, CONTENT),
        store.delete(FINAL),
        content(store, FINAL),
        names(store, "records"),
    ):
        with pytest.raises(StoreRefusedError, match=r"The bucket does not exist. Check its name"):
            await call


async def test_a_truncated_response_is_never_accepted_as_the_object(opened):
    whole = response(CONTENT, 'ETag: "1"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")
    async with RawServer([whole[:-500], Ending.RESET], [Ending.SILENCE]) as server:
        store = opened(server.base_url, least_s=0.5)
        with pytest.raises(StoreError, match=f"read {FINAL} in"):
            await content(store, FINAL)


# --- a store that refuses, is full, slow or unreachable ---


def xml(code):
    body = (
        f"<Error><Code>{code}</Code><Message>words</Message>"
        f"<AWSAccessKeyId>{SECRET}</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign></Error>"
    )
    return body.encode()


PASSING = [
    ("500 Internal Server Error", "InternalError", "the response was HTTP 500 InternalError."),
    ("503 Slow Down", "SlowDown", "HTTP 503 SlowDown. It is throttling requests"),
    ("429 Too Many Requests", "TooMany", "HTTP 429 TooMany. It is throttling requests"),
    ("507 Insufficient Storage", "XMinioStorageFull", "It is full. Free up space there"),
    ("507 Insufficient Storage", "", "HTTP 507. It is full. Free up space there"),
    ("403 Forbidden", "QuotaExceeded", "It is full. Free up space there, or raise the quota"),
]
REFUSED = [
    ("403 Forbidden", "AccessDenied", "Grant the credentials the rights to read, write, list"),
    ("403 Forbidden", "SignatureDoesNotMatch", "The credentials are wrong. Set them in"),
    ("403 Forbidden", "InvalidAccessKeyId", "The credentials are wrong. Set them in"),
    ("403 Forbidden", "RequestTimeTooSkewed", "Set the clock of this machine"),
    ("400 Bad Request", "ExpiredToken", "The credentials have expired. Set them in"),
    ("401 Unauthorized", "", "The credentials are wrong"),
    ("404 Not Found", "NoSuchBucket", "The bucket does not exist. Check its name"),
    ("301 Moved Permanently", "PermanentRedirect", "Set AWS_REGION to the region of the bucket"),
    ("400 Bad Request", "AuthorizationHeaderMalformed", "Set AWS_REGION to the region of the"),
    ("501 Not Implemented", "NotImplemented", "It does not support what an export needs"),
]


@pytest.mark.promise(
    "The object store is full, throttles (429, 503) or fails (500) for a while",
    "retried a few times, then an error with the cause, after which the call may be repeated",
    group="Objects",
)
@pytest.mark.parametrize(("status", "code", "message"), PASSING)
async def test_a_temporary_failure_is_an_error_with_its_cause(opened, status, code, message):
    async with RawServer([response(xml(code) if code else b"", status=status)]) as server:
        with pytest.raises(StoreError, match=re.escape(message)) as raised:
            await opened(server.base_url).put_new(PENDING, CONTENT)
    assert not isinstance(raised.value, StoreRefusedError)
    assert len(server.requests) == (1 if status.startswith("4") and "429" not in status else 2)
    assert SECRET not in words(raised)
    assert f"write {PENDING} to s3://bucket/a/prefix: " in str(raised.value)


@pytest.mark.parametrize("call", ["replace", "publish", "delete"])
async def test_a_conflict_in_a_call_that_creates_nothing_is_an_error_like_any_other(opened, call):
    conflict = response(xml("OperationAborted"), status="409 Conflict")
    async with RawServer([conflict]) as server:
        store = opened(server.base_url)
        calls = {
            "replace": lambda: store.replace(FINAL, CONTENT),
            "publish": lambda: store.publish(PENDING, FINAL, SHA256),
            "delete": lambda: store.delete(FINAL),
        }
        with pytest.raises(StoreError, match="the response was HTTP 409"):
            await calls[call]()


@pytest.mark.promise(
    "The object store refuses: rights, credentials, a wrong bucket or region, a wrong clock",
    "an error that names what to change; the check before an export is created exits with code 2",
    group="Objects",
)
@pytest.mark.parametrize(("status", "code", "message"), REFUSED)
async def test_a_refusal_is_a_usage_error_of_the_check(opened, status, code, message):
    async with RawServer([response(xml(code) if code else b"", status=status)]) as server:
        store = opened(server.base_url)
        with pytest.raises(StoreRefusedError, match=re.escape(message)) as raised:
            await store.put_new(PENDING, CONTENT)
        assert SECRET not in words(raised)
        with pytest.raises(UsageError, match=re.escape(message)) as raised:
            await store.check()
        assert SECRET not in words(raised)


async def test_an_outage_is_not_a_usage_error_whatever_the_bucket_is_called(opened):
    store = opened("http://127.0.0.1:1", "credentials-and-certificates-403-nosuchbucket")
    with pytest.raises(StoreError, match=r"no connection. Check the endpoint, the network and the"):
        await store.check()


@pytest.mark.promise(
    "The object store hangs",
    "the call fails within its time limit, and its connection is closed",
    group="Objects",
)
async def test_a_store_that_hangs_is_an_error_within_the_time_limit(opened):
    async with RawServer([Ending.SILENCE]) as server:
        store = opened(server.base_url, least_s=0.2)
        for call in (
            store.put_new(PENDING, b"x"),
            store.publish(PENDING, FINAL, SHA256),
            content(store, FINAL),
            names(store, "records"),
        ):
            with pytest.raises(StoreError, match="no response for 0 s"):
                await call
        await wait_until(lambda: server.open_connections == 0, "the end of the connections")


async def test_a_response_that_stops_halfway_is_an_error_within_the_time_limit(opened):
    whole = response(CONTENT, 'ETag: "1"', "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")
    async with RawServer([whole[:-500], Ending.SILENCE]) as server:
        with pytest.raises(StoreError, match="no response for"):
            await content(opened(server.base_url, least_s=0.3), FINAL)


async def test_a_connection_that_keeps_closing_is_an_error_with_that_cause(opened):
    async with RawServer([Ending.RESET]) as server:
        with pytest.raises(StoreError, match=r"the connection was closed. Check the network"):
            await opened(server.base_url).put_new(PENDING, CONTENT)
        assert len(server.requests) == 2


async def test_the_page_of_a_proxy_is_not_a_list_of_objects(opened):
    async with RawServer([response(b"<!DOCTYPE html><html><p>Please log in</html>")]) as server:
        with pytest.raises(StoreError, match="the response is not from an object store"):
            await names(opened(server.base_url), "records")


async def test_a_store_that_overwrites_despite_the_condition_is_refused_by_the_check(opened):
    async with RawServer([response(b"", 'ETag: "1"')]) as server:
        with pytest.raises(UsageError, match="overwrites existing objects despite"):
            await opened(server.base_url).check()


@pytest.mark.parametrize("refusal", ["", "403 Forbidden", "404 Not Found"])
async def test_without_credentials_the_check_says_where_they_come_from(
    opened, environment, refusal
):
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    async with RawServer([response()]) as server, RawServer([response(status=refusal)]) as metadata:
        if refusal:
            environment.setenv("AWS_METADATA_ENDPOINT", metadata.base_url)
        with pytest.raises(UsageError, match=r"no credentials were found. Set them in"):
            await opened(server.base_url).check()
        assert server.requests == []


@pytest.mark.parametrize("certificate", ["unknown_authority", "expired", "other_host"])
async def test_a_certificate_that_is_not_trusted_is_named_and_nothing_is_sent(
    opened, environment, certificate
):
    environment.setenv("SSL_CERT_FILE", str(CA))
    async with RawServer([response(b"", 'ETag: "1"')], tls=server_context(certificate)) as server:
        with pytest.raises(UsageError, match=r"its certificate is not trusted. Set SSL_CERT_FILE"):
            await opened(server.base_url).check()
        assert server.requests == []


async def test_the_certificates_of_ssl_cert_file_are_trusted(opened, environment):
    environment.setenv("SSL_CERT_FILE", str(CA))
    async with RawServer([response(b"", 'ETag: "1"')], tls=server_context()) as server:
        await opened(server.base_url).put_new(PENDING, CONTENT)


async def test_a_folder_made_in_a_console_is_not_an_object(moto, bucket, opened):
    store = opened(moto, bucket)
    folder = cloud_store(f"s3://{bucket}")._store
    await folder.put_async("a/prefix/records/x", b"")
    page = (
        b"<ListBucketResult><IsTruncated>false</IsTruncated>"
        b"<Contents><Key>a/prefix/records/</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        b"<Size>0</Size><ETag>x</ETag></Contents>"
        b"<Contents><Key>a/prefix/records/x</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        b"<Size>0</Size><ETag>x</ETag></Contents></ListBucketResult>"
    )
    assert await names(store, "records") == ["records/x"]
    async with RawServer([response(page)]) as server:
        assert await names(opened(server.base_url), "records") == ["records/x"]


# --- the other clouds, as far as a request shows it ---


async def test_google_creates_an_object_only_if_it_does_not_exist(environment):
    async with RawServer([response(b"", 'ETag: "1"')]) as server:
        account = {
            "gcs_base_url": server.base_url, "disable_oauth": True,
            "client_email": "", "private_key": "", "private_key_id": "",
        }  # fmt: skip
        environment.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
        environment.setenv("GOOGLE_BASE_URL", server.base_url)
        await open_store("gs://bucket/a/prefix").put_new(PENDING, CONTENT)
    [request] = server.requests
    assert unquote(request).startswith(f"PUT /bucket/a/prefix/{PENDING} ")
    assert header(request, "x-goog-if-generation-match") == ["0"]


@pytest.fixture
def azure(environment):
    """Return what opens a container at a server."""

    def at(server, destination="az://container/a/prefix"):
        environment.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        environment.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
        environment.setenv("AZURE_STORAGE_ENDPOINT", server.base_url)
        return open_store(destination)

    return at


@pytest.mark.parametrize("destination", [
    "az://container/a/prefix", "abfss://container@account.dfs.core.windows.net/a/prefix",
])  # fmt: skip
async def test_azure_creates_an_object_only_if_it_does_not_exist(azure, destination):
    async with RawServer([response(b"", 'ETag: "1"')]) as server:
        await azure(server, destination).put_new(PENDING, CONTENT)
    [request] = server.requests
    assert request.startswith(f"PUT /container/a/prefix/{PENDING} ")
    assert header(request, "If-None-Match") == ["*"]


def deleted_in_azure(status):
    """Return Azure's answer to a batch with one deletion."""
    part = f"Content-ID: 0\r\n\r\nHTTP/1.1 {status}\r\nServer: Windows-Azure-Blob/1.0\r\n\r\n"
    body = f"--part\r\nContent-Type: application/http\r\n{part}\r\n--part--\r\n".encode()
    return response(body, "Content-Type: multipart/mixed; boundary=part", status="202 Accepted")


@pytest.mark.parametrize("status", ["202 Accepted", "404 The specified blob does not exist."])
async def test_azure_deletes_an_object_if_it_exists(azure, status):
    async with RawServer([deleted_in_azure(status)]) as server:
        await azure(server).delete(PENDING)


async def test_azures_refusal_to_delete_names_the_object(azure):
    async with RawServer([deleted_in_azure("403 Not allowed.")]) as server:
        with pytest.raises(StoreRefusedError, match=r"HTTP 403. Grant the credentials the rights"):
            await azure(server).delete(PENDING)
