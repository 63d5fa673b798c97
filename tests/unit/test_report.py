"""What is told of a run when it has ended."""

import json
from collections import Counter
from pathlib import Path

import pytest

from worker.console.report import Report
from worker.domain.tally import Tally
from worker.domain.verdict import ADVICE, ANSWERED, OPEN_AGAIN, Verdict
from worker.errors import (
    CommitError,
    ExitCode,
    InputBrokenError,
    IntegrityError,
    StoppedError,
    TokenRefusedError,
    UsageError,
)

OUTPUT = Path("export")
GO_ON = "  To go on where this run ended, give the same command again."


def tally(*, open_=0, before=None, **verdicts):
    """Return the tally of an input with so many IDs of each verdict."""
    now = Counter({Verdict(name): n for name, n in verdicts.items()})
    invalid = now[Verdict.INVALID_ID]
    earlier = Counter(before or {})
    ids = now.total() - invalid + earlier.total() - earlier[Verdict.INVALID_ID] + open_
    invalid += earlier[Verdict.INVALID_ID]
    return Tally(lines=ids + invalid, ids=ids, invalid=invalid, now=now, before=earlier)


def report(of=None, *, stopped_by=None, max_failed=0.0, elapsed_s=10.0, trouble=None):
    return Report(OUTPUT, of or tally(ok=1), elapsed_s, max_failed, stopped_by, trouble)


# --- the exit code ---


@pytest.mark.parametrize(
    ("of", "max_failed", "code"),
    [
        (tally(), 0.0, ExitCode.FINISHED),
        (tally(ok=10), 0.0, ExitCode.FINISHED),
        (tally(ok=8, not_found=1, processing_failed=1), 0.0, ExitCode.FINISHED),
        (tally(ok=9, exhausted=1), 0.0, ExitCode.ABOVE_THRESHOLD),
        (tally(ok=9, exhausted=1), 0.1, ExitCode.FINISHED),
        (tally(ok=8, exhausted=2), 0.1, ExitCode.ABOVE_THRESHOLD),
        (tally(ok=9, invalid_id=1), 0.09, ExitCode.ABOVE_THRESHOLD),
        (tally(ok=9, before={Verdict.REJECTED: 1}), 0.0, ExitCode.ABOVE_THRESHOLD),
        (tally(exhausted=10), 1.0, ExitCode.FINISHED),
    ],
)
def test_a_finished_run_fails_above_the_share_that_may_fail(of, max_failed, code):
    assert report(of, max_failed=max_failed).exit_code is code


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (StoppedError("signal"), 4),
        (InputBrokenError("torn"), 4),
        (CommitError("full"), 4),
        (TokenRefusedError("401"), 3),
        (IntegrityError("damaged"), 5),
        (UsageError("column"), 2),
    ],
)
def test_a_stopped_run_has_the_code_of_what_stopped_it_however_much_failed(why, code):
    assert report(tally(exhausted=1), stopped_by=why).exit_code == code


# --- in words ---


def text(*args, **kwargs):
    return report(*args, **kwargs).text().splitlines()


def test_a_finished_run_in_words():
    of = tally(ok=1_234, not_found=5, invalid_id=2)
    of.lines += 10
    of.duplicates, of.blanks, of.comments = 7, 2, 1
    of.requests, of.retries, of.status_requests, of.throttled = 1_300, 30, 20, 10
    assert text(of, elapsed_s=200.0) == [
        "Finished: every ID has a verdict.",
        "",
        "  1,251 lines = 1,239 IDs + 7 duplicates + 2 blank + 1 comment + 2 invalid",
        "  1,239 IDs = 1,234 ok + 5 not_found",
        "",
        (
            "  1,239 settled in 3 min 20 s (6.2/s) with 1,300 requests: 30 repeated,"
            " 20 for status, 10 refused by a limit"
        ),
        "  The export is in export",
        "  IDs without a record are listed in export/failures-*.jsonl*:",
        f"    not_found         5  {ADVICE[Verdict.NOT_FOUND]}",
        f"    invalid_id        2  {ADVICE[Verdict.INVALID_ID]}",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_lines_are_broken_at_blanks_and_go_on_below_their_column(width):
    of = tally(ok=1_234, not_found=5, too_large=1)
    of.reasons[Verdict.TOO_LARGE] = Counter({"becomes more than 200 times its size (max_ratio)": 1})
    whole = report(of)
    lines = whole.text(width).splitlines()
    assert max(map(len, lines)) <= width
    assert "\n".join(lines).split() == whole.text().split()  # no word is cut, none is lost
    assert len(lines) > len(whole.text().splitlines())
    at = next(n for n, line in enumerate(lines) if line.startswith("    too_large"))
    assert lines[at].index("if such") == len(lines[at + 1]) - len(lines[at + 1].lstrip())


def test_a_path_is_not_broken_however_long():
    output = Path("a-" * 50 + "b c")
    assert str(output).split()[0] in Report(output, tally(ok=1), 1.0, 0.0, None).text(80).split()


def test_a_run_in_which_all_went_well_lists_nothing():
    said = text(tally(ok=3))
    assert said[-1] == "  The export is in export"


def test_an_empty_run_in_words():
    said = text(tally(), elapsed_s=0.0)
    assert said[1] == "The input holds no ID."
    assert "  0 lines = 0" in said
    assert "  0 IDs = 0" in said
    assert "  0 settled in 0.0 s (0.0/s) with" in "\n".join(said)


def test_a_stopped_run_says_why_and_how_to_go_on():
    said = text(tally(ok=3, open_=2), stopped_by=StoppedError("Stopped by SIGTERM."))
    assert said[0] == "Stopped early by SIGTERM."
    assert "  5 IDs = 3 ok + 2 still open" in said
    assert said[-1] == GO_ON


def test_a_run_that_something_else_stops_says_so_in_its_words():
    said = text(tally(open_=2), stopped_by=CommitError("Can't write."))
    assert said[0] == "Stopped early: Can't write."


def test_a_run_that_is_stopped_in_the_midst_of_trouble_names_it_once():
    told = "The last request had failed: HTTP 503"
    sigterm = StoppedError("Stopped by SIGTERM.")
    assert text(tally(open_=1), stopped_by=sigterm, trouble="HTTP 503")[1] == told
    assert told not in text(tally(open_=1), stopped_by=sigterm)
    assert told not in text(tally(ok=1), trouble="HTTP 503")  # it has its verdicts all the same
    patience = StoppedError("Nothing for 9 s (the last: HTTP 503).")
    assert told not in text(tally(open_=1), stopped_by=patience, trouble="HTTP 503")
    assert report(stopped_by=sigterm, trouble="HTTP 503").as_dict()["trouble"] == "HTTP 503"
    assert report(trouble="HTTP 503").as_dict()["trouble"] is None


def test_ids_of_earlier_runs_are_told_without_their_invalid_lines():
    said = text(tally(ok=3, before={Verdict.OK: 4, Verdict.INVALID_ID: 1}))
    assert "  7 IDs = 7 ok" in said
    assert "  (4 of them settled by earlier runs)" in said
    assert not any("earlier" in line for line in text(tally(ok=3)))
    only_invalid = text(tally(ok=3, before={Verdict.INVALID_ID: 1}))
    assert not any("earlier" in line for line in only_invalid)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.OK])
def test_each_verdict_without_a_record_has_its_advice(verdict):
    said = text(tally(ok=1, **{verdict: 3}))
    assert f"    {verdict}        3  {ADVICE[verdict]}" in said
    retried = f"  To ask those again, add: --retry {verdict}"
    by_itself = verdict in OPEN_AGAIN | ANSWERED | {Verdict.INVALID_ID}
    assert (retried in said) is not by_itself
    once_more = f"  The same command, given again, asks for {verdict} once more."
    assert (once_more in said) is (verdict in OPEN_AGAIN)


def test_an_input_of_which_nothing_was_found_asks_whether_it_asked_the_right_one():
    hint = "  Not one was found. Is base_url right? If not: correct it, --retry not_found."
    assert hint in text(tally(not_found=3))
    assert hint not in text(tally(not_found=3, ok=1))
    assert hint not in text(tally(rejected=3))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("nächte", "nächte"), ("a\nb\x1b[31m", r"a\nb\x1b[31m"), ("caf\udce9", r"caf\xe9")],
)
def test_a_directory_whose_name_can_not_be_printed_is_named_all_the_same(name, shown):
    ended = Report(Path(name), tally(ok=1), 1.0, 0.0, None)
    assert f"  The export is in {shown}" in ended.text().splitlines()
    assert json.loads(json.dumps(ended.as_dict()))["output"] == shown


def test_several_verdicts_are_asked_again_together():
    said = text(tally(rejected=1, too_large=2, not_found=1, not_ready=1, exhausted=1))
    assert "  To ask those again, add: --retry rejected,too_large" in said
    assert "  The same command, given again, asks for not_ready, exhausted once more." in said


def test_the_commonest_reasons_stand_below_their_verdict():
    of = tally(rejected=10, not_found=3)
    of.reasons[Verdict.REJECTED] = Counter({f"HTTP {400 + n}": n for n in range(1, 5)})
    of.reasons[Verdict.NOT_FOUND] = Counter({"no such interaction": 3})  # the verdict says that
    said = text(of)
    place = said.index(f"    rejected        10  {ADVICE[Verdict.REJECTED]}")
    told = [line.strip() for line in said[place + 1 : place + 5]]
    assert told == ["HTTP 404 (4)", "HTTP 403 (3)", "HTTP 402 (2)", "others (1)"]
    assert not any("HTTP 401" in line or "interaction (3)" in line for line in said)


def test_where_all_reasons_are_told_there_are_no_others():
    of = tally(rejected=5)
    of.reasons[Verdict.REJECTED] = Counter({"HTTP 400": 3, "HTTP 418": 2})
    assert not any("others" in line for line in text(of))


def test_reasons_beyond_those_that_are_counted_are_among_the_others():
    of = tally(bad_body=100)
    for n in range(100):
        of.note_reason(Verdict.BAD_BODY, f"lacks {n}")
    assert any(line.strip() == "others (97)" for line in text(of))


def test_one_of_a_kind_is_told_in_the_singular():
    said = text(tally(ok=1))
    assert {"  1 line = 1 ID", "  1 ID = 1 ok"} <= set(said)


def test_fields_that_the_schema_does_not_know_are_told_the_most_frequent_first():
    of = tally(ok=9)
    of.drift.update({f"field{n}": n for n in range(1, 8)})
    told = [line for line in text(of) if "Not as documented" in line]
    assert len(told) == 5
    assert told[0].endswith("field7 (7 results)")


def test_accounts_that_do_not_add_up_are_not_hidden():
    of = tally(ok=1)
    of.lines += 1
    assert any("DOES NOT ADD UP" in line for line in text(of))
    assert not any("DOES NOT ADD UP" in line for line in text())


# --- as data ---


def test_the_plain_form_is_json_and_has_the_reconciliation():
    plain = json.loads(json.dumps(report(tally(ok=2, exhausted=1), elapsed_s=1.23456).as_dict()))
    assert (
        plain.items()
        >= {
            "ended": "finished",
            "stopped_by": None,
            "exit_code": 1,
            "elapsed_s": 1.235,
            "output": "export",
            "lines": 3,
            "ids": 3,
            "verdicts": {"exhausted": 1, "ok": 2},
            "adds_up": True,
        }.items()
    )


def test_the_plain_form_of_a_stopped_run_says_why():
    plain = report(stopped_by=TokenRefusedError("The API refused the token.")).as_dict()
    assert plain["ended"] == "stopped"
    assert (plain["stopped_by"], plain["exit_code"]) == ("The API refused the token.", 3)
