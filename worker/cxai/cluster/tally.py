"""The accounts of a whole export, in the form of those of a run, so that both are judged alike."""

from collections import Counter
from dataclasses import replace

from cxai.cluster.rows import Counts
from cxai.core.tally import Tally
from cxai.policy.verdict import Verdict


def tally_of(counts: Counts, own: Tally | None = None) -> Tally:
    """Return the accounts of an export; what only a worker knows is from `own`."""
    invalid = counts.verdicts.get(Verdict.INVALID_ID, 0)
    return replace(
        own or Tally(),
        lines=counts.lines,
        duplicates=counts.duplicates,
        invalid=invalid,
        ids=counts.ids - invalid,
        blanks=0,
        comments=0,
        before=Counter(),
        now=Counter(counts.verdicts),
        left_over=0,
        retaken=0,
        committed=None,
    )
