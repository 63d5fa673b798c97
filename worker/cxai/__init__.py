"""Retrieves ElevateAI CX AI results in bulk, exactly once, as JSON Lines.

From a program: `report = await cxai.export(cxai.Settings(rate=5), "ids.txt", "export/", token=...)`
(docs/library.md). From a shell: the command `cxai` (README.md).
"""

from typing import TYPE_CHECKING

from cxai.version import __version__

if TYPE_CHECKING:
    from cxai.core.stop import StopRequest
    from cxai.errors import CxaiError, IntegrityError, UsageError
    from cxai.inspect.report import Report
    from cxai.library import export
    from cxai.policy.verdict import Verdict
    from cxai.settings import Settings

__all__ = [
    "CxaiError",
    "IntegrityError",
    "Report",
    "Settings",
    "StopRequest",
    "UsageError",
    "Verdict",
    "__version__",
    "export",
]

_HOMES = {
    "CxaiError": "cxai.errors",
    "IntegrityError": "cxai.errors",
    "Report": "cxai.inspect.report",
    "Settings": "cxai.settings",
    "StopRequest": "cxai.core.stop",
    "UsageError": "cxai.errors",
    "Verdict": "cxai.policy.verdict",
    "export": "cxai.library",
}
"""Where each name is defined. It is imported when it is first asked for: `import cxai` is cheap."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see _HOMES

    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
