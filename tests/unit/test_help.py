"""Help: each page agrees with the definition of the settings, and with what the command takes."""

import os
import pty
import re
import shlex
import subprocess
import termios
from dataclasses import fields

import pytest
from support.command import cxai_argv, environment
from support.in_process import cxai_here

from cxai.cli.main import app
from cxai.cli.options import SettingOption
from cxai.cli.schema import DIALECTS, SETS
from cxai.resources.cx_ai.layout import PART_SETS
from cxai.resources.cx_ai.schema import Dialect
from cxai.settings import Settings
from cxai.settings.choices import Switch
from cxai.settings.settings import WORKERS
from cxai.simulator import Scenario

SETTINGS = {setting.name: setting for setting in Settings.definitions()}


def commands(group=app, *names):
    """Yield the names of each command, and the command."""
    yield names, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *names, name)


COMMANDS = dict(commands())
each_command = pytest.mark.parametrize("names", COMMANDS, ids=" ".join)


@pytest.fixture
def page(capsys):
    """Return a function that returns the help of a command, at a width of the terminal."""

    def page(names, *, option="--help", columns=100):
        ended = cxai_here(capsys, *names, option, COLUMNS=str(columns))
        assert (ended.code or 0, ended.err) == (0, "")
        return ended.out

    return page


OWN_DEFAULTS = {("demo", "rate"): "40"}


def words(text):
    return " ".join(text.split())


def line_of(setting, default=None):
    """Return what a page has to show of a setting."""
    if isinstance(setting.kind, Switch):
        name = f"--[no-]{setting.option.removeprefix('--')}"
        return f"{name} {setting.help} [default: {'on' if setting.default else 'off'}]"
    value = setting.kind.metavar
    value = f"[{value}]" if "|" in value else value
    return f"{setting.option} {value} {setting.help} [default: {default or setting.default_text}]"


@each_command
def test_each_setting_is_shown_as_it_is_defined(page, names):
    text = words(page(names, option="--help-all" if takes_advanced(names) else "--help"))
    for setting in settings_of(names):
        assert line_of(setting, OWN_DEFAULTS.get((*names, setting.name))) in text


def settings_of(names):
    return [SETTINGS[one.name] for one in COMMANDS[names].params if isinstance(one, SettingOption)]


def takes_advanced(names):
    return any(setting.advanced for setting in settings_of(names))


@each_command
def test_what_few_users_need_is_on_the_long_page_only(page, names):
    text = page(names)
    for setting in settings_of(names):
        assert (f"{setting.option} " in text or f"{setting.option[2:]} " in text) is not (
            setting.advanced
        )
    assert ("--help-all" in text) is takes_advanced(names)


def test_a_run_takes_every_setting_but_those_that_all_workers_share():
    own = {name for name, setting in SETTINGS.items() if setting.group != WORKERS}
    assert {setting.name for setting in settings_of(("run",))} == own


def test_each_setting_is_an_option_of_some_command():
    assert {one.name for names in COMMANDS for one in settings_of(names)} == SETTINGS.keys()


@each_command
def test_each_option_has_a_description_and_each_value_a_name(names):
    for one in COMMANDS[names].params:
        if not getattr(one, "hidden", False):
            assert one.help.endswith("."), one.name
            assert getattr(one, "is_flag", False) or one.metavar, one.name


@each_command
def test_no_page_has_a_type_of_python(page, names):
    text = page(names, option="--help-all" if takes_advanced(names) else "--help")
    types = r"<\w+>|\b(INTEGER|FLOAT|BOOLEAN|PATH|UUID|None|True|False|str|int|float|bool)\b|\w+\["
    assert not re.search(types, text)


@each_command
@pytest.mark.parametrize("columns", [40, 80])
def test_a_page_is_no_wider_than_the_terminal_but_for_its_examples(page, names, columns):
    text = page(names, columns=columns)
    examples = {f"  {line}" for line in COMMANDS[names].examples}
    too_wide = [line for line in text.splitlines() if len(line) > columns and line not in examples]
    # What can't be wrapped is one word, or an option and its value.
    assert [line for line in too_wide if len(line.split()) > 2] == []


@each_command
def test_each_example_is_one_that_the_command_takes(names):
    assert COMMANDS[names].examples
    for example in COMMANDS[names].examples:
        (line,) = re.findall(r"\bcxai ((?:[^|>)#]|#(?=\w))*)", example)
        assert takes(shlex.split(line)), example


def takes(arguments):
    """Whether the command line is one that `cxai` takes. Raises what it would refuse."""
    command, name, left = app, "cxai", arguments
    while hasattr(command, "commands") and left:
        name, *left = left
        command = command.commands[name]
    if {"--help", "--list"} & {*left}:
        return True
    return command.make_context(name, list(left)) is not None


def test_former_names_are_taken_but_not_shown(page):
    context = COMMANDS["run",].make_context("run", ["--patience", "5m", "--retry", "not_found"])
    assert (context.params["patience_s"], context.params["retry"]) == ("5m", "not_found")
    text = page(("run",), option="--help-all")
    assert not re.search(r"--(patience|retry)\b(?!-)", text)


@pytest.mark.parametrize("names", [(), ("cluster",)])
def test_without_a_command_the_help_is_shown_but_nothing_was_done(capsys, page, names):
    ended = cxai_here(capsys, *names, COLUMNS="100")
    assert (ended.code, ended.out, ended.err) == (2, page(names), "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_either_name_of_help_will_do(page, option):
    assert page(("run",), option=option) == page(("run",))


def test_the_defaults_of_a_simulator_are_those_of_its_scenario(page):
    text = words(page(("simulate",)))
    plain = Scenario()
    for one in COMMANDS["simulate",].params:
        if one.name in {field.name for field in fields(Scenario)}:
            value, shown = getattr(plain, one.name), one.default_text
            expected = {None: ("no limit", "never")}.get(value) or (
                f"{value:.0%}", f"{value:g}s", f"{value:g}s, no outages", f"{value:g}"
            )  # fmt: skip
            assert shown in expected
            assert f"{one.opts[0]} {one.metavar} {one.help} [default: {shown}]" in text


def test_the_choices_of_a_schema_are_all_sets_and_all_dialects():
    assert {*SETS.choices} == {name for sets in PART_SETS.values() for name in sets}
    assert {*DIALECTS.choices} == {*Dialect}


def test_a_page_is_as_wide_as_a_real_terminal():
    terminal, stdout = pty.openpty()
    termios.tcsetwinsize(stdout, (24, 40))
    env = environment()
    del env["COLUMNS"]
    subprocess.run(cxai_argv("status", "--help"), stdout=stdout, env=env, check=True)
    os.close(stdout)
    with open(terminal, "rb", buffering=0) as shown:  # noqa: PTH123 - a descriptor
        lines = shown.read(10_000).decode().splitlines()
    assert "      postgres://USER@HOST/DATABASE#NAME" in lines


@pytest.mark.parametrize(
    ("options", "value", "origin"),
    [
        ([], "true", "CXAI_BURST"),
        (["--no-burst"], "false", "--burst"),
        (["--burst"], "true", "--burst"),
    ],
)
def test_a_switch_may_be_set_either_way_and_counts_only_if_it_is_given(
    capsys, options, value, origin
):
    ended = cxai_here(capsys, "config", "show", *options, CXAI_BURST="true")
    assert f"\nburst = {value}  # {origin}\n" in ended.out
