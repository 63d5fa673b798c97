"""The report of a worker: the counts of the whole shared export, and the worker's own part."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cxai.core.tally import Tally
from cxai.inspect.report import Report
from cxai.policy.verdict import Verdict


@dataclass(frozen=True)
class SharedReport(Report):
    """The state of a shared export when one of its workers ended.

    `tally` is the export's, `own` the worker's. `destination` is where its objects are,
    `url` names the export.
    """

    own: Tally = field(default_factory=Tally)
    destination: str = ""
    url: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            **super().as_dict(),
            "output": self.destination,
            "export": self.url,
            "worker": {"completed": self.own.settled_now, "requests": self.own.requests},
        }

    _others: ClassVar[str] = "other reasons, or reported by other workers"

    @property
    def export(self) -> str:
        """The URL of the export."""
        return self.url

    @property
    def _place(self) -> str:
        return self.destination

    @property
    def _failures(self) -> str:
        return f"{self.destination}/failures/"

    @property
    def _work(self) -> str:
        return f"This worker: {self._done_by(self.own)}"

    def _retry_closed(self, verdicts: Sequence[Verdict]) -> str:
        return f"To retry those: cxai retry {','.join(verdicts)} --in {self.url}"

    def _retry_open(self, verdicts: Sequence[Verdict]) -> str:
        return self._retry_closed(verdicts)
