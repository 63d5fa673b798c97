"""How much a command shows: nothing with --quiet unless something is wrong, more with --verbose."""

import pytest
from support.command import cxai, rows


@pytest.fixture
def run(tmp_path, guids):
    """Return a function that runs `cxai` over three IDs."""

    def run(api, *arguments):
        ids = "\n".join(guids(3)).encode()
        pace = ["--base-url", api.base_url, "--rate", "100"]
        return cxai("run", "-o", tmp_path / "export", *pace, *arguments, stdin=ids)

    return run


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_a_quiet_run_that_goes_well_shows_nothing(simulated, run, tmp_path, option):
    with simulated() as api:
        ended = run(api, option)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert len(rows(tmp_path / "export", "records")) == 3


def test_a_quiet_run_that_fails_shows_why_and_its_report(simulated, run):
    with simulated(missing=1.0) as api:
        ended = run(api, "--quiet")
    assert ended.code == 1
    assert "exit_code=1" in ended.err
    assert "event=run_started" not in ended.err
    assert "3 not_found" in ended.out


def test_a_quiet_run_prints_the_json_that_it_was_given_the_option_for(simulated, run):
    with simulated() as api:
        ended = run(api, "--quiet", "--json")
    assert (ended.json["exit_code"], ended.err) == (0, "")


def test_a_verbose_run_logs_each_request(simulated, run):
    with simulated() as api:
        verbose = run(api, "-v")
        plain = run(api, "--reopen-missing")
    assert verbose.err.count("event=request_done") == 3
    assert "event=request_done" not in plain.err


def test_a_setting_that_is_given_itself_counts_more_than_the_short_form(simulated, run):
    with simulated() as api:
        ended = run(api, "--quiet", "--log-level", "info")
    assert "event=run_finished" in ended.err
    assert ended.out == ""
