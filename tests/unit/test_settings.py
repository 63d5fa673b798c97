"""Where settings come from, and what is refused with which words."""

import os
import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from cxai.errors import UsageError
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.settings import Settings, SettingsError, load_settings
from cxai.settings.origins import load

A_RATE = "a number (above 0, up to 100,000 requests per second), such as 2.5"
A_WAIT = "a time (0s to 45d), such as 90, 90s, 15m or 12h"


@pytest.fixture(autouse=True)
def _environment_without_ours(monkeypatch):
    for name in [name for name in os.environ if name.startswith("CXAI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "cxai.toml"
        path.write_text(text)
        return path

    return write


def problems(given=(), config=None):
    """Return the lines of the refusal of settings."""
    with pytest.raises(SettingsError) as raised:
        load_settings(dict(given), config)
    first, *lines, last = str(raised.value).splitlines()
    assert first == "These settings can't be used:"
    assert last == "`cxai config env` lists all settings."
    assert [line.strip() for line in lines] == list(raised.value.problems)
    return raised.value.problems


# --- where a setting comes from ---


def test_defaults_are_safe():
    settings = load_settings({})
    assert (settings.rate, settings.in_flight, settings.base_url) == (
        5.0,
        10,
        "https://api.elevateai.com",
    )


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default(
    monkeypatch, toml
):
    path = toml("rate = 1.0\nin_flight = 2\nbatch = 3\n")
    monkeypatch.setenv("CXAI_RATE", "10")
    monkeypatch.setenv("CXAI_IN_FLIGHT", "20")
    loaded = load({"rate": 100.0}, path)
    found = loaded.settings
    assert (found.rate, found.in_flight, found.batch, found.backlog) == (100.0, 20, 3, 5_000)
    assert loaded.origins == {
        "rate": "--rate",
        "in_flight": "CXAI_IN_FLIGHT",
        "batch": f"batch in {path}",
    }
    assert found.given == {"rate", "in_flight", "batch"}


def test_the_file_may_be_named_by_the_environment(monkeypatch, toml):
    monkeypatch.setenv("CXAI_CONFIG", str(toml("rate = 1.5\n")))
    assert load_settings({}).rate == 1.5


def test_a_file_named_on_the_command_line_goes_before_one_of_the_environment(monkeypatch, toml):
    monkeypatch.setenv("CXAI_CONFIG", "/no/such/file")
    assert load_settings({}, toml("rate = 1.5\n")).rate == 1.5


def test_values_may_be_written_as_each_place_writes_them(monkeypatch, toml):
    monkeypatch.setenv("CXAI_REOPEN", "not_found, rejected")
    monkeypatch.setenv("CXAI_BURST", "true")
    monkeypatch.setenv("CXAI_SHAPE", "tables")
    monkeypatch.setenv("CXAI_PART_EVERY_S", "15m")
    from_environment = load_settings({})
    assert from_environment.reopen == {Verdict.NOT_FOUND, Verdict.REJECTED}
    assert (from_environment.burst, from_environment.shape) == (True, Shape.TABLES)
    assert from_environment.part_every_s == 900.0
    monkeypatch.delenv("CXAI_REOPEN")
    from_file = load_settings({}, toml('reopen = ["not_found", "rejected"]\nmax_failed = "5%"\n'))
    assert from_file.reopen == load_settings({"reopen": "not_found,rejected"}).reopen
    assert from_file.reopen == {Verdict.NOT_FOUND, Verdict.REJECTED}
    assert from_file.max_failed == 0.05


def test_an_empty_text_leaves_a_setting_unset_that_need_not_be_set(monkeypatch):
    monkeypatch.setenv("CXAI_COLUMN", "")
    monkeypatch.setenv("CXAI_PROXY", "")
    assert load_settings({"start_patience_s": ""}) == Settings()
    assert problems({"rate": ""})


# --- settings as a value ---


def test_settings_do_not_change_any_more():
    with pytest.raises(FrozenInstanceError):
        load_settings({}).rate = 6.0
    with pytest.raises(FrozenInstanceError):
        del load_settings({}).rate


def test_changed_settings_are_checked_and_count_as_given():
    settings = Settings(rate=6).replace(grace_s="2m")
    assert (settings.rate, settings.grace_s, settings.given) == (6.0, 120.0, {"rate", "grace_s"})
    with pytest.raises(SettingsError, match="grace_s: '-1' is not valid"):
        settings.replace(grace_s=-1)


def test_settings_are_equal_if_their_values_are():
    assert Settings(rate=5) == Settings()
    assert len({Settings(rate=5), Settings(), Settings(rate=6)}) == 2
    assert Settings() != "settings"
    assert repr(Settings(rate=5)) == "Settings(rate=5.0)"


def test_a_program_is_told_all_that_is_wrong_by_a_value_error():
    with pytest.raises(ValueError, match="can't be used") as raised:
        Settings(rate=0, in_flihgt=3, grace_s="soon")
    assert isinstance(raised.value, UsageError)
    assert str(raised.value).splitlines()[1:] == [
        f"  rate: '0' is not valid: expected {A_RATE}",
        "  in_flihgt: no such setting; did you mean in_flight?",
        f"  grace_s: 'soon' is not valid: expected {A_WAIT}",
    ]


# --- former names ---


@pytest.mark.parametrize(
    ("former", "value", "name"),
    [("patience_s", "20m", "not_ready_timeout_s"), ("retry", "not_found", "reopen")],
)
def test_a_former_name_is_accepted_with_a_warning(former, value, name, monkeypatch, toml):
    expected = Settings(**{name: value})
    definition = Settings.definition(name)
    path, variable = toml(f'{former} = "{value}"\n'), f"CXAI_{former.upper()}"
    option = load({former: value})
    in_file = load({}, path)
    monkeypatch.setenv(variable, value)
    in_environment = load({})
    assert option.settings == in_file.settings == in_environment.settings == expected
    assert option.renamed == {definition.former_options[former]: definition.option}
    assert in_file.renamed == {f"{former} in {path}": name}
    assert in_environment.renamed == {variable: definition.variable}
    assert load({name: value}).origins == {name: definition.option}
    with pytest.warns(DeprecationWarning, match=f"the setting {former} is now {name}"):
        assert Settings(**{former: value}) == expected


def test_a_former_name_replaces_what_was_given_under_either_name():
    with pytest.warns(DeprecationWarning, match="patience_s"):
        settings = Settings(patience_s=60)
    with pytest.warns(DeprecationWarning, match="patience_s"):
        assert settings.replace(patience_s=30) == Settings(not_ready_timeout_s=30)


def test_former_names_are_listed_in_the_order_in_which_they_were_given(toml):
    lines = {"reopen": "retry = []", "not_ready_timeout_s": "patience_s = 5"}
    for order in ([*lines], [*reversed(lines)]):
        path = toml("\n".join(lines[name] for name in order))
        assert [*load({}, path).renamed.values()] == order


def test_a_setting_under_both_names_is_refused(monkeypatch):
    monkeypatch.setenv("CXAI_PATIENCE_S", "60")
    now = "CXAI_NOT_READY_TIMEOUT_S"
    monkeypatch.setenv(now, "60")
    assert problems() == (
        f"CXAI_PATIENCE_S: is now called {now}, which is given as well: remove one of them",
    )


def test_the_present_name_on_the_command_line_goes_before_the_former_one_elsewhere(monkeypatch):
    monkeypatch.setenv("CXAI_PATIENCE_S", "60")
    loaded = load({"not_ready_timeout_s": "90"})
    assert loaded.settings.not_ready_timeout_s == 90
    assert loaded.origins == {"not_ready_timeout_s": "--not-ready-timeout"}


# --- what can't be a setting ---


def test_a_mistyped_name_in_the_file_is_refused(toml):
    path = toml("reat = 10\n")
    assert problems(config=path) == (f"reat in {path}: no such setting; did you mean rate?",)


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("CXAI_RTAE", "CXAI_RATE"),
        ("CXAI_INFLIGHT", "CXAI_IN_FLIGHT"),
        ("CXAI_GRACE", "CXAI_GRACE_S"),
        ("CXAI_API_TOKNE", "CXAI_API_TOKEN"),
        ("cxai_rtae", "CXAI_RATE"),
    ],
)
def test_the_setting_that_a_mistyped_variable_may_mean_is_named(mistyped, meant, monkeypatch):
    monkeypatch.setenv(mistyped, "s3cret")
    assert problems() == (f"{mistyped}: no such setting; did you mean {meant}?",)


def test_a_name_that_resembles_none_is_refused_without_a_guess(monkeypatch):
    monkeypatch.setenv("CXAI_ZZZZ", "1")
    assert problems() == ("CXAI_ZZZZ: no such setting",)


OF_KUBERNETES = {
    "CXAI_SERVICE_HOST": "10.96.0.7",
    "CXAI_SERVICE_PORT": "8080",
    "CXAI_SERVICE_PORT_HTTP": "8080",
    "CXAI_SERVICE_PORT_HTTP_METRICS": "9090",
    "CXAI_PORT": "tcp://10.96.0.7:8080",
    "CXAI_PORT_8080_TCP": "tcp://10.96.0.7:8080",
    "CXAI_PORT_8080_TCP_PROTO": "tcp",
    "CXAI_PORT_8080_TCP_PORT": "8080",
    "CXAI_PORT_8080_TCP_ADDR": "10.96.0.7",
    "CXAI_PORT_53_UDP": "udp://10.96.0.7:53",
    "CXAI_PORT_53_UDP_ADDR": "10.96.0.7",
    "CXAI_PORT_9999_SCTP_PORT": "9999",
    "CXAI_WORKER_SERVICE_HOST": "10.96.0.8",
    "CXAI_WORKER_PORT": "udp://10.96.0.8:53",
    "CXAI_WORKER_V2_PORT_443_TCP_PROTO": "tcp",
    "CXAI_RATE_SERVICE_PORT_HTTPS": "443",
}


@pytest.mark.promise(
    "Kubernetes' variables of a Service named `cxai` or `cxai-…` (`CXAI_SERVICE_HOST`,"
    " `CXAI_PORT_8080_TCP`)",
    "are no settings; a mistyped `CXAI_RTAE` is still refused, with the setting that it may mean",
    group="Environment",
)
def test_what_kubernetes_sets_for_a_service_is_ignored(monkeypatch):
    for name, value in OF_KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert load_settings({}) == Settings()
    monkeypatch.setenv("CXAI_RTAE", "10")
    with pytest.raises(UsageError, match="CXAI_RTAE"):
        load_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CXAI_PORT", "8900"),
        ("CXAI_HOST", "10.96.0.7"),
        ("CXAI_SERVICE", "10.96.0.7"),
        ("CXAI_PORT_8080", "tcp://10.96.0.7:8080"),
        ("CXAI_PORT_8080_ICMP", "icmp://10.96.0.7"),
        ("CXAI_RATE_SERVICE", "5"),
    ],
)
def test_what_only_looks_like_a_variable_of_kubernetes_is_refused(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert problems()[0].startswith(f"{name}: no such setting")


@pytest.mark.parametrize("name", ["token", "api_token", "cxai_api_token"])
def test_a_token_in_a_settings_file_is_refused_and_not_shown(name, toml):
    (problem,) = problems(config=toml(f'{name} = "c4nary"\n'))
    assert "a token does not belong in a settings file; set CXAI_API_TOKEN" in problem
    assert "c4nary" not in problem


def test_the_name_of_a_token_file_is_a_setting_like_others(monkeypatch, toml):
    monkeypatch.setenv("CXAI_API_TOKEN", "c4nary")  # no setting, but no mistake either
    settings = load_settings({}, toml('token_file = "/run/secrets/cxai"\n'))
    assert settings.token_file == Path("/run/secrets/cxai")
    assert "c4nary" not in repr(settings)


@pytest.mark.parametrize("text", ["rate = ", "rate 5", "[rate", "rate = 1\nrate = 2"])
def test_a_file_that_is_no_toml_is_refused_with_the_place(text, toml):
    with pytest.raises(UsageError, match=r"is not valid TOML: .* \(at "):
        load_settings({}, toml(text))


@pytest.mark.parametrize("text", [f"rate = {'1' * 5_000}", f"reopen = {'[' * 3_000}{']' * 3_000}"])
def test_a_file_that_is_too_much_for_the_parser_is_refused(text, toml):
    with pytest.raises(UsageError, match="is not valid TOML: "):
        load_settings({}, toml(text))


def test_a_number_of_any_length_is_refused(toml):
    (problem,) = problems(config=toml(f"rate = 0x{'f' * 5_000}"))
    assert problem.endswith(f"expected {A_RATE}")


def test_a_file_may_begin_with_a_byte_order_mark(toml):
    assert load_settings({}, toml("\ufeffrate = 2.0\n")).rate == 2.0


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"Can't read the settings file .*/none: No such file"):
        load_settings({}, tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "0"),
        ("rate", "-1"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("rate", "fast"),
        ("rate", ""),
        ("in_flight", "0"),
        ("in_flight", "2.5"),
        ("in_flight", "100000"),
        ("max_attempts", "0"),
        ("total_timeout_s", "0"),
        ("total_timeout_s", "nan"),
        ("read_timeout_s", "inf"),
        ("not_ready_timeout_s", "-1"),
        ("max_failed", "1.01"),
        ("max_failed", "-0.1"),
        ("max_failed", "nan"),
        ("part_bytes", "0"),
        ("batch", "0"),
        ("backlog", "0"),
        ("max_ratio", "0"),
        ("shape", "csv"),
        ("compression", "lzma"),
        ("progress", "yes"),
        ("reopen", "not_found,no_such_verdict"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value, monkeypatch):
    monkeypatch.setenv(f"CXAI_{name.upper()}", value)
    (problem,) = problems()
    assert problem.startswith(f"CXAI_{name.upper()}: {value!r} is not valid: expected ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_failed", "true"),
        ("rate", "true"),
        ("max_attempts", "true"),
        ("not_ready_timeout_s", "false"),
        ("start_patience_s", "false"),
        ("part_bytes", "true"),
    ],
)
def test_on_and_off_are_no_numbers(name, value, toml):
    (problem,) = problems(config=toml(f"{name} = {value}"))
    assert re.match(f"{name} in .*: '{value}' is not valid: expected ", problem)


def test_a_switch_may_be_on_or_off(toml):
    assert load_settings({}, toml("allow_none = true\nadaptive = false")).allow_none


@pytest.mark.parametrize("name", ["cxai_config", "Cxai_Config", "cxai_api_token"])
def test_a_variable_that_would_be_overlooked_in_small_letters_is_refused(name, monkeypatch):
    monkeypatch.setenv(name, "settings.toml")
    assert problems() == (f"{name}: is read as {name.upper()} only",)


@pytest.mark.parametrize("names", [("CXAI_RATE", "cxai_rate"), ("cxai_rate", "CXAI_RATE")])
def test_a_variable_in_two_spellings_must_have_one_value(names, monkeypatch):
    for name in names:
        monkeypatch.setenv(name, "2")
    assert load_settings({}).rate == 2
    monkeypatch.setenv(names[1], "3")
    (problem,) = problems()
    assert re.fullmatch("(?i)cxai_rate: differs from cxai_rate; set one of them", problem)


def test_the_ends_of_a_range_are_in_it(monkeypatch):
    for name, value in {
        "rate": "0.001",
        "in_flight": "1024",
        "not_ready_timeout_s": "0",
        "grace_s": "0",
        "max_failed": "1",
        "part_bytes": "1",
    }.items():
        monkeypatch.setenv(f"CXAI_{name.upper()}", value)
        assert getattr(load_settings({}), name) == float(value)


def test_a_refusal_lists_all_that_is_wrong_with_its_place_value_and_range(monkeypatch, toml):
    path = toml("batch = 0\nrate = 0\nreat = 1\n")
    monkeypatch.setenv("CXAI_BACKLOG", "0")
    monkeypatch.setenv("CXAI_ZZZZ", "0")
    found = problems({"in_flight": 0, "not_ready_timeout_s": -1.0}, path)
    assert sorted(found) == [
        "--in-flight: '0' is not valid: expected a whole number (1 to 1,024 requests)",
        f"--not-ready-timeout: '-1.0' is not valid: expected {A_WAIT}",
        "CXAI_BACKLOG: '0' is not valid: expected a whole number (1 to 1,000,000 IDs)",
        "CXAI_ZZZZ: no such setting",
        f"batch in {path}: '0' is not valid: expected a whole number (1 to 10,000 outcomes)",
        f"rate in {path}: '0' is not valid: expected {A_RATE}",
        f"reat in {path}: no such setting; did you mean rate?",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "c4nary"),
        ("rate", "C4NARY"),
        ("rate", "x c4nary-and-more-of-it"),
        ("rate", "00000000-0000-4000-8000-000000000001"),
        ("rate", "http://user:hidden@proxy"),
    ],
)
def test_a_refusal_does_not_repeat_what_may_be_a_secret(name, value, monkeypatch):
    token = value.removeprefix("x ") if "c4nary" in value.lower() else "another"
    monkeypatch.setenv("CXAI_API_TOKEN", token)
    (problem,) = problems({name: value})
    assert problem.startswith(f"--{name}: expected a number")
    assert value not in problem


def test_a_long_value_is_cut():
    (problem,) = problems({"rate": "9" * 200})
    assert problem.startswith(f"--rate: '{'9' * 60}...' is not valid")


def test_a_resource_that_is_not_known_is_refused_with_those_that_are():
    assert problems({"resource": "no_such"}) == (
        "--resource: 'no_such' is not valid: expected one of cx_ai",
    )
