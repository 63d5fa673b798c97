"""The settings that all workers of an export share: in its database, so that they can't disagree.

The form decides what the rows are and where they come from, and never changes. The terms decide how
the work is done, and may change.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from cxai.core.resource import Resource
from cxai.errors import UsageError
from cxai.resources.options import ScoreRanges
from cxai.settings import Settings, SettingsError

FORM = ("resource", "shape", "compression", "base_url")
TERMS = (
    *("rate", "in_flight", "adaptive", "total_timeout_s", "retry_share"),
    *("flush_s", "flush_ids", "worker_ttl_s", "max_failed", "allow_none"),
)

_LIMITS = dict.fromkeys(("rate", "in_flight"))


def form_of(
    settings: Settings, resource: Resource, ranges: ScoreRanges | None, destination: str
) -> dict[str, Any]:
    """Return the form of a new export, as JSON values."""
    mark = resource.bands_mark
    return {
        **_as_json(settings, FORM),
        "schema_version": resource.layout.schema_version,
        "bands": ranges.content.decode() if ranges is not None else "",
        "bands_name": mark.name,
        "bands_digest": mark.digest,
        "destination": destination,
    }


def changed_settings(
    asked: Settings, form: Mapping[str, Any], terms: Mapping[str, Any]
) -> Settings:
    """Return the settings of an existing export, with those in `asked` changed."""
    there = _settings_of(form, terms)
    given = asked.given & {*FORM, *TERMS, "score_bands"}
    return there.replace(**{name: getattr(asked, name) for name in given})


def terms_of(settings: Settings) -> dict[str, Any]:
    """Return the terms of an export, as JSON values."""
    return _as_json(settings, TERMS)


def can_be_followed(began: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a worker that began with some terms can apply the present ones without a restart.

    It follows the rate, and the requests in flight up to the number that it began with.
    """
    if now["in_flight"] > began["in_flight"]:
        return False
    return {**began, **_LIMITS} == {**now, **_LIMITS}


def ranges_of(form: Mapping[str, Any]) -> ScoreRanges | None:
    """Return the score ranges of an export, None if it has none."""
    bands = form["bands"]
    return ScoreRanges(Path(form["bands_name"]), bands.encode()) if bands else None


def shared_settings(own: Settings, form: Mapping[str, Any], terms: Mapping[str, Any]) -> Settings:
    """Return the settings of a worker: its own, overridden by those of the export.

    Raises UsageError if one of those was set to another value, or if this version can't use it.
    """
    there = _settings_of(form, terms)
    shared = {name: getattr(there, name) for name in (*FORM, *TERMS)}
    if own.reopen:
        raise UsageError("To retry IDs of a shared export, use `cxai retry` instead of --reopen.")
    if own.score_bands is not None:
        raise UsageError("Score ranges are fixed for the whole export: omit score_bands.")
    for name in own.given & shared.keys():
        if getattr(own, name) != shared[name]:
            change = (
                "" if name in FORM else ", or change it for all workers with `cxai cluster init`"
            )
            raise UsageError(
                f"All workers of this export have {name} = {shared[name]}, but this one has"
                f" {getattr(own, name)}. Omit it{change}."
            )
    return own.replace(**shared)


def _settings_of(form: Mapping[str, Any], terms: Mapping[str, Any]) -> Settings:
    """Return the settings in the database; others have their defaults."""
    names = {name: form[name] for name in FORM} | {n: terms[n] for n in TERMS if n in terms}
    try:
        return Settings(**names)
    except SettingsError as error:
        raise UsageError(
            "Another version of cxai-worker created this export, and this one can't use its"
            f" settings: {'; '.join(error.problems)}."
        ) from None


def _as_json(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    values = ((name, getattr(settings, name)) for name in names)
    return {name: v.value if isinstance(v, StrEnum) else v for name, v in values}
