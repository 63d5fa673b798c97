import pytest

from cxai.errors import UsageError
from cxai.sources.redis_password import VARIABLE, read_password


def test_the_password_comes_from_the_file_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "of the environment")
    assert read_password(None).get_secret_value() == "of the environment"
    (tmp_path / "password").write_text(" with spaces \n")
    assert read_password(tmp_path / "password").get_secret_value() == " with spaces "


def test_there_may_be_none(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_password(None) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 70_000])
def test_a_file_without_a_password_is_refused(tmp_path, content):
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(UsageError, match="is empty or holds more than a password"):
        read_password(tmp_path / "password")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="no-file: No such file"):
        read_password(tmp_path / "no-file")
