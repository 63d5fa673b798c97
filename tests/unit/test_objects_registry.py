"""Destinations: which are valid, which are refused, and that no secret is shown."""

import sys
from pathlib import Path

import pytest

from cxai.errors import UsageError
from cxai.objects.cloud_stores import address_of
from cxai.objects.port import deadline_s
from cxai.objects.registry import open_store

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"  # noqa: S105 - made up


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return monkeypatch


def test_a_path_is_a_volume_and_opening_it_does_nothing(tmp_path, environment):
    environment.chdir(tmp_path)
    environment.setenv("HOME", str(tmp_path / "home"))
    assert open_store("there/place").location == str(tmp_path / "there" / "place")
    assert open_store("~/place").location == str(tmp_path / "home" / "place")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("destination", "bucket", "prefix", "account"), [
    ("s3://bucket", "bucket", "", None),
    ("s3://bucket/", "bucket", "", None),
    (" s3://my.bucket-1/a/dt=2026-01-01/b c/ ", "my.bucket-1", "a/dt=2026-01-01/b c", None),
    ("gs://my_bucket/a", "my_bucket", "a", None),
    ("az://container/a", "container", "a", None),
    ("abfss://data@acme.dfs.core.windows.net/a/b", "data", "a/b", "acme"),
])  # fmt: skip
def test_a_url_is_parsed(destination, bucket, prefix, account):
    address = address_of(destination)
    assert (address.bucket, address.prefix, address.account) == (bucket, prefix, account)
    assert address.url == destination.strip().rstrip("/")


@pytest.mark.parametrize("destination", [
    "s3://", "s3:/bucket/a", "s3:///a", "s3://Bucket", "s3://bucket?region=x", "s3://bucket/a#b",
    "s3://bucket//a", "s3://bucket/a//b", "s3://bucket/a/../b", "s3://bucket/./a", "s3://b\u00fc/a",
    "s3://bucket/a%2Fb", "s3://bucket:9000/a", "gs://bucket/a*", "az://c\n/a",
    "abfss://container/a", "abfss://container@acme.example.com/a",
    "abfss://container:key@acme.dfs.core.windows.net/a",
])  # fmt: skip
def test_a_malformed_url_is_refused_with_the_right_form(destination):
    scheme = destination.partition(":")[0]
    with pytest.raises(UsageError, match=f"not of the form {scheme}://[a-z@./]+/prefix"):
        open_store(destination)


@pytest.mark.parametrize("destination", [
    "hdfs://host/a", "https://bucket.s3.amazonaws.com/a", "s3a://bucket/a", "file:///a", "'gcs://b/a'",
    "user@host:a",
])  # fmt: skip
def test_an_unknown_scheme_is_refused_and_the_known_ones_named(destination):
    with pytest.raises(UsageError, match=r"only local paths, s3://, gs://, az:// and abfss:// are"):
        open_store(destination)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "https", "hdfs"])
def test_credentials_in_a_url_are_refused_and_not_shown(scheme):
    with pytest.raises(UsageError, match="contains a user name or a password") as raised:
        open_store(f"{scheme}://AKIAIOSFODNN7EXAMPLE:{SECRET}@bucket/a")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
def test_results_are_sent_in_clear_text_only_if_allowed(environment, variable):
    environment.setenv(variable, "http://minio.example.com:9000")
    with pytest.raises(UsageError, match=f"{variable} would send the results in clear text"):
        open_store("s3://bucket/a")
    environment.setenv("AWS_ALLOW_HTTP", "true")
    open_store("s3://bucket/a")
    environment.delenv("AWS_ALLOW_HTTP")
    for endpoint in ("https://minio.example.com", "http://localhost:9000", "http://[::1]:9000"):
        environment.setenv(variable, endpoint)
        assert open_store("s3://bucket/a").location == "s3://bucket/a"


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "ftp://minio", "https:///a", "https://u:p@minio"]
)
def test_a_malformed_endpoint_is_refused_and_not_shown(environment, endpoint):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL is not of the form") as raised:
        open_store("s3://bucket/a")
    assert endpoint not in str(raised.value)


def test_incomplete_credentials_are_refused_before_anything_is_sent(environment):
    environment.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(
        UsageError, match="s3://bucket/a can't be used: Missing AccessKeyId"
    ) as raised:
        open_store("s3://bucket/a")
    assert SECRET not in str(raised.value)


def test_azure_without_an_account_is_refused(environment):
    environment.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(UsageError, match="az://container/a can't be used: Account must be spec"):
        open_store("az://container/a")


def test_an_invalid_key_file_of_google_is_refused_and_not_shown(environment):
    environment.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", f'{{"private_key": ["{SECRET}"]}}')
    with pytest.raises(UsageError, match="gs://bucket/a can't be used: ") as raised:
        open_store("gs://bucket/a")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "abfss"])
def test_without_its_package_a_cloud_is_refused_with_the_install_command(environment, scheme):
    for name in [one for one in sys.modules if one.startswith(("obstore", "cxai.objects.cloud"))]:
        environment.delitem(sys.modules, name)
    environment.setitem(sys.modules, "obstore", None)
    with pytest.raises(UsageError, match=r'pip install "cxai-worker\[cluster\]"'):
        open_store(f"{scheme}://bucket/a")
    assert open_store("place").location == str(Path.cwd() / "place")  # which needs none


def test_a_store_shows_no_secret():
    store = open_store("s3://bucket/a")
    assert SECRET not in f"{store!r} {vars(store)!r} {store.location}"


def test_a_large_object_has_time_for_a_slow_connection():
    assert deadline_s(0) == 30
    assert deadline_s(64 << 20) == 30 + 128
