"""An ID with its verdict and its lines: what a commit makes durable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxai.core.entry import Entry
from cxai.policy.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """An entry with its verdict, ready to be committed.

    `requests` counts the requests made for it, from 0 (`invalid_id`).
    `lines` holds whole JSON lines by the name of the part set that they belong to.
    """

    entry: Entry
    verdict: Verdict
    requests: int
    lines: Mapping[str, bytes] = field(repr=False)
