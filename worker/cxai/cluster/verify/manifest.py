"""Checks manifest.json against the log, in both directions."""

from collections.abc import Mapping
from typing import Any

import orjson

from cxai.cluster.manifest import part_of
from cxai.cluster.names import MANIFEST
from cxai.cluster.rows import Counts, ObjectRow
from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.objects.port import ObjectStore
from cxai.output.compression import Compression


async def check_manifest(
    store: ObjectStore,
    findings: Findings,
    known: Mapping[str, ObjectRow],
    counts: Counts,
    compression: Compression,
    *,
    is_settled: bool,
) -> None:
    """Check the manifest, which a worker writes at its end.

    All entries have to be right, as an object never changes. That of a settled export has to be
    complete: otherwise the worker that settled it was killed, and the next one writes it.
    """
    try:
        content = await _read(store)
    except FileNotFoundError:
        if is_settled:
            findings.unfinished.append(
                f"{MANIFEST} is missing: a running worker writes it within seconds."
            )
        return
    except ValueError:
        _add(findings, "is not a manifest.")
        return
    listed: set[str] = set()
    for entry in content["parts"]:
        listed.add(entry["file"])
        _check_part(findings, known.get(entry["file"]), entry, compression, counts.last_object)
    if len(listed) < len(content["parts"]):
        _add(findings, "lists objects twice.")
    verdicts = {verdict.value: n for verdict, n in counts.verdicts.items()}
    if is_settled and (listed != known.keys() or content.get("verdicts") != verdicts):
        findings.unfinished.append(
            f"{MANIFEST} is older than the last commit: a running worker writes it within seconds."
        )


async def _read(store: ObjectStore) -> dict[str, Any]:
    """Return the manifest. Raises FileNotFoundError, and ValueError if it is malformed."""
    content = orjson.loads(b"".join([chunk async for chunk in store.read(MANIFEST)]))
    if not (
        isinstance(content, dict)
        and isinstance(content.get("parts"), list)
        and all(isinstance(e, dict) and isinstance(e.get("file"), str) for e in content["parts"])
    ):
        raise ValueError("it has no parts")
    return content


def _check_part(
    findings: Findings,
    row: ObjectRow | None,
    entry: Mapping[str, Any],
    compression: Compression,
    last_object: int,
) -> None:
    shown = printable(entry["file"])
    if row is None:
        number = entry.get("number")
        if not isinstance(number, int) or number <= last_object:  # else it is newer than `known`
            _add(findings, f"lists {shown}, which the ledger does not have.")
        return
    for name, right in part_of(row, compression).items():
        if entry.get(name) != right:
            _add(findings, f"has {name} {entry.get(name)!r} for {shown}, not {right!r}.")


def _add(findings: Findings, what: str) -> None:
    findings.add(f"{MANIFEST}: {what}", Advice.REWRITE)
