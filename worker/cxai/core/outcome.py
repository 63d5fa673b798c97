"""An ID with its verdict and its lines, as a commit makes them durable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxai.core.entry import Entry
from cxai.policy.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """An entry with its verdict, ready to be committed.

    `requests` counts its requests, 0 for `invalid_id`. `lines` holds whole JSON lines by part set.
    """

    entry: Entry
    verdict: Verdict
    requests: int
    lines: Mapping[str, bytes] = field(repr=False)
