"""The log: levels, and the event with which a command ends."""

import io
import json
import sys
from pathlib import Path

import pytest

from cxai.core.secret_str import SecretStr
from cxai.observe.logging import Log
from cxai.observe.redaction import Redaction
from cxai.policy.verdict import Verdict


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Full(io.StringIO):
    def write(self, *_text):
        raise OSError(28, "No space left on device")

    flush = write


@pytest.fixture
def stderr(monkeypatch):
    """Return a function that puts a stream in the place of standard error."""

    def put(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


def configured(*, as_json=False, secret=None):
    log = Log()
    log.configure(Redaction(secret), as_json=as_json)
    return log


@pytest.mark.parametrize(
    ("code", "level"), [(0, "info"), (1, "error"), (4, "error"), (70, "error")]
)
def test_an_end_is_an_error_unless_its_exit_code_is_0(stderr, code, level):
    to = stderr(io.StringIO())
    configured(as_json=True).end("run_finished", exit_code=code, reason="why")
    event = json.loads(to.getvalue())
    assert (event["event"], event["level"], event["exit_code"]) == ("run_finished", level, code)
    assert event["reason"] == "why"


def test_a_log_that_no_command_has_configured_is_silent(stderr):
    to, log = stderr(io.StringIO()), Log()
    log.info("progress")
    log.error("something", why="of whatever kind")
    log.end("run_finished", exit_code=1)
    assert to.getvalue() == ""


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_each_event_has_its_level(stderr, level):
    to = stderr(io.StringIO())
    getattr(configured(), level)("something", value=1)
    assert f"level={level} event=something value=1" in to.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.25, "0.25"),
        (None, ""),
        (True, "true"),
        (Verdict.OK, "ok"),
        (Path("/tmp/a"), "/tmp/a"),  # noqa: S108 - nothing is written there
        ("C:\\ids", "C:\\ids"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "so"', r'"say \"so\""'),
        ("one\ntwo\x1b[2J", r'"one\ntwo\u001b[2J"'),
        ("naïve", "naïve"),
        ("\x9b2J\x85\u2028\x7f", r'"\u009b2J\u0085\u2028\u007f"'),
    ],
)
def test_a_value_that_would_not_be_one_word_is_quoted(stderr, value, shown):
    to = stderr(io.StringIO())
    configured().info("something", value=value, next=1)
    assert to.getvalue().endswith(f" level=info event=something value={shown} next=1\n")


def test_json_takes_values_of_every_type_and_keeps_to_one_line_of_ascii(stderr):
    to = stderr(io.StringIO())
    configured(as_json=True).info("something", name="naïve\n", path=Path("a"), ids=[1, None])
    line = to.getvalue()
    assert (line.count("\n"), line.isascii()) == (1, True)
    event = json.loads(line)
    assert (event["name"], event["path"], event["ids"]) == ("naïve\n", repr(Path("a")), [1, None])


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {(1, 2): 3}, {1: {2: ...}}])
def test_what_json_does_not_have_is_text_in_a_line_that_is_json_still(stderr, value):
    to = stderr(io.StringIO())
    configured(as_json=True).info("something", value=value, share=0.5, none=None)
    event = json.loads(to.getvalue(), parse_constant=pytest.fail)
    assert (event["share"], event["none"]) == (0.5, None)
    assert event["value"] == repr(value) or {int(key): ... for key in event["value"]} == {1: ...}


def test_the_end_is_no_event_on_a_terminal_unless_programs_read_it(stderr):
    to = stderr(Terminal())
    configured().end("run_finished", exit_code=1)
    assert to.getvalue() == ""
    configured(as_json=True).end("run_finished", exit_code=1)
    assert json.loads(to.getvalue())["exit_code"] == 1


def test_before_it_is_known_how_the_log_is_to_look_there_is_no_event(stderr):
    to = stderr(io.StringIO())
    Log().end("run_refused", exit_code=2)
    assert to.getvalue() == ""


def test_a_log_that_can_not_be_written_is_no_reason_to_fail(stderr):
    stderr(Full())
    configured().error("something")


def test_the_token_is_in_no_event_and_in_no_redacted_text(stderr):
    to = stderr(io.StringIO())
    log = configured(as_json=True, secret=SecretStr("canary-1"))
    log.end("run_refused", exit_code=2, reason="canary-1 is no file")
    assert "canary" not in to.getvalue() + log.redacted("no such file: canary-1")
