"""The events of a run: their names and fields, and how they reach those who see them."""

import ast
from pathlib import Path

import pytest

import cxai
from cxai.core.events import EVENTS, EventStream, Level

ROOT = Path(cxai.__file__).parent
OPTIONS = {"level", "text"}


def stream():
    events, seen = EventStream(), []
    events.attach(seen.append)
    return events, seen


def test_an_event_has_its_usual_level_unless_another_is_given():
    events, seen = stream()
    events.emit("outage_began", url="https://api.test")
    events.emit("run_finished", level=Level.ERROR, exit_code=4)
    events.emit("an_event_of_an_extension")
    assert [event.level for event in seen] == ["warning", "error", "warning"]
    assert seen[0].values == {"url": "https://api.test"}


def test_all_that_are_attached_see_an_event_until_they_are_detached():
    events, seen = stream()
    also = []
    see = also.append
    events.attach(see)
    events.emit("run_started")
    events.detach(see)
    events.emit("run_finished")
    assert [event.name for event in seen] == ["run_started", "run_finished"]
    assert [event.name for event in also] == ["run_started"]


def test_what_is_emitted_early_is_kept_within_bounds_for_the_first_that_is_attached():
    events, seen, late = EventStream(), [], []
    for number in range(150):
        events.emit("queue_unreachable", queue=number)
    events.attach(seen.append)
    events.attach(late.append)
    assert [event.values["queue"] for event in seen] == list(range(50, 150))
    assert late == []


def emitted():
    """Yield the name and the fields of each event that the package emits, and where."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=func, args=[ast.Constant(str(name))], keywords=[*keywords]):
                    called = getattr(func, "attr", getattr(func, "id", "")).strip("_")
                    if called in {"emit", "notice", "info", "warning", "fail"}:
                        yield name, {word.arg for word in keywords if word.arg}, path.name
                case ast.Call(func=ast.Name("fail"), args=[ast.Constant(str(name)), *_]):
                    yield name, {word.arg for word in node.keywords if word.arg}, path.name


def test_the_table_has_every_event_with_its_fields_and_no_other():
    found = list(emitted())
    for name, fields, where in found:
        assert name in EVENTS, f"{where} emits {name}"
        assert fields - OPTIONS <= EVENTS[name].fields, f"{where} emits {name}"
    assert {name for name, _, _ in found} == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_a_name_is_stable_in_one_spelling(name):
    assert name.replace("_", "").isalpha()
    assert name.islower()


def test_only_the_observers_and_the_command_line_use_the_log_of_the_process():
    rooms = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.rglob("*.py")
        if "import LOG" in path.read_text(encoding="utf-8")
    }
    assert rooms == {"cli"}
