"""The log: what each event looks like, and which are left out."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from cxai.core.events import EventStream, Level
from cxai.core.secret_str import SecretStr
from cxai.observe.logging import Log
from cxai.observe.redaction import Redaction
from cxai.policy.verdict import Verdict


class Terminal(io.StringIO):
    def isatty(self):
        return True


class WithLiveView(Terminal):
    """What rich puts in the place of a terminal while it draws there."""

    rich_proxied_file = None


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


@pytest.fixture
def logged(stderr):
    """Return a function that emits an event to a log, and returns what the log writes."""

    def write(event, *, to=None, as_json=False, level=Level.INFO, secret=None, **values):
        written, log, events = stderr(to or io.StringIO()), Log(), EventStream()
        log.configure(Redaction(secret), as_json=as_json, level=level)
        events.attach(log.see)
        events.emit(event, **values)
        return written.getvalue()

    return write


def test_a_line_is_key_value_or_json_with_time_and_level(logged):
    assert "level=info event=progress done=5\n" in logged("progress", done=5)
    line = json.loads(logged("progress", as_json=True, done=5))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {"event": "progress", "level": "info", "done": 5}


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
        (["a", None], r'"[\"a\", null]"'),
        ([{"reason": "HTTP 404", "ids": 3}], r'"[{\"reason\": \"HTTP 404\", \"ids\": 3}]"'),
    ],
)
def test_a_value_that_would_not_be_one_word_is_quoted_and_a_structure_is_json(logged, value, shown):
    line = logged("something", value=value, next=1)
    assert line.endswith(f" level=warning event=something value={shown} next=1\n")


def test_json_takes_values_of_every_type_and_keeps_to_one_line_of_ascii(logged):
    line = logged("something", as_json=True, name="naïve\n", path=Path("a"), ids=[1, None])
    assert (line.count("\n"), line.isascii()) == (1, True)
    event = json.loads(line)
    assert (event["name"], event["path"], event["ids"]) == ("naïve\n", "a", [1, None])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        ([float("inf"), 1.5], ["inf", 1.5]),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({1: {2: ...}}, {"1": {"2": "Ellipsis"}}),
    ],
)
def test_what_json_does_not_have_is_text_in_a_line_that_is_json_still(logged, value, shown):
    line = logged("something", as_json=True, value=value, share=0.5, none=None)
    event = json.loads(line, parse_constant=pytest.fail)
    assert (event["share"], event["none"], event["value"]) == (0.5, None, shown)


# --- what is left out ---


@pytest.mark.parametrize("least", Level)
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("request_done", "debug"),
        ("progress", "info"),
        ("outage_began", "warning"),
        ("run_refused", "error"),
    ],
)
def test_the_log_has_events_of_its_level_and_above(logged, least, name, level):
    is_due = list(Level).index(level) >= list(Level).index(least)
    assert (f"level={level} event={name}" in logged(name, level=least)) == is_due


def test_what_explains_an_exit_code_is_in_the_log_whatever_its_level(logged):
    assert "exit_code=4" in logged("run_finished", level=Level.ERROR, exit_code=4)
    assert logged("run_finished", level=Level.WARNING, exit_code=0) == ""


@pytest.mark.parametrize("name", ["run_started", "run_finished"])
def test_a_terminal_gets_no_line_for_what_live_view_and_report_show(logged, name):
    assert logged(name, to=Terminal(), exit_code=1) == ""
    assert f"event={name}" in logged(name)
    assert json.loads(logged(name, to=Terminal(), as_json=True))["event"] == name


def test_an_event_with_a_text_is_a_sentence_for_people_and_json_for_programs(logged):
    said = {"text": "stopping; press Ctrl-C again to quit now", "signal": "Ctrl-C"}
    assert logged("stopping", **said) == f"cxai: {said['text']}\n"
    assert logged("stopping", to=Terminal(), **said).strip("\r") == f"cxai: {said['text']}\n"
    event = json.loads(logged("stopping", as_json=True, **said))
    assert (event["reason"], event["signal"]) == (said["text"], "Ctrl-C")


def test_a_live_view_that_is_drawn_has_the_text_of_an_event_among_its_rows(logged):
    assert logged("stopping", to=WithLiveView(), text="stopping") == ""
    assert "event=outage_began" in logged("outage_began", to=WithLiveView())


def test_a_log_that_can_not_be_written_is_no_reason_to_fail(logged):
    logged("something", to=Full())


def test_the_token_is_in_no_event_and_in_no_text(logged):
    secret = SecretStr("canary-1")
    for as_json in (True, False):
        line = logged("run_refused", as_json=as_json, secret=secret, text="canary-1 is missing")
        assert "[token] is missing" in line
        assert "canary" not in line
