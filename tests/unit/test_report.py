"""The report at the end of a run."""

import json
from collections import Counter
from pathlib import Path

import pytest
from support.defaults import tolerating
from support.tallies import tally

from cxai.errors import CommitError, StopCause, StoppedError, StopRequestedError, TokenRefusedError
from cxai.inspect.report import Report
from cxai.policy.verdict import ADVICE, ANSWERED, OPEN_AGAIN, Verdict

OUTPUT = Path("export")
RESUME = "  To resume, run the same command again."


def report(of=None, *, stopped_by=None, max_failed=0.0, elapsed_s=10.0, trouble=None):
    tolerance = tolerating(max_failed, allow_none=True)
    return Report(OUTPUT, of or tally(ok=1), elapsed_s, tolerance, stopped_by, trouble)


# --- in words ---


def text(*args, **kwargs):
    return report(*args, **kwargs).text().splitlines()


def test_a_finished_run_in_words():
    of = tally(ok=1_234, not_found=5, invalid_id=2)
    of.lines += 10
    of.duplicates, of.blanks, of.comments = 7, 2, 1
    of.requests, of.retries, of.status_requests, of.throttled = 1_300, 30, 20, 10
    assert text(of, elapsed_s=200.0, max_failed=0.01) == [
        (
            "Finished: 1,239 of 1,239 IDs completed;"
            " 2 lines have no valid ID (0.2 %), within --max-failed 1 %."
        ),
        "",
        "  1,251 lines = 1,239 IDs + 7 duplicates + 2 blank + 1 comment + 2 invalid",
        "  1,239 IDs = 1,234 ok + 5 not_found",
        "",
        (
            "  1,239 IDs in 3 min 20 s (6.2/s), 1,300 requests: 30 retries,"
            " 20 status checks, 10 rate-limited"
        ),
        "  The export is in export",
        "  IDs without a record are listed in export/failures-*.jsonl*:",
        f"    not_found         5  {ADVICE[Verdict.NOT_FOUND]}",
        f"    invalid_id        2  {ADVICE[Verdict.INVALID_ID]}",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_lines_are_wrapped_below_their_column(width):
    of = tally(ok=1_234, not_found=5, too_large=1)
    of.reasons[Verdict.TOO_LARGE] = Counter(
        {"decodes to more than 200 times its size (max_ratio)": 1}
    )
    whole = report(of)
    lines = whole.text(width).splitlines()
    assert max(map(len, lines)) <= width
    assert "\n".join(lines).split() == whole.text().split()  # no word is cut, none is lost
    assert len(lines) > len(whole.text().splitlines())
    at = next(n for n, line in enumerate(lines) if line.startswith("    too_large"))
    assert lines[at].index("if such") == len(lines[at + 1]) - len(lines[at + 1].lstrip())


def test_a_path_is_not_broken_however_long():
    output = Path("a-" * 50 + "b c")
    assert (
        str(output).split()[0]
        in Report(output, tally(ok=1), 1.0, tolerating(), None).text(80).split()
    )


def test_a_run_without_failures_lists_none():
    lines = text(tally(ok=3))
    assert lines[-1] == "  The export is in export"


def test_an_empty_run_in_words():
    lines = text(tally(), elapsed_s=0.0)
    assert lines[0] == "Finished, but the input has no IDs: exit code 2."
    assert "  0 lines = 0" in lines
    assert "  0 IDs = 0" in lines
    assert "  0 IDs in 0.0 s (0.0/s), 0 requests" in "\n".join(lines)


def test_a_stopped_run_shows_why_what_is_open_and_how_to_resume():
    lines = text(tally(ok=3, open_=2), stopped_by=StopRequestedError("SIGTERM", StopCause.SIGNAL))
    assert lines[:2] == ["Stopped early by SIGTERM.", "Exit code 4: 2 of 5 IDs are still open."]
    assert "  5 IDs = 3 ok + 2 still open" in lines
    assert lines[-1] == RESUME


def test_a_run_that_an_error_stops_shows_its_message():
    lines = text(tally(open_=2), stopped_by=CommitError("Can't write."))
    assert lines[:2] == ["Stopped early: Can't write.", "Exit code 4: 2 of 2 IDs are still open."]


@pytest.mark.parametrize(
    ("of", "line"),
    [
        (tally(open_=1), "Exit code 4: 1 of 1 ID is still open."),
        (tally(ok=3, open_=1), "Exit code 4: 1 of 4 IDs is still open."),
        (tally(ok=3), "Exit code 4."),
    ],
)
def test_a_stopped_run_shows_its_exit_code(of, line):
    assert line in text(of, stopped_by=StopRequestedError("SIGTERM", StopCause.SIGNAL))


def test_a_run_that_is_stopped_after_a_failure_shows_it_once():
    shown = "The last request failed: HTTP 503"
    sigterm = StopRequestedError("SIGTERM", StopCause.SIGNAL)
    assert text(tally(open_=1), stopped_by=sigterm, trouble="HTTP 503")[1] == shown
    assert shown not in text(tally(open_=1), stopped_by=sigterm)
    assert shown not in text(tally(ok=1), trouble="HTTP 503")  # it has its verdicts all the same
    patience = StoppedError("Nothing for 9 s (the last: HTTP 503).", StopCause.API)
    assert shown not in text(tally(open_=1), stopped_by=patience, trouble="HTTP 503")
    assert report(stopped_by=sigterm, trouble="HTTP 503").as_dict()["trouble"] == "HTTP 503"
    assert report(trouble="HTTP 503").as_dict()["trouble"] is None


def test_ids_of_earlier_runs_are_counted_without_their_invalid_lines():
    lines = text(tally(ok=3, before={Verdict.OK: 4, Verdict.INVALID_ID: 1}))
    assert "  7 IDs = 7 ok" in lines
    assert "  (4 of them completed by earlier runs)" in lines
    assert not any("earlier" in line for line in text(tally(ok=3)))
    only_invalid = text(tally(ok=3, before={Verdict.INVALID_ID: 1}))
    assert not any("earlier" in line for line in only_invalid)


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.OK])
def test_each_verdict_without_a_record_has_its_advice(verdict):
    lines = text(tally(ok=1, **{verdict: 3}))
    assert f"    {verdict}        3  {ADVICE[verdict]}" in lines
    retried = f"  To retry those, add: --reopen {verdict}"
    by_itself = verdict in OPEN_AGAIN | ANSWERED | {Verdict.INVALID_ID}
    assert (retried in lines) is not by_itself
    once_more = f"  Running the same command again retries {verdict}."
    assert (once_more in lines) is (verdict in OPEN_AGAIN)


def test_if_no_id_was_found_the_report_suggests_to_check_the_api():
    hint = "  No ID was found. If --base-url is wrong, correct it and use a new directory."
    assert hint in text(tally(not_found=3))
    assert hint not in text(tally(not_found=3, ok=1))
    assert hint not in text(tally(rejected=3))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("nächte", "nächte"), ("a\nb\x1b[31m", r"a\nb\x1b[31m"), ("caf\udce9", r"caf\xe9")],
)
def test_a_directory_whose_name_can_not_be_printed_is_shown_escaped(name, shown):
    ended = Report(Path(name), tally(ok=1), 1.0, tolerating(), None)
    assert f"  The export is in {shown}" in ended.text().splitlines()
    assert json.loads(json.dumps(ended.as_dict()))["output"] == shown


def test_ids_of_lost_parts_come_with_the_command_that_lists_them():
    of = tally(ok=1)
    of.unfetched = 2
    lines = text(of)
    assert lines[0].startswith("Finished, but 2 IDs of lost parts have no verdict yet")
    assert "  `cxai verify export` lists some." in lines


def test_several_verdicts_are_retried_together():
    lines = text(tally(rejected=1, too_large=2, not_found=1, not_ready=1, exhausted=1))
    assert "  To retry those, add: --reopen too_large" in lines
    assert "  Running the same command again retries not_ready, rejected, exhausted." in lines


def test_the_commonest_reasons_are_below_their_verdict():
    of = tally(rejected=10, not_found=3, not_ready=2)
    of.reasons[Verdict.REJECTED] = Counter({f"HTTP {400 + n}": n for n in range(1, 5)})
    of.reasons[Verdict.NOT_FOUND] = Counter({"no such interaction": 3})
    of.reasons[Verdict.NOT_READY] = Counter({"still being processed": 2})  # clear from the verdict
    lines = text(of)
    place = lines.index(f"    rejected        10  {ADVICE[Verdict.REJECTED]}")
    reasons = [line.strip() for line in lines[place + 1 : place + 5]]
    assert reasons == ["HTTP 404 (4)", "HTTP 403 (3)", "HTTP 402 (2)", "other reasons (1)"]
    assert any(line.strip() == "no such interaction (3)" for line in lines)
    assert not any("HTTP 401" in line or "processed (2)" in line for line in lines)


def test_if_all_reasons_are_shown_there_are_no_others():
    of = tally(rejected=5)
    of.reasons[Verdict.REJECTED] = Counter({"HTTP 400": 3, "HTTP 418": 2})
    assert not any("other reasons" in line for line in text(of))


def test_reasons_beyond_the_bound_are_counted_as_others():
    of = tally(bad_body=100)
    for n in range(100):
        of.note_reason(Verdict.BAD_BODY, f"lacks {n}")
    assert any(line.strip() == "other reasons (97)" for line in text(of))


def test_a_count_of_one_is_in_the_singular():
    lines = text(tally(ok=1))
    assert {"  1 line = 1 ID", "  1 ID = 1 ok"} <= set(lines)


def drifting(unknown=0, absent=0, more=0):
    of = tally(ok=9)
    of.unknown.update({f"new{n}": n for n in range(1, unknown + 1)})
    of.absent.update({f"old{n}": 9 * n for n in range(1, absent + 1)})
    of.more_drift = more
    return [line for line in text(of) if "field" in line]


def test_unknown_fields_come_before_absent_ones_however_frequent_those_are():
    assert drifting(unknown=1, absent=2) == [
        "  Unknown field, kept: new1 (1 result)",
        "  Missing field, now null: old2 (18 results)",
        "  Missing field, now null: old1 (9 results)",
    ]


def test_the_most_frequent_fields_are_listed_and_the_others_counted():
    lines = drifting(unknown=7, absent=40, more=12)
    assert lines[0] == "  Unknown field, kept: new7 (7 results)"
    assert lines[4:6] == [
        "  Unknown field, kept: new3 (3 results)",
        "  … and 2 more unknown fields",
    ]
    assert lines[6] == "  Missing field, now null: old40 (360 results)"
    assert lines[9:] == [
        "  … and 37 more missing fields",
        "  … and 12 more occurrences in other fields",
    ]
    assert "  … and 1 more unknown field" in drifting(unknown=6)


def test_results_as_documented_are_not_mentioned():
    assert drifting() == []


def test_counts_that_do_not_add_up_are_shown():
    of = tally(ok=1)
    of.lines += 1
    assert any("DO NOT ADD UP" in line for line in text(of))
    assert report(of).exit_code == 5
    assert not any("DO NOT ADD UP" in line for line in text())


# --- as data ---


def test_the_report_as_json_has_the_counts():
    plain = json.loads(json.dumps(report(tally(ok=2, exhausted=1), elapsed_s=1.23456).as_dict()))
    assert (
        plain.items()
        >= {
            "headline": (
                "Finished, but 1 of 3 IDs (33.3 %) failed, above --max-failed 0 %: exit code 1."
            ),
            "ended": "finished",
            "reason": "too_many_failed",
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


def test_the_report_of_a_stopped_run_as_json_has_the_reason():
    plain = report(stopped_by=TokenRefusedError("The API refused the token.")).as_dict()
    assert plain["ended"] == "stopped"
    assert (plain["stopped_by"], plain["exit_code"]) == ("The API refused the token.", 3)
    assert plain["headline"] == "Stopped early: The API refused the token."
    assert plain["reason"] == "token_refused"


def test_the_readme_shows_the_report_of_the_demo():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("and at its end:\n\n```text\n")[2].partition("```")[0]
    of = tally(ok=286, not_found=13, processing_failed=1, invalid_id=1)
    of.lines += 9
    of.duplicates, of.blanks, of.comments = 5, 3, 1
    of.requests, of.retries, of.status_requests, of.throttled = 352, 28, 24, 4
    of.reasons = {
        Verdict.NOT_FOUND: Counter({"no such interaction": 13}),
        Verdict.PROCESSING_FAILED: Counter(
            {
                "the API failed to process it (fileDownloadFailed):"
                " https://files.example/call.wav answered 403.": 1
            }
        ),
        Verdict.INVALID_ID: Counter({"is not a GUID": 1}),
    }
    report = Report(Path("demo-export"), of, 14.1, tolerating(0.007), stopped_by=None)
    assert report.text() + "\n" == shown
