"""The accounts of a run: lines = IDs + duplicates + blanks + comments + invalid, IDs = Σ + open."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.tally import Tally
from cxai.policy.reply import Drift, Record, Said
from cxai.policy.verdict import ANSWERED, Verdict

ACCOUNTS = ["lines", "ids", "duplicates", "blanks", "comments", "invalid"]

verdicts_of_ids = st.sampled_from([v for v in Verdict if v is not Verdict.INVALID_ID])


@st.composite
def histories(draw):
    """Return a tally that was kept as a run keeps it, and how many IDs have no verdict in it."""
    tally = Tally()
    still_open = 0
    for event in draw(
        st.lists(st.sampled_from(["blank", "comment", "duplicate", "invalid", "id"]), max_size=60)
    ):
        tally.lines += 1
        earlier = draw(st.booleans())
        match event:
            case "blank":
                tally.blanks += 1
            case "comment":
                tally.comments += 1
            case "duplicate":
                tally.duplicates += 1
            case "invalid":
                tally.invalid += 1
                if earlier:
                    tally.before[Verdict.INVALID_ID] += 1
                elif draw(st.booleans()):  # else it is not committed yet
                    tally.now[Verdict.INVALID_ID] += 1
            case "id":
                tally.ids += 1
                match draw(st.none() | verdicts_of_ids):
                    case None:
                        still_open += 1
                    case verdict:
                        (tally.before if earlier else tally.now)[verdict] += 1
    return tally, still_open


@given(histories())
def test_every_history_of_a_run_adds_up(history):
    tally, still_open = history
    assert tally.adds_up
    assert tally.open == still_open >= 0
    assert tally.ids == tally.verdicts.total() + tally.open


@given(histories())
def test_an_invalid_line_is_no_id_but_a_failure(history):
    tally, _ = history
    assert Verdict.INVALID_ID not in tally.verdicts
    answered = sum(tally.verdicts[verdict] for verdict in ANSWERED)
    assert tally.failed == tally.ids + tally.invalid - answered - tally.open
    assert 0 <= tally.failed_share <= 1


@given(histories())
def test_the_plain_form_says_the_same(history):
    tally, still_open = history
    plain = tally.as_dict()
    assert plain["lines"] == sum(
        plain[part] for part in ("ids", "duplicates", "blanks", "comments", "invalid")
    )
    assert plain["ids"] == sum(plain["verdicts"].values()) + still_open
    assert plain["ids"] == plain["settled_before"] + plain["settled_now"] + plain["open"]
    assert plain["adds_up"] is True


@given(histories(), st.sampled_from(ACCOUNTS))
def test_a_line_that_is_lost_or_counted_twice_is_seen(history, account):
    tally, _ = history
    setattr(tally, account, getattr(tally, account) + 1)
    assert not tally.adds_up


@given(histories(), verdicts_of_ids)
def test_an_id_with_two_verdicts_is_seen_when_all_are_settled(history, verdict):
    tally, still_open = history
    tally.now[verdict] += still_open + 1
    assert tally.open == -1
    assert not tally.adds_up
    assert tally.as_dict()["adds_up"] is False


def test_an_empty_input_has_not_failed():
    assert Tally().failed_share == 0.0
    assert Tally().adds_up


@pytest.mark.parametrize("verdict", Verdict)
def test_what_the_api_has_answered_is_no_failure_whichever_run_asked(verdict):
    if verdict is Verdict.INVALID_ID:
        now = before = Tally(lines=1, invalid=1)
    else:
        now = Tally(lines=1, ids=1, now=Counter([verdict]))
        before = Tally(lines=1, ids=1, before=Counter([verdict]))
    expected = 0 if verdict in ANSWERED else 1
    assert [now.failed, before.failed] == [expected, expected]


def test_what_is_open_has_not_failed():
    assert Tally(lines=3, ids=3, now=Counter([Verdict.OK])).failed == 0


def test_reasons_are_counted_by_verdict_and_their_number_is_bounded():
    tally = Tally()
    for number in range(1_000):
        tally.note_reason(Verdict.REJECTED, "HTTP 400")
        tally.note_reason(Verdict.BAD_BODY, f"field {number}")
    assert tally.reasons[Verdict.REJECTED] == {"HTTP 400": 1_000}
    assert len(tally.reasons[Verdict.BAD_BODY]) == 64
    assert tally.as_dict()["reasons"]["rejected"] == {"HTTP 400": 1_000}


def test_drift_is_counted_by_field_and_the_number_of_fields_is_bounded():
    tally = Tally()
    for number in range(1_000):
        tally.note_drift(Record({}, Drift(("known", f"new-{number}"))), Said())
    assert tally.unknown["known"] == 1_000
    assert len(tally.unknown) == 256
    assert tally.unknown["new-0"] == 1
    assert "new-999" not in tally.unknown
    assert tally.more_drift == 1_000 - 255  # what is not named is counted all the same


def test_the_words_of_the_api_are_counted_with_the_reasons_until_there_are_too_many():
    tally = Tally()
    for number in range(1_000):
        tally.note_reason(Verdict.REJECTED, "HTTP 400", f"trace {number}")
        tally.note_reason(Verdict.REJECTED, "HTTP 400", "No such tenant.")
    reasons = tally.reasons[Verdict.REJECTED]
    assert reasons["HTTP 400: No such tenant."] == 1_000
    assert reasons["HTTP 400: trace 0"] == 1
    assert reasons["HTTP 400"] > 900
    assert reasons.total() == 2_000
    assert len(reasons) <= 64


def test_absent_fields_never_take_the_place_of_unknown_ones():
    tally = Tally()
    tally.note_drift(
        Record({}, Drift(absent=tuple(f"old-{number}" for number in range(1_000)))), Said()
    )
    tally.note_drift(Record({}, Drift(("participantThree",))), Said())
    assert tally.unknown == {"participantThree": 1}
    assert len(tally.absent) == 256
    shown = list(tally.as_dict()["drift"].items())
    assert shown[:2] == [("participantThree", 1), ("old-0 (absent)", 1)]
    assert tally.as_dict()["more_drift"] == 1_000 - 256


@given(histories(), st.integers(-3, 3))
def test_what_the_ledger_lacks_or_has_too_much_does_not_add_up(history, difference):
    tally, _ = history
    tally.committed = tally.now.total() + difference
    assert tally.adds_up is (difference == 0)
