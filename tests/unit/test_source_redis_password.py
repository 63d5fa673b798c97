import pytest

from cxai.errors import UsageError
from cxai.sources.redis_password import VARIABLE, password_in_environment, read_password


def test_the_password_is_the_content_of_the_file_without_its_last_line_break(tmp_path):
    (tmp_path / "password").write_text(" with spaces \n")
    assert read_password(tmp_path / "password").get_secret_value() == " with spaces "


def test_the_password_in_the_environment_is_optional(monkeypatch):
    monkeypatch.setenv(VARIABLE, "secret")
    assert password_in_environment().get_secret_value() == "secret"
    monkeypatch.setenv(VARIABLE, "")
    assert password_in_environment() is None


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 70_000])
def test_a_file_without_a_password_is_refused(tmp_path, content):
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(UsageError, match="is empty or too large"):
        read_password(tmp_path / "password")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match="no-file: No such file"):
        read_password(tmp_path / "no-file")
