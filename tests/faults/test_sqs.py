"""SQS queues: refusals, outages and redelivery, with a real server."""

import os
from contextlib import aclosing

import orjson
import pytest
from support.queues import Noticed, events, ids_of, opened, taken
from support.raw_server import Ending, RawServer, response
from support.serving import serving
from support.waiting import wait_until

from cxai.errors import InputBrokenError, UsageError

pytestmark = pytest.mark.long(20)


async def test_a_fifo_queue_of_another_account_and_region_is_read(sqs, ids, monkeypatch):
    url = sqs.queue(suffix=".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    sqs.send(url, *ids, MessageGroupId="night")
    monkeypatch.delenv("AWS_REGION")
    name = f"sqs://123456789012/{url.rpartition('/')[2]}?region=eu-central-1"
    assert ids_of(await taken(name)) == ids
    assert sqs.left(url) == 0


async def test_a_queue_without_a_region_is_refused_with_how_to_set_it(sqs, monkeypatch):
    assert sqs
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(UsageError, match="Set AWS_REGION, or add it to the URL"):
        await taken("sqs://ids")


async def test_a_queue_without_credentials_is_refused_with_how_to_set_them(sqs, monkeypatch):
    url = sqs.queue()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match="no AWS credentials were found"):
        await taken(sqs.name_of(url))


def answer(status, code):
    body = orjson.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "No."})
    json = "Content-Type: application/x-amz-json-1.0"
    return [response(body, json, status=f"{status} No"), Ending.CLOSE]


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (
            403,
            "AccessDeniedException",
            "access is denied: No. The role or user needs sqs:GetQ",
        ),
        (403, "InvalidClientTokenId", "the credentials were refused: InvalidClientTokenId"),
        (403, "ExpiredTokenException", "the credentials were refused: ExpiredTokenException"),
        (400, "QueueDoesNotExist", "there is no such queue"),
        (400, "KmsDisabled", "service error: KmsDisabled: No."),
    ],
)
async def test_a_refusal_of_sqs_is_shown_with_what_to_do(sqs, monkeypatch, status, code, why):
    assert sqs
    with serving(RawServer(answer(status, code))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        with pytest.raises(UsageError) as raised:
            async with opened("sqs://ids"):
                pass
    assert why in str(raised.value)


@pytest.mark.parametrize("trouble", [(503, "ServiceUnavailable"), (400, "ThrottlingException")])
async def test_an_outage_of_sqs_is_retried(sqs, monkeypatch, ids, trouble):
    url, noticed = sqs.queue(), Noticed()
    sqs.send(url, *ids)
    with serving(RawServer(answer(*trouble))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.base_url)
        async with opened(sqs.name_of(url), emit=noticed, patience_s=0.1) as source:
            assert events(noticed) == ["queue_unreachable"]
            with pytest.raises(InputBrokenError, match="was unreachable for"):
                await anext(source.batches())
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS")
    assert sorted(ids_of(await taken(sqs.name_of(url)))) == sorted(ids)


JSON = "Content-Type: application/x-amz-json-1.0"


@pytest.mark.promise(
    "A proxy replies 200 in place of SQS, with its own page or with other JSON",
    "an outage that is retried, never an empty queue",
    group="Queues",
)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Sign in</html>", "Content-Type: text/html"),
        (b"", JSON),
        (b"{}", JSON),
        (b"[]", JSON),
        (b"null", JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": [{}]}', JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": 5}', JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids"}', "Content-Type: text/html"),
    ],
)
async def test_a_reply_that_is_not_from_sqs_is_an_outage(sqs, monkeypatch, body, content_type):
    assert sqs
    with serving(RawServer([response(body, content_type), Ending.CLOSE])) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        with pytest.raises(InputBrokenError, match="the endpoint's reply is not from SQS"):
            await taken("sqs://ids", patience_s=0.1)


async def test_a_body_that_is_not_text_is_an_invalid_entry(sqs, monkeypatch):
    assert sqs
    message = rb'{"MessageId": "1", "ReceiptHandle": "h", "Body": "\ud800"}'
    body = b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": [%s]}' % message
    with serving(RawServer([response(body, JSON), Ending.CLOSE])) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        async with opened("sqs://ids") as source, aclosing(source.batches()) as batches:
            (entry,) = await anext(batches)
    assert "not UTF-8" in str(entry.invalid)


async def test_a_queue_deleted_while_it_is_read_breaks_the_input(sqs, ids):
    url = sqs.queue()
    sqs.send(url, *ids)
    async with opened(sqs.name_of(url)) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        sqs.delete(url)
        with pytest.raises(InputBrokenError, match="If the queue was deleted, its messages"):
            await anext(batches)


@pytest.mark.promise(
    "A worker dies with messages of SQS that it has not deleted",
    "they are redelivered after the visibility timeout, and a run does not end before",
    group="Crash",
)
async def test_messages_hidden_by_a_dead_worker_are_redelivered_before_the_end(sqs, ids):
    url = sqs.queue(VisibilityTimeout="2")
    sqs.send(url, *ids[:10])
    async with opened(sqs.name_of(url)) as source, aclosing(source.batches()) as batches:
        await anext(batches)  # then this consumer is gone
    assert sorted(ids_of(await taken(sqs.name_of(url)))) == sorted(ids[:10])
    assert sqs.left(url) == 0


async def test_a_redelivered_message_is_the_same_entry(sqs, ids):
    url = sqs.queue(VisibilityTimeout="1")
    sqs.send(url, ids[0], "?")
    first, second = [], []
    name = sqs.name_of(url)
    async with opened(name, until_idle_s=None) as source, aclosing(source.batches()) as batches:
        while len(first) < 2:
            first += await anext(batches)
        while len(second) < 2:
            second += await anext(batches)
        await source.acknowledge([*first, *second])
    assert {entry.key for entry in first} == {entry.key for entry in second}
    await wait_until(lambda: sqs.left(url) == 0, "the queue to be empty")
