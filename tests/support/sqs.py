"""Queues of SQS at the endpoint of support/moto_server.py."""

import uuid
from functools import cache

from support.moto_server import ANY_CREDENTIALS

_REGION = "eu-central-1"


class SqsServer:
    """Creates and fills queues, with a separate client."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self._client = _client(endpoint)

    @property
    def environment(self):
        """What a process needs to find the queues."""
        return {**ANY_CREDENTIALS, "AWS_REGION": _REGION, "AWS_ENDPOINT_URL": self.endpoint}

    def queue(self, *, suffix="", **attributes):
        """Make a queue that no other test has; return its URL."""
        name = f"ids-{uuid.uuid4().hex}{suffix}"
        made = self._client.create_queue(QueueName=name, Attributes=attributes)
        return made["QueueUrl"]

    @staticmethod
    def name_of(url):
        """Return what `cxai run` is given."""
        return f"sqs://{url.rpartition('/')[2]}"

    def send(self, url, *payloads, **more):
        for start in range(0, len(payloads), 10):
            entries = [
                {"Id": str(number), "MessageBody": payload, **more}
                for number, payload in enumerate(payloads[start : start + 10])
            ]
            sent = self._client.send_message_batch(QueueUrl=url, Entries=entries)
            assert not sent.get("Failed")

    def delete(self, url):
        self._client.delete_queue(QueueUrl=url)

    def left(self, url):
        """Return how many messages are left, whether anyone has them just now or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(map(int, found["Attributes"].values()))


@cache
def _client(endpoint):
    import boto3  # noqa: PLC0415 - takes longer than most tests

    return boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name=_REGION,
        aws_access_key_id=ANY_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ANY_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
