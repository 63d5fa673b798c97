import os
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from cxai.errors import UsageError
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.settings import Settings, load_settings

CONFIG = Path(__file__).parents[2] / "config"


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


# --- where a setting comes from ---


def test_a_setting_that_nobody_sets_does_no_harm():
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
    settings = load_settings({"rate": 100.0}, path)
    found = (settings.rate, settings.in_flight, settings.batch, settings.backlog)
    assert found == (100.0, 20, 3, 5_000)


def test_the_file_may_be_named_by_the_environment(monkeypatch, toml):
    monkeypatch.setenv("CXAI_CONFIG", str(toml("rate = 1.5\n")))
    assert load_settings({}).rate == 1.5


def test_a_file_named_on_the_command_line_goes_before_one_of_the_environment(monkeypatch, toml):
    monkeypatch.setenv("CXAI_CONFIG", "/no/such/file")
    assert load_settings({}, toml("rate = 1.5\n")).rate == 1.5


def test_values_may_be_written_as_each_place_writes_them(monkeypatch, toml):
    monkeypatch.setenv("CXAI_RETRY", "not_found, rejected")
    monkeypatch.setenv("CXAI_BURST", "true")
    monkeypatch.setenv("CXAI_SHAPE", "tables")
    from_environment = load_settings({})
    assert from_environment.retry == {Verdict.NOT_FOUND, Verdict.REJECTED}
    assert (from_environment.burst, from_environment.shape) == (True, Shape.TABLES)
    monkeypatch.delenv("CXAI_RETRY")
    from_file = load_settings({}, toml('retry = ["not_found", "rejected"]\n'))
    assert from_file.retry == load_settings({"retry": "not_found,rejected"}).retry
    assert from_file.retry == {Verdict.NOT_FOUND, Verdict.REJECTED}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("90s", 90), ("1.5 m", 90), ("12h", 43_200), ("0.5d", 43_200)],
)
def test_a_time_may_have_a_unit(written, seconds, monkeypatch):
    monkeypatch.setenv("CXAI_PART_EVERY_S", written)
    assert load_settings({}).part_every_s == seconds
    assert load_settings({"flush_s": written}).flush_s == seconds


@pytest.mark.parametrize("written", ["15 min", "m", "-5m", "1h30m", "2w"])
def test_a_time_in_another_unit_is_refused(written):
    with pytest.raises(UsageError, match="--part-every"):
        load_settings({"part_every_s": written})


@pytest.mark.parametrize(
    ("written", "readers"), [("auto", "auto"), ("0", 0), (" 2 ", 2), (3, 3), ("64", 64)]
)
def test_the_number_of_readers_is_a_number_or_left_to_the_run(written, readers):
    assert load_settings({}).readers == "auto"
    assert load_settings({"readers": written}).readers == readers


@pytest.mark.parametrize("written", ["many", "", "-1", "65", -1, 65, 1.5, "1.5", True])
def test_readers_that_are_no_such_number_are_refused_in_one_line(written):
    with pytest.raises(UsageError, match="--readers") as raised:
        load_settings({"readers": written})
    assert str(raised.value).count("\n") == 1


def test_settings_do_not_change_any_more():
    with pytest.raises(ValidationError):
        load_settings({}).rate = 6.0


# --- what can't be a setting ---


def test_a_mistyped_name_in_the_file_is_refused(toml):
    path = toml("reat = 10\n")
    with pytest.raises(UsageError, match="'reat', which is no setting") as raised:
        load_settings({}, path)
    assert str(path) in str(raised.value)


def test_a_mistyped_name_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("CXAI_REAT", "10")
    with pytest.raises(UsageError, match="CXAI_REAT, which is no setting"):
        load_settings({})


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
    with pytest.raises(UsageError, match=rf"{mistyped}, .* Do you mean {meant}\?") as raised:
        load_settings({})
    assert "s3cret" not in str(raised.value)


def test_a_refusal_names_the_file_that_lists_all_settings(monkeypatch, toml):
    monkeypatch.setenv("CXAI_ZZZZ", "1")
    with pytest.raises(UsageError, match=f"no setting. {CONFIG}/default.toml lists all settings"):
        load_settings({})
    monkeypatch.delenv("CXAI_ZZZZ")
    with pytest.raises(UsageError, match=f"mean rate. {CONFIG}/default.toml lists all settings"):
        load_settings({}, toml("raet = 5\n"))


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
    with pytest.raises(UsageError, match=f"{name}, which is no setting"):
        load_settings({})


@pytest.mark.parametrize("name", ["token", "api_token", "cxai_api_token"])
def test_a_token_in_a_settings_file_is_refused_and_not_shown(name, toml):
    path = toml(f'{name} = "c4nary"\n')
    with pytest.raises(UsageError, match="a token doesn't belong into a settings file") as raised:
        load_settings({}, path)
    assert "CXAI_API_TOKEN" in str(raised.value)
    assert "c4nary" not in str(raised.value)


def test_the_name_of_a_token_file_is_a_setting_like_others(monkeypatch, toml):
    monkeypatch.setenv("CXAI_API_TOKEN", "c4nary")  # no setting, but no mistake either
    settings = load_settings({}, toml('token_file = "/run/secrets/cxai"\n'))
    assert settings.token_file == Path("/run/secrets/cxai")
    assert "c4nary" not in repr(settings)


@pytest.mark.parametrize("text", ["rate = ", "rate 5", "[rate", "rate = 1\nrate = 2"])
def test_a_file_that_is_no_toml_is_refused_with_the_place(text, toml):
    with pytest.raises(UsageError, match=r"is not valid TOML: .* \(at "):
        load_settings({}, toml(text))


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
        ("patience_s", "-1"),
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
        ("retry", "not_found,no_such_verdict"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value, monkeypatch):
    monkeypatch.setenv(f"CXAI_{name.upper()}", value)
    with pytest.raises(UsageError, match=f"(?m)^  CXAI_{name.upper()}: "):
        load_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_failed", "true"),
        ("rate", "true"),
        ("max_attempts", "true"),
        ("patience_s", "false"),
        ("start_patience_s", "false"),
        ("part_bytes", "true"),
    ],
)
def test_on_and_off_are_no_numbers(name, value, toml):
    with pytest.raises(UsageError, match=f"{name} in .*: .*true and false are for settings that"):
        load_settings({}, toml(f"{name} = {value}"))


def test_a_switch_may_be_on_or_off(toml):
    assert load_settings({}, toml("allow_none = true\nadaptive = false")).allow_none


@pytest.mark.parametrize("name", ["cxai_config", "Cxai_Config", "cxai_api_token"])
def test_a_variable_that_would_be_overlooked_in_small_letters_is_refused(name, monkeypatch):
    monkeypatch.setenv(name, "settings.toml")
    with pytest.raises(UsageError, match=f"has {name}, which is read as {name.upper()} only"):
        load_settings({})


@pytest.mark.parametrize("names", [("CXAI_RATE", "cxai_rate"), ("cxai_rate", "CXAI_RATE")])
def test_a_setting_that_stands_twice_in_the_environment_must_be_the_same(names, monkeypatch):
    for name in names:
        monkeypatch.setenv(name, "2")
    assert load_settings({}).rate == 2
    monkeypatch.setenv(names[1], "3")
    with pytest.raises(UsageError, match="which differ"):
        load_settings({})


def test_what_may_be_asked_again_is_listed_without_what_is_refused():
    with pytest.raises(UsageError) as raised:
        load_settings({"retry": "notfound"})
    assert "one of not_found, not_ready, " in str(raised.value)
    assert not re.search(r"\bok\b", str(raised.value))
    with pytest.raises(UsageError, match=r"--retry: .*ok can't be asked again"):
        load_settings({"retry": "ok"})


def test_the_ends_of_a_range_are_in_it(monkeypatch):
    for name, value in {
        "rate": "0.001",
        "in_flight": "1024",
        "patience_s": "0",
        "grace_s": "0",
        "max_failed": "1",
        "part_bytes": "1",
    }.items():
        monkeypatch.setenv(f"CXAI_{name.upper()}", value)
        assert getattr(load_settings({}), name) == float(value)


def test_a_refusal_names_where_each_wrong_value_was_set(monkeypatch, toml):
    path = toml("batch = 0\nrate = 0\n")
    monkeypatch.setenv("CXAI_BACKLOG", "0")
    with pytest.raises(UsageError) as raised:
        load_settings({"in_flight": 0, "patience_s": -1.0}, path)
    lines = str(raised.value).splitlines()
    assert lines[0] == "These settings can't be used:"
    assert sorted(line.partition(": ")[0].strip() for line in lines[1:]) == [
        "--in-flight",
        "--patience",
        "CXAI_BACKLOG",
        f"batch in {path}",
        f"rate in {path}",
    ]
    assert "Input should be greater than 0" in str(raised.value)


def test_a_refusal_does_not_repeat_the_value(monkeypatch):
    monkeypatch.setenv("CXAI_RATE", "c4nary")
    with pytest.raises(UsageError) as raised:
        load_settings({})
    assert "c4nary" not in str(raised.value)


# --- the files in config/ ---

_SETTING = re.compile(r"^# (\w+) = ", re.MULTILINE)


def test_a_resource_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="resource: known are cx_ai"):
        load_settings({"resource": "no_such"})


def listed():
    """Return name → (comment above it, the commented-out line) of config/default.toml."""
    found = {}
    for paragraph in (CONFIG / "default.toml").read_text().split("\n\n"):
        if name := _SETTING.search(paragraph):
            comment = paragraph[: name.start()].replace("# ", "").replace("\n", " ")
            found[name[1]] = (comment, paragraph[name.start() :].removeprefix("# "))
    return found


def test_the_default_file_lists_every_setting_once_in_order():
    names = _SETTING.findall((CONFIG / "default.toml").read_text())
    assert names == list(Settings.model_fields)
    assert names == list(listed())


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_default_file_shows_the_default_of_a_setting(name):
    comment, line = listed()[name]
    value = tomllib.loads(line)[name]
    default = Settings.model_fields[name].default
    if default is None:
        assert value == ""
        assert "Default: none" in comment
    else:
        assert getattr(Settings.model_validate({name: value}), name) == default


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_default_file_says_what_a_setting_is_and_in_which_unit(name):
    comment, _ = listed()[name]
    description = Settings.model_fields[name].description
    assert comment.startswith(re.split(r"[.,;:(]", description)[0].strip())
    for suffix, unit in (("_s", "in seconds"), ("_bytes", "in bytes")):
        assert (unit in comment) == name.endswith(suffix)


def test_the_default_file_taken_as_it_is_changes_nothing():
    assert load_settings({}, CONFIG / "default.toml") == load_settings({})


@pytest.mark.parametrize(
    "path",
    [path for path in CONFIG.glob("*.toml") if "bands" not in path.name],
    ids=lambda path: path.name,
)
def test_each_settings_file_that_we_ship_can_be_used(path):
    load_settings({}, path)
