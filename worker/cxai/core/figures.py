"""Figures in words: numbers of things, and shares that are never rounded into a lie."""

from collections.abc import Collection

_MOST_DECIMALS = 12


def counted(n: int, what: str) -> str:
    """Return a number of things: `1 line`, `2 lines`. `what` is given in the plural."""
    return f"{n:,} {what.removesuffix('s') if n == 1 else what}"


def percent(part: int, whole: int, apart_from: Collection[float] = ()) -> str:
    """Return a share as text: `30 %` if that is exact, else with one decimal or more.

    It has as many decimals as it takes to differ from 0 % and 100 %, and from the shares in
    `apart_from`: 1 of 100,000 is `0.001 %`.
    """
    if not whole or part * 100 % whole == 0:
        return f"{part * 100 // whole if whole else 0} %"
    others = {100 * share for share in (0.0, 1.0, *apart_from)}
    for decimals in range(1, _MOST_DECIMALS):
        text = f"{100 * part / whole:.{decimals}f}"
        if all(text != f"{other:.{decimals}f}" for other in others):
            break
    return f"{text} %"
