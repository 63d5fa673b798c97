"""Figures as text: numbers, durations, and shares that are never rounded to 0 % or 100 %."""

import math
from collections.abc import Collection

_MOST_DECIMALS = 12


def counted(n: int, what: str) -> str:
    """Return a count with its noun: `1 line`, `2 lines`. `what` is the plural."""
    return f"{n:,} {what.removesuffix('s') if n == 1 else what}"


def verb(n: int, plural: str) -> str:
    """Return the verb that agrees with `n`: `have` or `has`, `are` or `is`."""
    return {"have": "has", "are": "is"}[plural] if n == 1 else plural


def significant(value: float, digits: int = 2) -> str:
    """Return a number with that many significant digits, but never rounded before its point."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def percent(part: int, whole: int, apart_from: Collection[float] = ()) -> str:
    """Return a share as text: `30 %` if that is exact, otherwise with one decimal or more.

    It differs from 0 % and 100 %, and from the shares in `apart_from`: 1 of 100,000 is `0.001 %`.
    """
    if not whole or part * 100 % whole == 0:
        return f"{part * 100 // whole if whole else 0} %"
    others = {100 * share for share in (0.0, 1.0, *apart_from)}
    for decimals in range(1, _MOST_DECIMALS):
        text = f"{100 * part / whole:.{decimals}f}"
        if all(text != f"{other:.{decimals}f}" for other in others):
            break
    return f"{text} %"


def duration(seconds: float) -> str:
    """Return a duration with its units: `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - units of time
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"  # noqa: PLR2004
    minutes, second = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {second:02d} s"
    hours, minute = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minute:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def elapsed(seconds: float) -> str:
    """Return an elapsed time in whole seconds: `0 s`, `7,200 s`."""
    return f"{seconds:,.0f} s"


def remaining(seconds: float) -> str:
    """Return the rest of a wait in whole seconds, rounded up, at least `1 s`."""
    return f"{max(1, math.ceil(seconds)):,} s"
