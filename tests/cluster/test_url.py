"""The URL of an export in PostgreSQL: its parts, and that it never holds a password."""

import pytest

from cxai.cluster.url import PASSWORD_FILE_VARIABLE, is_engine_url, parse_engine_url
from cxai.errors import UsageError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgres://h/db#e", {"host": "h", "port": "5432", "dbname": "db"}),
        ("postgresql://u@h:1/db#e", {"user": "u", "host": "h", "port": "1", "dbname": "db"}),
        ("postgres://[::1]:2/db#e", {"host": "::1", "port": "2", "dbname": "db"}),
        (
            "postgres://a%40b@h,i:2/d%20b?target_session_attrs=read-write#e",
            {
                "user": "a@b",
                "host": "h,i",
                "port": "5432,2",
                "dbname": "d b",
                "target_session_attrs": "read-write",
            },
        ),
        ("postgres:///db?host=/run/pg#e", {"host": "/run/pg", "dbname": "db"}),
        ("postgres:///db#e", {"dbname": "db"}),
    ],
)
def test_a_url_is_split_into_its_parts(text, place):
    url = parse_engine_url(text)
    assert (url.place, url.export) == (place, "e")
    assert str(url) == text
    assert parse_engine_url(str(url)) == url


def test_an_export_is_named_once_in_the_url_or_beside_it():
    named = parse_engine_url("postgres://h/db#nightly")
    assert parse_engine_url("postgres://h/db", "nightly") == named
    assert parse_engine_url("postgres://h/db#nightly", "nightly") == named
    with pytest.raises(UsageError, match="name it once"):
        parse_engine_url("postgres://h/db#nightly", "weekly")


@pytest.mark.parametrize("name", ["nightly", "a", "a_1", "x" * 41])
def test_an_export_has_a_schema_of_its_own(name):
    assert parse_engine_url(f"postgres://h/db#{name}").schema == f"cxai_{name}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://h/db#e", "named by a URL such as"),
        ("postgres://h/db", "names no export"),
        ("postgres://h/db#", "names no export"),
        ("postgres://h/db#Nightly", "can't be named 'Nightly'"),
        ("postgres://h/db#1a", "can't be named '1a'"),
        ("postgres://h/db#a-b", "can't be named 'a-b'"),
        ("postgres://h/db#a;drop", "can't be named 'a;drop'"),
        ("postgres://h/db#" + "x" * 42, "can't be named 'xxx"),
        ("postgres://h#e", "names no database"),
        ("postgres://h/#e", "names no database"),
        ("postgres://h/a/b#e", "names no database"),
        ("postgres://h:0/db#e", "no valid host and port in 'h:0'"),
        ("postgres://h:65536/db#e", "no valid host and port"),
        ("postgres://h:x/db#e", "no valid host and port"),
        ("postgres://h,/db#e", "no valid host and port in ''"),
        ("postgres://[::1/db#e", "no valid host"),
        ("postgres://h/db?options=-csearch_path=x#e", "the option 'options' which is unknown"),
        ("postgres://h/db?sslmode=a&sslmode=b#e", "the option 'sslmode' twice"),
    ],
)
def test_a_malformed_url_is_refused_with_the_reason(text, words):
    with pytest.raises(UsageError) as caught:
        parse_engine_url(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgres://u:s3cret@h/db#e",
        "postgres://u:s3cret@h#e",
        "postgres://u:@s3cret@h/db#e",
        "postgres://u:s3cret#x@h/db#e",
        "postgres://u:s3cret/x@h/db#e",
        "postgres://u:s3cret?x@h/db#e",
        "postgres://h/db?password=s3cret#e",
        "postgres://h/db?sslpassword=s3cret#e",
    ],
)
def test_a_secret_in_a_url_is_refused_and_never_quoted(text):
    with pytest.raises(UsageError) as caught:
        parse_engine_url(text)
    assert PASSWORD_FILE_VARIABLE in str(caught.value)
    assert "s3cret" not in f"{caught.value!r}{caught.value.__cause__}{caught.value.__context__}"


def test_other_sources_are_not_such_urls():
    assert is_engine_url("postgres://h/db#e")
    assert not any(map(is_engine_url, ["ids.txt", "redis://h/0/ids", "-", "postgres", "pg://h"]))


def test_a_password_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    url = parse_engine_url("postgres://h/db#e")
    assert url.password() is None
    for path, why in ((tmp_path / "no", "No such file"), (tmp_path / "bad", "not UTF-8")):
        (tmp_path / "bad").write_bytes(b"\xff")
        monkeypatch.setenv(PASSWORD_FILE_VARIABLE, str(path))
        with pytest.raises(UsageError, match=f"{PASSWORD_FILE_VARIABLE} names .*{why}"):
            url.password()
