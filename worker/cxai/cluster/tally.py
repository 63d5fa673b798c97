"""The counts of a whole export as a run's, so that the same rules decide how both have ended."""

from collections import Counter
from dataclasses import replace

from cxai.cluster.rows import Counts
from cxai.core.tally import Tally
from cxai.policy.verdict import Verdict


def tally_of(counts: Counts, own: Tally | None = None) -> Tally:
    """Return the counts of an export; those that only a worker has are taken from `own`."""
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
