"""How a run ends: exit code, reason and headline are decided together, and never contradict."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.defaults import tolerating
from support.tallies import tally

from cxai.core.ending import Reason, ending, may_be_closed, weightier
from cxai.errors import (
    CommitError,
    CxaiError,
    DiskFullError,
    ExitCode,
    InputBrokenError,
    IntegrityError,
    StopCause,
    StoppedError,
    StopRequestedError,
    TokenRefusedError,
    UsageError,
)
from cxai.policy.verdict import ANSWERED, Verdict

SIGTERM = StopRequestedError("SIGTERM", StopCause.SIGNAL)
ALL_WELL = "Finished: {} of {} IDs completed."


def ended(of, stopped_by=None, **tolerance):
    return ending(of, tolerating(**tolerance), stopped_by)


def headline(of, stopped_by=None, **tolerance):
    return ended(of, stopped_by, **tolerance).headline


# --- green ---


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (tally(ok=300), ALL_WELL.format(300, 300)),
        (tally(ok=8, not_found=1, processing_failed=1), ALL_WELL.format(10, 10)),
        (tally(ok=1, not_found=1_999), ALL_WELL.format("2,000", "2,000")),
        (tally(before={Verdict.OK: 20}), ALL_WELL.format(20, 20)),
        (tally(not_found=19, before={Verdict.OK: 1}), ALL_WELL.format(20, 20)),
        (tally(ok=1), "Finished: 1 of 1 ID completed."),
    ],
)
def test_a_run_is_green_if_all_ids_are_answered_and_one_has_a_result_now_or_before(of, said):
    end = ended(of)
    assert (end.exit_code, end.reason, end.headline) == (0, Reason.FINISHED, said)


# --- IDs of reopened parts that are not in the input ---


@pytest.mark.parametrize(
    ("unfetched", "said"),
    [
        (1, "1 ID of lost parts has no verdict yet and is not in this input"),
        (90, "90 IDs of lost parts have no verdict yet and are not in this input"),
    ],
)
@pytest.mark.parametrize("of", [tally(ok=9), tally(), tally(ok=1, exhausted=9)])
def test_ids_of_reopened_parts_that_are_not_in_the_input_are_not_green(of, unfetched, said):
    of = replace(of, unfetched=unfetched)
    end = ended(of, max_failed=1.0, allow_empty=True)
    assert (end.exit_code, end.reason) == (4, Reason.UNFETCHED)
    assert end.headline == f"Finished, but {said}: exit code 4."


# --- too many failed ---


@pytest.mark.parametrize(
    ("of", "max_failed", "code"),
    [
        (tally(ok=9, exhausted=1), 0.0, 1),
        (tally(ok=9, exhausted=1), 0.1, 0),  # exactly as many as may
        (tally(ok=8, exhausted=2), 0.1, 1),
        (tally(ok=997, exhausted=3), 0.003, 0),
        (tally(ok=996, exhausted=4), 0.003, 1),
        (tally(ok=9, invalid_id=1), 0.09, 1),  # a line without an ID fails as an ID does
        (tally(ok=9, invalid_id=1), 0.1, 0),
        (tally(ok=9, before={Verdict.REJECTED: 1}), 0.0, 1),  # failed in an earlier run
        (tally(ok=9, before={Verdict.INVALID_ID: 1}), 0.0, 1),
        (tally(ok=1, exhausted=9), 1.0, 0),
    ],
)
def test_a_run_fails_above_the_share_that_may_fail_and_not_at_it(of, max_failed, code):
    end = ended(of, max_failed=max_failed)
    assert end.exit_code == code
    assert end.reason is (Reason.TOO_MANY_FAILED if code else Reason.FINISHED)
    assert f"--max-failed {100 * max_failed:g} %" in end.headline
    assert ("exit code 1" in end.headline) is bool(code)


@pytest.mark.parametrize(
    ("of", "max_failed", "said"),
    [
        (
            tally(ok=14, exhausted=6),
            0.0,
            "Finished, but 6 of 20 IDs (30 %) failed, above --max-failed 0 %: exit code 1.",
        ),
        (
            tally(ok=999, rejected=1),
            0.0,
            "Finished, but 1 of 1,000 IDs (0.1 %) failed, above --max-failed 0 %: exit code 1.",
        ),
        (
            tally(ok=1, rejected=999),
            0.5,
            "Finished, but 999 of 1,000 IDs (99.9 %) failed, above --max-failed 50 %: exit code 1.",
        ),
        (
            tally(ok=9, invalid_id=1),
            0.0,
            "Finished, but 1 line has no valid ID (10 %), above --max-failed 0 %: exit code 1.",
        ),
        (
            tally(ok=7, exhausted=1, invalid_id=2),
            0.25,
            (
                "Finished, but 1 of 8 IDs failed and 2 lines have no valid ID (30 % in all),"
                " above --max-failed 25 %: exit code 1."
            ),
        ),
        (
            tally(ok=8, exhausted=2),
            0.2,
            (
                "Finished: 8 of 10 IDs completed;"
                " 2 of 10 IDs (20 %) failed, within --max-failed 20 %."
            ),
        ),
        (
            tally(ok=9, invalid_id=1),
            0.1,
            (
                "Finished: 9 of 9 IDs completed;"
                " 1 line has no valid ID (10 %), within --max-failed 10 %."
            ),
        ),
    ],
)
def test_the_headline_counts_what_failed_and_names_the_limit(of, max_failed, said):
    assert headline(of, max_failed=max_failed) == said


# --- green on nothing ---


def clutter():
    of = tally()
    of.lines, of.blanks, of.comments = 5, 3, 2
    return of


@pytest.mark.parametrize("of", [tally(), clutter()], ids=["no line", "blank lines and comments"])
def test_an_input_without_an_id_is_an_error_unless_that_is_allowed(of):
    end = ended(of, allow_none=True, max_failed=1.0)
    assert (end.exit_code, end.reason) == (2, Reason.EMPTY_INPUT)
    assert end.headline == "Finished, but the input has no IDs: exit code 2."
    allowed = ended(of, allow_empty=True)
    assert (allowed.exit_code, allowed.reason) == (0, Reason.FINISHED)
    assert allowed.headline == "Finished: the input has no IDs, which --allow-empty permits."


@pytest.mark.parametrize("of", [tally(invalid_id=3), tally(before={Verdict.INVALID_ID: 3})])
def test_an_input_of_which_no_line_is_an_id_is_an_error_whatever_is_allowed(of):
    end = ended(of, allow_empty=True, allow_none=True, max_failed=1.0)
    assert (end.exit_code, end.reason) == (2, Reason.NO_VALID_ID)
    assert end.headline == ("Finished, but the input has no valid ID in 3 lines: exit code 2.")


@pytest.mark.parametrize(
    "of",
    [
        tally(not_found=20),
        tally(processing_failed=20),
        tally(not_found=10, processing_failed=10),
        tally(exhausted=20),
        tally(before={Verdict.NOT_FOUND: 20}),
        tally(not_found=10, before={Verdict.REJECTED: 10}),
    ],
)
def test_a_run_without_a_single_result_is_an_error_unless_that_is_allowed(of):
    end = ended(of, max_failed=1.0)
    assert (end.exit_code, end.reason) == (1, Reason.NO_RESULT)
    assert end.headline == "Finished, but 0 of 20 IDs have a result: exit code 1."
    assert ended(of, max_failed=1.0, allow_none=True).exit_code == 0


def test_that_no_result_is_allowed_is_said_and_excuses_no_failure():
    assert headline(tally(not_found=3), allow_none=True) == (
        "Finished: 3 of 3 IDs completed; no ID has a result, which --allow-none permits."
    )
    assert ended(tally(not_found=3, exhausted=1), allow_none=True).exit_code == 1


# --- stopped ---


@pytest.mark.parametrize(
    ("why", "code", "reason"),
    [
        (StoppedError("outage", StopCause.API), 4, Reason.STOPPED),
        (InputBrokenError("torn"), 4, Reason.STOPPED),
        (CommitError("full"), 4, Reason.STOPPED),
        (TokenRefusedError("401"), 3, Reason.TOKEN_REFUSED),
        (IntegrityError("damaged"), 5, Reason.CONTRADICTION),
        (UsageError("column"), 2, Reason.USAGE),
        (CxaiError("else"), 70, Reason.OUR_FAULT),
    ],
)
@pytest.mark.parametrize("of", [tally(), tally(exhausted=1), tally(ok=1), tally(open_=1)])
def test_a_stopped_run_has_the_code_of_what_stopped_it_whatever_else(of, why, code, reason):
    end = ended(of, why, allow_empty=True, allow_none=True, max_failed=1.0)
    assert (end.exit_code, end.reason) == (code, reason)
    assert end.headline == f"Stopped early: {why}"


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (SIGTERM, "Stopped early by SIGTERM."),
        (StopRequestedError("the caller", StopCause.CALLER), "Stopped early by the caller."),
    ],
)
def test_a_stop_that_was_asked_for_reads_as_a_sentence(by, said):
    assert headline(tally(open_=1), by) == said


# --- closing the books ---


@pytest.mark.parametrize(
    ("stopped_by", "may_be"),
    [
        (None, True),
        (SIGTERM, True),
        (TokenRefusedError("401"), True),
        (InputBrokenError("torn"), True),
        (DiskFullError("full", "the disk is full"), True),  # the whole batch was truncated
        (CommitError("fsync failed"), False),
        (IntegrityError("damaged"), False),
    ],
)
def test_the_books_are_closed_unless_it_is_unknown_what_is_durable(stopped_by, may_be):
    assert may_be_closed(stopped_by) is may_be


@pytest.mark.parametrize(
    ("stopped_by", "on_closing", "says"),
    [
        (None, CommitError("full"), "full"),
        (SIGTERM, CommitError("full"), "Stopped by SIGTERM."),
        (SIGTERM, IntegrityError("damaged"), "damaged"),
        (None, IntegrityError("damaged"), "damaged"),
    ],
)
def test_what_stopped_a_run_weighs_more_than_books_that_stay_open_but_less_than_a_contradiction(
    stopped_by, on_closing, says
):
    assert str(weightier(stopped_by, on_closing)) == says


# --- the accounts ---


def lost_a_line():
    of = tally(ok=20)
    of.lines += 1
    return of


def lost_in_the_ledger():
    of = tally(ok=20)
    of.committed = 19
    return of


@pytest.mark.parametrize("of", [lost_a_line(), lost_in_the_ledger(), tally(ok=19, open_=1)])
def test_accounts_that_do_not_add_up_are_never_green(of):
    end = ended(of, max_failed=1.0, allow_empty=True, allow_none=True)
    assert (end.exit_code, end.reason) == (5, Reason.CONTRADICTION)
    assert end.headline == "The counts of this run do not add up: exit code 5."


@pytest.mark.parametrize(
    "why", [StopRequestedError("SIGTERM", StopCause.SIGNAL), TokenRefusedError("401")]
)
def test_accounts_that_do_not_add_up_weigh_more_than_what_stopped_the_run(why):
    end = ended(lost_a_line(), why)
    assert end.exit_code == 5
    assert "Stopped early" in end.headline
    assert "do not add up: exit code 5" in end.headline


# --- all of it together ---

verdicts = st.dictionaries(st.sampled_from(Verdict), st.integers(0, 30), max_size=4)


@given(verdicts, verdicts, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans(), st.booleans())
def test_green_says_finished_and_nothing_else_does_without_a_but(
    now, before, max_failed, allow_empty, allow_none
):
    of = tally(**{verdict.value: n for verdict, n in now.items()}, before=before)
    end = ended(of, max_failed=max_failed, allow_empty=allow_empty, allow_none=allow_none)
    is_green = end.exit_code is ExitCode.FINISHED
    assert end.headline.startswith("Finished: " if is_green else "Finished, but ")
    assert end.headline.endswith("." if is_green else f": exit code {end.exit_code}.")
    assert is_green is (end.reason is Reason.FINISHED)
    if is_green:
        both = Counter(now) + Counter(before)
        failed = sum(n for verdict, n in both.items() if verdict not in ANSWERED)
        assert failed <= max_failed * both.total()
        assert both[Verdict.OK] or allow_none or (allow_empty and not both.total())
