from pathlib import Path

import pytest

from cxai.api.token import VARIABLE, read_token
from cxai.errors import UsageError

SECRET = "c4nary-T0ken_~!"  # noqa: S105 - made up


def token_of(text, tmp_path):
    path = tmp_path / "token"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_token(path)


def test_the_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)
    assert read_token(None).get_secret_value() == SECRET


def test_a_token_file_takes_precedence_over_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "another")
    assert token_of(SECRET, tmp_path).get_secret_value() == SECRET


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "  {}\t", "\n\n{}\n\n"])
def test_white_space_around_a_token_is_not_part_of_it(around, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, around.format(SECRET))
    assert read_token(None).get_secret_value() == SECRET
    assert token_of(around.format(SECRET), tmp_path).get_secret_value() == SECRET


@pytest.mark.parametrize(
    "within",
    [
        f"{SECRET}\nX-Evil: 1",
        f"{SECRET}\r\nX-Evil: 1",
        f"{SECRET}\rX",
        f"{SECRET} {SECRET}",
        f"{SECRET}\tX",
        f"{SECRET}\0",
        f"{SECRET}\x7f",
        f"{SECRET}\x1b[31m",
        f"{SECRET}\N{NO-BREAK SPACE}X",
        f"{SECRET}\N{LINE SEPARATOR}X",
        f"{SECRET}ä",
        SECRET.encode() + b"\xff",
        SECRET * 1000,
    ],
    ids=repr,
)
def test_a_token_that_would_break_a_header_is_refused_and_not_shown(within, tmp_path):
    with pytest.raises(UsageError, match="which an HTTP header may not") as raised:
        token_of(within, tmp_path)
    assert "c4nary" not in f"{raised.value!r} {raised.value.__cause__!r}"


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_empty_token_is_refused_with_how_to_set_one(value, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UsageError, match=rf"No API token.* Set {VARIABLE},.* --token-file"):
        read_token(None)
    with pytest.raises(UsageError, match=f"No API token: the token file {tmp_path}"):
        token_of(value, tmp_path)


def test_a_missing_token_is_refused(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match="No API token"):
        read_token(None)


def test_an_unreadable_token_file_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"Can't read the token file .*/none: No such file"):
        read_token(tmp_path / "none")
    with pytest.raises(UsageError, match="Is a directory"):
        read_token(tmp_path)


@pytest.mark.promise("The token in a `repr`", "does not show", group="Security")
def test_the_repr_of_a_token_hides_it(monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)
    token = read_token(None)
    assert SECRET not in f"{token} {token!r} {[token]}"


# --- the file ---


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode("utf-8-sig"),
        b"\xef\xbb\xbf" + f"\n {SECRET}\r\n".encode(),
        SECRET.encode() + b" " * 60_000,
    ],
    ids=["byte order mark", "mark and white space", "much white space"],
)
def test_a_byte_order_mark_and_line_breaks_around_a_token_are_removed(content, tmp_path):
    assert token_of(content, tmp_path).get_secret_value() == SECRET


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_a_token_file_in_utf_16_is_refused_by_name(encoding, tmp_path):
    with pytest.raises(UsageError, match="is UTF-16 or UTF-32 text") as raised:
        token_of(SECRET.encode(encoding), tmp_path)
    assert SECRET not in str(raised.value)


@pytest.mark.promise(
    "The token file is endless, such as `/dev/zero`, or large",
    "refused with code 2 after 64 KiB",
    group="Security",
)
@pytest.mark.parametrize("size", [65_537, 1_000_000, None])
def test_a_large_token_file_is_refused_after_64_kib(size, tmp_path):
    path = Path("/dev/zero")
    if size is not None:
        path = tmp_path / "large"
        path.write_bytes(b"x" * size)
    with pytest.raises(UsageError, match=f"The token file {path} is larger than 64 KiB"):
        read_token(path)
