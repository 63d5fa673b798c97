"""Files, help and documentation are held to the definitions, which are written once."""

import os
import re
import tomllib

import pytest
from support.settings_files import FILES, ROOT

from cxai.settings import Settings, load_settings
from cxai.settings.origins import load
from cxai.settings.rendering import effective_as_toml, environment
from cxai.settings.variables import VARIABLES

CONFIG = ROOT / "config"
DEFINITIONS = Settings.definitions()

names = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def _environment_without_ours(monkeypatch):
    for name in [name for name in os.environ if name.startswith("CXAI_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_up_to_date(name):
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run: make settings"


def test_no_two_settings_share_an_option_or_a_variable():
    options = [one.option for one in DEFINITIONS]
    options += [option for one in DEFINITIONS for option in one.former_options.values()]
    assert len({*options}) == len(options)
    variables = [one.variable for one in DEFINITIONS] + [one.name for one in VARIABLES]
    assert len({*variables}) == len(variables)


@names
def test_a_definition_is_complete(definition):
    assert re.fullmatch(r"[A-Za-z].{5,75}\.", definition.help)
    assert (definition.default is None) == bool(definition.unset)
    assert getattr(Settings(), definition.name) == definition.default
    assert definition.default_text
    assert definition.option.startswith("--")


@names
def test_a_default_can_be_given_in_each_place(definition, monkeypatch, tmp_path):
    default = "" if definition.default is None else definition.show(definition.default)
    assert load_settings({definition.name: default}) == Settings()
    file = tmp_path / "cxai.toml"
    listed = re.search(
        rf"^# ({definition.name} = .*)$", FILES["config/default.toml"](), re.MULTILINE
    )
    file.write_text(listed[1])
    assert tomllib.loads(listed[1]).keys() == {definition.name}
    assert load_settings({}, file) == Settings()
    variable = re.search(rf"^# {definition.variable}=(.*)$", environment(), re.MULTILINE)
    monkeypatch.setenv(definition.variable, variable[1])
    assert load_settings({}) == Settings()


def test_every_variable_is_listed_with_what_it_is():
    listed = re.findall(r"^# (\w+)=", environment(), re.MULTILINE)
    assert listed == [one.variable for one in DEFINITIONS] + [one.name for one in VARIABLES]
    for definition in DEFINITIONS:
        assert definition.kind.range in " ".join(environment().split("\n# ")).replace("\n", " ")


def test_the_settings_in_effect_are_toml_that_gives_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("CXAI_RATE", "2.5")
    monkeypatch.setenv("CXAI_REOPEN", "not_found")
    loaded = load({"part_every_s": "15m", "id_pattern": """[a-z\\"']+"""})
    text = effective_as_toml(loaded)
    assert "rate = 2.5  # CXAI_RATE\n" in text
    assert 'part_every_s = "15m"  # --part-every\n' in text
    assert "in_flight = 10  # default\n" in text
    assert "# until_idle_s is not set: never\n" in text
    file = tmp_path / "cxai.toml"
    file.write_text(text)
    monkeypatch.delenv("CXAI_RATE")
    monkeypatch.delenv("CXAI_REOPEN")
    assert load_settings({}, file) == loaded.settings


@pytest.mark.parametrize("column", ["a\\b\nc", "\\\x01", "\x7f", "a@b", "\U000e0001x", "'\\\""])
def test_any_text_in_effect_is_toml_that_gives_the_same(tmp_path, column):
    loaded = load({"column": column})
    file = tmp_path / "cxai.toml"
    file.write_text(effective_as_toml(loaded), encoding="utf-8")
    assert load_settings({}, file) == loaded.settings


def test_the_settings_in_effect_show_no_secret(monkeypatch):
    monkeypatch.setenv("CXAI_PROXY", "http://user:c4nary@proxy:3128")
    monkeypatch.setenv("CXAI_API_TOKEN", "c4nary")
    text = effective_as_toml(load({"base_url": "https://user:c4nary@host"}))
    assert "c4nary" not in text
    assert "c4nary" not in effective_as_toml(load({"column": "c4nary"}))
    assert "# proxy is not shown, since it may hold a secret  # CXAI_PROXY\n" in text


@pytest.mark.parametrize(
    "path",
    [path for path in CONFIG.glob("*.toml") if "bands" not in path.name],
    ids=lambda path: path.name,
)
def test_each_settings_file_that_we_ship_can_be_used_without_a_warning(path):
    assert not load({}, path).renamed
