"""Accounts of runs, as they are when a run has ended."""

from collections import Counter

from cxai.core.tally import Tally
from cxai.policy.verdict import Verdict


def tally(*, open_=0, before=None, **verdicts):
    """Return the tally of an input with so many IDs of each verdict, now and `before`."""
    now = Counter({Verdict(name): n for name, n in verdicts.items()})
    earlier = Counter(before or {})
    invalid = now[Verdict.INVALID_ID] + earlier[Verdict.INVALID_ID]
    ids = now.total() + earlier.total() - invalid + open_
    return Tally(lines=ids + invalid, ids=ids, invalid=invalid, now=now, before=earlier)
