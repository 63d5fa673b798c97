"""`cxai config`: what is in effect, whether it can be used, and all that there is."""

import tomllib

import pytest
from support.certificate import CA
from support.command import cxai, environment
from support.in_process import cxai_here

from cxai.settings import Settings


@pytest.fixture
def config(capsys):
    """Return a function that runs `cxai config …` with some environment."""

    def run(*arguments, **environment):
        return cxai_here(capsys, "config", *arguments, **environment)

    return run


def problems_in(ended):
    """Return the lines that say what is wrong."""
    return ended.err.partition("These settings can't be used:\n")[2].splitlines()


def test_show_prints_the_settings_in_effect_with_their_origins(config, tmp_path):
    file = tmp_path / "nightly.toml"
    file.write_text('grace_s = "2m"\npatience_s = 60\n')
    ended = config("show", "-c", file, "--rate", "20", CXAI_BURST="yes")
    assert ended.code in (0, None)
    assert "rate = 20.0  # --rate\n" in ended.out
    assert "burst = true  # CXAI_BURST\n" in ended.out
    assert f'grace_s = "2m"  # grace_s in {file}\n' in ended.out
    assert f"# patience_s in {file} is now called not_ready_timeout_s.\n" in ended.out
    assert "in_flight = 10  # default\n" in ended.out
    shown = Settings(**tomllib.loads(ended.out))
    assert shown == Settings(rate=20, burst=True, grace_s=120, not_ready_timeout_s=60)


def test_show_prints_utf_8_as_toml_is_whatever_the_encoding_of_the_output():
    show = ["config", "show", "--column", "Gespräch"]
    ended = cxai(*show, env=environment(PYTHONIOENCODING="ascii"))
    assert tomllib.loads(ended.out)["column"] == "Gespräch"


def test_check_accepts_what_a_run_can_use(config, tmp_path):
    for name in ("token", "password"):
        (tmp_path / name).write_text(f"a-{name}-of-tests\n")
    ended = config(
        *("check", "--base-url", "https://api.example.com", "--ca-file", CA),
        *("--token-file", tmp_path / "token", "--redis-password-file", tmp_path / "password"),
        CXAI_PROXY="http://user:c4nary@proxy:3128",
    )
    assert (ended.code or 0, ended.out, ended.err) == (0, "The settings can be used.\n", "")


def test_check_names_each_former_name_before_its_result(config):
    ended = config("check", "--patience", "5m")
    renamed = "--patience is now called --not-ready-timeout."
    assert ended.out == f"{renamed}\nThe settings can be used.\n"


def test_check_reminds_of_a_token_that_is_not_set(config):
    ended = config("check", CXAI_API_TOKEN="")
    assert ended.code in (0, None)
    assert "A run also needs an API token: set CXAI_API_TOKEN or token_file.\n" in ended.out


def test_check_lists_every_setting_that_is_not_valid(config):
    ended = config("check", "--rate", "fast", "--grace", "-1s", CXAI_REAT="1")
    assert (ended.code, ended.out) == (2, "")
    assert [line.split(":")[0].strip() for line in problems_in(ended)[:-1]] == [
        "CXAI_REAT",
        "--rate",
        "--grace",
    ]


def test_check_lists_every_file_and_url_that_a_run_could_not_use(config, tmp_path):
    none = str(tmp_path / "none")
    ended = config(
        *("check", "--base-url", "http://api.example.com", "--ca-file", none, "--id-pattern", "["),
        *("--score-bands", none, "--token-file", none, "--redis-password-file", none),
        CXAI_PROXY="socks5://user:c4nary@proxy",
    )
    assert (ended.code, ended.out) == (2, "")
    problems = problems_in(ended)
    words = ("base_url", "ca_file", "--id-pattern", "Score ranges", "proxy", "token file", "Redis")
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
    assert "c4nary" not in ended.err


def test_check_does_not_show_a_token_that_no_header_may_hold(config):
    ended = config("check", CXAI_API_TOKEN="two c4nary words")  # noqa: S106 - it is refused
    assert ended.code == 2
    assert "CXAI_API_TOKEN" in ended.err
    assert "c4nary" not in ended.err


def test_env_prints_every_variable_commented_out(config):
    ended = config("env")
    assert ended.code in (0, None)
    assert "# CXAI_RATE=5\n" in ended.out
    assert "# CXAI_API_TOKEN=\n" in ended.out
    assert all(not line or line.startswith("#") for line in ended.out.splitlines())
