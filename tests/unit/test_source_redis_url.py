import socket

import pytest

from cxai.errors import UsageError
from cxai.sources.redis_url import stream_address


def refusal(url):
    with pytest.raises(UsageError) as raised:
        stream_address(url)
    return str(raised.value)


def test_a_url_contains_server_database_and_stream():
    address = stream_address("redis://host/2/ids")
    assert (address.host, address.port, address.database, address.stream) == (
        "host",
        6379,
        2,
        "ids",
    )
    assert (address.group, address.consumer) == ("cxai", socket.gethostname())
    assert (address.user, address.is_tls, address.claim_after_s) == (None, False, 60.0)
    assert address.name == "redis://host/2/ids"


def test_a_url_may_contain_group_consumer_and_options(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    address = stream_address(
        f"rediss://reader@[::1]:7000/0/a/b%20c?group=g&consumer=c&claim_after=5"
        f"&ca_file={tmp_path}/ca.pem"
    )
    assert (address.host, address.port, address.stream) == ("::1", 7000, "a/b c")
    assert (address.group, address.consumer, address.claim_after_s) == ("g", "c", 5.0)
    assert (address.user, address.is_tls) == ("reader", True)
    assert address.name == "rediss://[::1]:7000/0/a/b%20c"


@pytest.mark.promise(
    "A password in the URL of a queue",
    "refused and not shown; it belongs in the environment or a file",
    group="Security",
)
@pytest.mark.parametrize("login", ["user:s3cret", ":s3cret", "user:"])
def test_a_password_in_the_url_is_refused_and_not_shown(login):
    said = refusal(f"redis://{login}@host/0/ids")
    assert "contains a password" in said
    assert "CXAI_REDIS_PASSWORD" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("query", ["password=s3cret", "s3cret", "group=", "group=a&group=b"])
def test_an_invalid_option_is_refused_and_its_text_not_shown(query):
    said = refusal(f"redis://host/0/ids?{query}")
    assert "Allowed are group" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "url",
    ["redis://host", "redis://host/0", "redis://host/ids", "redis://host/0/", "redis:///0/ids",
     "redis://host/-1/ids", "redis://host/0/ids#2", "redis://host/٣/ids"],
)  # fmt: skip
def test_a_url_without_a_stream_is_refused_with_an_example(url):
    assert "Use redis://host/0/ids" in refusal(url)


@pytest.mark.parametrize(
    "url",
    ["redis://host/0/%ff", "redis://host/0/ids?group=%ff", "redis://%ff@host/0/ids",
     "redis://host/0/\udcff"],
)  # fmt: skip
def test_a_name_that_is_not_utf_8_is_refused(url):
    assert "not UTF-8" in refusal(url)


@pytest.mark.parametrize("url", ["redis://host:port/0/ids", "redis://[::1/0/ids"])
def test_an_invalid_host_or_port_is_refused(url):
    assert "no valid host or port" in refusal(url)


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "1e9"])
def test_claim_after_is_seconds(seconds):
    assert "claim_after must be 1 to 86,400 seconds" in refusal(
        f"redis://host/0/ids?claim_after={seconds}"
    )


def test_a_ca_file_must_exist_and_is_for_tls_only(tmp_path):
    assert "is not a file" in refusal(f"rediss://host/0/ids?ca_file={tmp_path}/none")
    assert "for rediss://" in refusal("redis://host/0/ids?ca_file=ca.pem")
