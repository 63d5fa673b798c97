"""Mistakes on the command line: what is wrong, which word was probably meant, and exit code 2."""

import json

import pytest
from support.command import TOKEN, cxai, environment
from support.in_process import cxai_here

from cxai.settings.numbers import Count, Share

MISTAKES = [
    (["rum"], "There is no command 'rum'. Did you mean run?", "cxai"),
    (["cluster", "intit"], "There is no command 'intit'. Did you mean init?", "cxai cluster"),
    (["qqq"], "There is no command 'qqq'.", "cxai"),
    (["run", "--ratee", "5"], "There is no option '--ratee'. Did you mean --rate?", "cxai run"),
    (["run", "--batchh=5"], "There is no option '--batchh'. Did you mean --batch?", "cxai run"),
    (["run", "-x"], "There is no option '-x'.", "cxai run"),
    (["--no-such"], "There is no option '--no-such'.", "cxai"),
    (["run", "ids.txt", "--rate"], "Option '--rate' requires an argument.", "cxai run"),
    (["status", "export", "--json=yes"], "Option '--json' does not take a value.", "cxai status"),
    (["prune"], "Argument DIR is missing.", "cxai prune"),
    (["enqueue", "ids.txt"], "Option --to URL is missing.", "cxai enqueue"),
    (["schema", "scores", "more"], "Got unexpected extra argument (more)", "cxai schema"),
    (
        ["demo", "--ids", "none"],
        f"--ids: 'none' is not valid: expected {Count('IDs', 1).allowed}",
        "cxai demo",
    ),
    (
        ["simulate", "--missing", "1.5"],
        f"--missing: '1.5' is not valid: expected {Share().allowed}",
        "cxai simulate",
    ),
    (
        ["completion", "tcsh"],
        "SHELL: 'tcsh' is not valid: expected one of bash, zsh, fish",
        "cxai completion",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "problem", "command"), MISTAKES, ids=str)
def test_a_mistake_is_named_with_what_was_meant(capsys, arguments, problem, command):
    ended = cxai_here(capsys, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(f"cxai: {problem}\nSee `{command} --help`.\n")


def test_all_settings_that_can_not_be_used_are_named_with_their_values(capsys, tmp_path):
    options = ["--rate", "fast", "--shape", "round", "--grace", "-1", "--max-failed", "150%"]
    ended = cxai_here(capsys, "run", "ids.txt", "-o", tmp_path / "export", *options)
    assert ended.code == 2
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert f"  {option}: '{value}' is not valid: expected " in ended.err
    assert not (tmp_path / "export").exists()


def test_a_value_may_have_a_unit(capsys, tmp_path):
    options = ["--grace", "2m", "--max-failed", "5%", "--part-bytes", "8 MiB", "--patience", "1h"]
    ended = cxai_here(capsys, "run", tmp_path / "none.txt", "-o", tmp_path / "export", *options)
    assert "none.txt can't be read" in ended.err


def test_a_former_name_is_taken_with_one_warning_that_names_the_new_one(tmp_path):
    run = ["run", tmp_path / "none.txt", "-o", tmp_path / "export", "--patience", "5m"]
    for_people = cxai(*run)
    for_programs = cxai(*run, env=environment(CXAI_LOG_FORMAT="json"))
    renamed = "--patience is now called --not-ready-timeout."
    assert for_people.err.count(renamed) == 1
    event, _ = map(json.loads, for_programs.err.splitlines())
    assert (event["event"], event["level"], event["reason"]) == (
        "setting_renamed", "warning", renamed,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["rum"], ["run", "--ratee", "5"], ["demo", "--ids", "0"]])
def test_a_mistake_is_an_event_where_the_log_is_json(arguments):
    ended = cxai(*arguments, env=environment(CXAI_LOG_FORMAT="json"))
    event = json.loads(ended.err)
    assert (event["event"], event["level"], event["exit_code"]) == ("run_refused", "error", 2)
    assert "--help`" in event["reason"]


@pytest.mark.parametrize("place", ["option", "file"])
def test_settings_that_can_not_be_used_are_an_event_where_another_makes_the_log_json(
    capsys, tmp_path, place
):
    file = tmp_path / "cxai.toml"
    file.write_text('log_format = "json"\n')
    how = ["--log-format", "json"] if place == "option" else ["--config", file]
    ended = cxai_here(capsys, "run", "ids.txt", "-o", tmp_path / "export", "--rate", "x", *how)
    event = json.loads(ended.err)
    assert (event["event"], event["exit_code"]) == ("run_refused", 2)
    assert "--rate: 'x' is not valid" in event["reason"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--log-format", "json"],
        ["-o", "export", "--log-format=json", "--ratee", "5"],
        ["-o", "export", "--rate", "0", "--log-format", "json"],
        ["-o", "export", "--rate", "0", "--config", "settings.toml"],
    ],
)
def test_a_mistake_is_json_whichever_way_the_log_was_made_json(arguments, tmp_path):
    (tmp_path / "settings.toml").write_text('log_format = "json"\n')
    ended = cxai("run", "ids.txt", *arguments, cwd=tmp_path)
    event = json.loads(ended.err)
    assert (event["event"], event["level"], event["exit_code"]) == ("run_refused", "error", 2)


def test_an_option_decides_the_format_of_a_mistake_before_the_variable():
    made_json = environment(CXAI_LOG_FORMAT="json")
    ended = cxai("run", "--log-format", "json", "--log-format", "logfmt", env=made_json)
    assert ended.err.startswith("cxai: Option --output DIR is missing")


@pytest.mark.parametrize("arguments", [[TOKEN], ["run", f"--{TOKEN}"], ["demo", "--ids", TOKEN]])
def test_a_token_that_was_pasted_into_the_command_line_is_not_repeated(arguments):
    ended = cxai(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cxai: ")
    assert TOKEN not in ended.err


@pytest.mark.parametrize("before", [[], ["--patience", "5m"]])
def test_a_token_that_was_given_as_the_name_of_its_file_is_not_repeated(capsys, tmp_path, before):
    run = ["run", "ids.txt", "-o", tmp_path / "export", *before, "--token-file", TOKEN]
    ended = cxai_here(capsys, *run)
    assert ended.code == 2
    assert "Can't read the token file [token]" in ended.err
    assert TOKEN not in ended.err


PASSWORDS = ["c4nary", "c4/nary", "c4@nary", "c4?n#ary"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "ids.txt", "-o", "postgres://me:{}@host/db#x"],
        ["prune", "postgres://me:{}@host/db#x"],
        ["run", "ids.txt", "-o", "s3://me:{}@bucket/x"],
        ["status", "https://me:{}@host/x"],
        ["config", "show", "-c", "s3://me:{}@bucket/x.toml"],
        ["config", "show", "--token-file", "s3://me:{}@bucket/x"],
        ["run", "postgre://me:{}@host/db#x", "-o", "export"],
    ],
)
def test_a_password_in_a_url_is_not_repeated(capsys, arguments, password):
    ended = cxai_here(capsys, *(argument.format(password) for argument in arguments))
    assert (ended.code, ended.out) == (2, "")
    assert "c4" not in ended.err
    assert "ary" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "ids.txt"], "Option --output DIR is missing"),
        (["run", "ids.txt", "-o", "export", "-q", "-v"], "--quiet and --verbose contradict"),
        (["run", "ids.txt", "-o", "export", "--until-settled"], "for an export that workers share"),
        (["run", "ids.txt", "-o", "export", "--proxy", "http://me:pw@host:1"], "Set CXAI_PROXY"),
        (["config", "show", "--proxy", "http://me:pw@host:1"], "Set CXAI_PROXY"),
        (["run", "ids.txt", "-o", "postgres://me@host/db#x"], "not a directory"),
        (["run", "ids.txt", "postgres://me@host/db#x"], "name its URL alone"),
        (["run", "postgres://me@host/db#x", "-o", "export"], "Leave --output out"),
        (["run", "postgres://me@host/db#x", "--force"], "--force has no use at a shared export"),
        (["run", "postgres://me@host/db#x", "--column", "1"], "--column has no use"),
        (["verify", "export", "--column", "1"], "describe an input"),
        (["enqueue", "--to", "postgres://me@host/db#x"], "SOURCE is missing"),
        (["schema", "--shape", "tables"], "--shape needs --ddl"),
    ],
)
def test_what_does_not_go_together_is_refused(capsys, arguments, problem):
    ended = cxai_here(capsys, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert problem in ended.err
