"""Score ranges: the named band that a score falls into.

The API's documentation gives each model ranges with descriptions, "lower bounds exclusive, upper
bounds inclusive". The figures are an account's own, so they are configuration; none is built in.
"""

import math
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any

from cxai.core.layout import BandsMark
from cxai.errors import UsageError
from cxai.resources.options import ScoreRanges

_MAX_INT = 2**53  # beyond it, a float may be another number


def load_bands(ranges: ScoreRanges) -> "Bands":
    """Return the score ranges of a TOML file such as config/score_bands.example.toml.

    Raises UsageError, naming the file and what to do, if it holds anything else.
    """
    path = ranges.path
    try:
        return Bands(tomllib.loads(ranges.content.decode()))
    except ValueError as error:  # no TOML, or no UTF-8
        raise UsageError(f"Score ranges {path}: is not TOML: {error}.") from error
    except UsageError as error:
        raise UsageError(f"Score ranges {path}: {error}") from error


class Bands:
    """The score ranges of an account.

    `config` is what a TOML file holds: `{"table": [{"bundle": str, "model": str, "bands": [{"name":
    str, "lower": number, "upper": number}, ...]}, ...]}`. A score belongs to a band if lower <
    score <= upper; a band without `lower` or `upper` has no end on that side. A table without
    `model` is for every model of the bundle that has no table of its own. Bands of one table may
    leave gaps and share names, but never overlap; their order does not matter.

    Raises UsageError, naming the table and the band, if it is anything else.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        tables = _list_of_tables(config.get("table"))
        if not tables:
            raise UsageError("holds no score ranges: it needs at least one [[table]] with bands.")
        _refuse_unknown(config, {"table"}, "the file")
        self._tables: dict[tuple[str, str | None], _Ranges] = {}
        for number, table in enumerate(tables, start=1):
            bundle, model, where = _named(table, number)
            if (bundle, model) in self._tables:
                raise UsageError(f"{where}: has two tables. Keep one of them.")
            self._tables[bundle, model] = _Ranges(table.get("bands"), where)

    def mark(self, name: str) -> BandsMark:
        """Return the mark of these ranges, with `name` for people.

        The order of tables and bands, and the notation of numbers, make no difference.
        """
        said = sorted(
            (bundle, model or "", model is None, ranges.said)
            for (bundle, model), ranges in self._tables.items()
        )
        return BandsMark(sha256(repr(said).encode()).hexdigest(), name)

    def band(self, bundle: str | None, model: str | None, score: float | None) -> str | None:
        """Return the name of the band that `score` falls into, None if there is none.

        If the model has a table, only that counts; otherwise the bundle's does.
        """
        if bundle is None or score is None:
            return None
        # For a model without a name, the first key is the bundle's table as well.
        ranges = self._tables.get((bundle, model)) or self._tables.get((bundle, None))
        return ranges.find(score) if ranges else None


class _Ranges:
    """The bands of one table, in order."""

    def __init__(self, config: Any, where: str) -> None:
        bands = _list_of_tables(config)
        if not bands:
            raise UsageError(
                f"{where}: it needs bands = [{{ name = ..., lower = ..., upper = ... }}]"
            )
        ranges = sorted(_range(band, where) for band in bands)
        for (_, upper, name), (lower, _, next_name) in pairwise(ranges):
            if lower < upper:
                raise UsageError(f"{where}: bands {name!r} and {next_name!r} overlap.")
        self._lowers, self._uppers, self._names = zip(*ranges, strict=True)
        self.said = ranges

    def find(self, score: float) -> str | None:
        # The first band whose inclusive upper bound is not below the score is the only candidate.
        index = bisect_left(self._uppers, score)
        if index == len(self._uppers) or score <= self._lowers[index]:
            return None
        name: str = self._names[index]
        return name


def _named(table: Mapping[str, Any], number: int) -> tuple[str, str | None, str]:
    bundle, model = table.get("bundle"), table.get("model")
    where = f"table {number}"
    if not isinstance(bundle, str) or not isinstance(model, str | None):
        raise UsageError(f'{where}: it needs bundle = "...", and model = "..." or no model.')
    where += f" ({bundle} / {model or 'every model'})"
    _refuse_unknown(table, {"bundle", "model", "bands"}, where)
    return bundle, model, where


def _range(band: Mapping[str, Any], where: str) -> tuple[float, float, str]:
    name = band.get("name")
    if not isinstance(name, str):
        raise UsageError(f'{where}: each band needs name = "...".')
    where += f", band {name!r}"
    _refuse_unknown(band, {"name", "lower", "upper"}, where)
    lower = _bound(band, "lower", -math.inf, where)
    upper = _bound(band, "upper", math.inf, where)
    if lower >= upper:
        raise UsageError(f"{where}: lower {lower:g} must be below upper {upper:g}.")
    return lower, upper, name


def _bound(band: Mapping[str, Any], key: str, absent: float, where: str) -> float:
    if key not in band:
        return absent
    value = band[key]
    is_number = isinstance(value, float) or (type(value) is int and abs(value) <= _MAX_INT)
    number = float(value) + 0.0 if is_number else math.nan  # -0.0 is 0.0
    if not math.isfinite(number):
        raise UsageError(f"{where}: {key} must be a number; leave it out where there is no end.")
    return number


def _list_of_tables(value: Any) -> list[Mapping[str, Any]]:
    """Return `value` if it is a list of tables, otherwise an empty list."""
    are_tables = isinstance(value, list) and all(isinstance(each, Mapping) for each in value)
    return value if are_tables else []


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := table.keys() - known:
        wanted = ", ".join(sorted(known))
        raise UsageError(f"{where}: unknown key {min(unknown)!r}; allowed are {wanted}.")
