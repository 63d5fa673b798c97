"""Checks manifest.json against the ledger, in both directions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.port import Run
from cxai.output.manifest import MANIFEST_NAME
from cxai.output.part_state import PartState
from cxai.output.private import open_for_reading

_OF_A_PART = ("set", "bytes", "records", "sha256", "run_id", "released_at")


def check_manifest(
    findings: Findings,
    known: Mapping[str, PartState],
    verdicts: Mapping[str, int],
    last: Run | None,
) -> None:
    """Check everything in the manifest.

    If the last run did not shut down cleanly, the manifest may be of an earlier run: then it need
    not list all parts, but those that it lists must match, since a finished part never changes.
    """
    is_current = last is not None and last.ended is not None
    try:
        content = _read(findings.directory / MANIFEST_NAME)
    except FileNotFoundError:
        if is_current:
            _add(findings, "is missing.")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        _add(findings, f"can't be read: {why}.")
    else:
        listed = _check_parts(findings, known, content["parts"])
        listed |= _check_parts(findings, known, content["released_parts"], released=True)
        if last is not None and is_current:
            _check_current(findings, known, content, listed, verdicts, last)


def _read(path: Path) -> dict[str, Any]:
    """Return what a manifest holds. Raises OSError, and ValueError if it is none."""
    with open_for_reading(path) as file:
        content = orjson.loads(file.read())
    if not _is_manifest(content):
        raise ValueError("it is not a manifest")
    return dict(content)


def _check_current(
    findings: Findings,
    known: Mapping[str, PartState],
    content: Mapping[str, Any],
    listed: set[str],
    verdicts: Mapping[str, int],
    last: Run,
) -> None:
    for name, part in known.items():
        if part.sealed and name not in listed:
            _add(findings, f"does not list {name}.")
    if content["verdicts"] != verdicts:
        there, right = _counts(content["verdicts"]), _counts(verdicts)
        _add(findings, f"has the verdicts {there}, but the ledger has {right}.")
    for key, value in last.report.items():
        if content["last_run"].get(key) != value:
            _add(findings, f"is of another run than the last one (its {key} differs).")
            break


def _is_manifest(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and all(_are_parts(content.get(key)) for key in ("parts", "released_parts"))
        and all(isinstance(content.get(key), dict) for key in ("verdicts", "last_run"))
    )


def _are_parts(entries: Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("file"), str) for entry in entries
    )


def _check_parts(
    findings: Findings,
    known: Mapping[str, PartState],
    entries: list[dict[str, Any]],
    *,
    released: bool = False,
) -> set[str]:
    """Check the entries of parts and return the names that they list."""
    listed: set[str] = set()
    for entry in entries:
        name = entry["file"]
        shown = printable(Path(name))
        part = known.get(name)
        if name in listed:
            _add(findings, f"lists {shown} twice.")
        elif part is None or not part.sealed:
            _add(findings, f"lists {shown}, which the ledger does not have.")
        elif part.is_released != released:
            said, is_so = ("not released", "released")[:: -1 if released else 1]
            _add(findings, f"has {shown} as {said}, but in the ledger it is {is_so}.")
        else:
            for key in _OF_A_PART:
                its, right = entry.get(key), getattr(part, key)
                if its != right:
                    _add(findings, f"has {key} {its!r} for {shown}, but the ledger has {right!r}.")
        listed.add(name)
    return listed


def _counts(verdicts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(verdicts.items())) or "none"


def _add(findings: Findings, what: str) -> None:
    findings.add(f"{MANIFEST_NAME}: {what}", Advice.REWRITE)
