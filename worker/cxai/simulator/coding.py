"""Content coding on the server's side: which one a client gets, and bodies compressed with it."""

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import brotli  # type: ignore[import-untyped]  # it brings no types

from cxai.simulator.bodies import VARIANTS, result_json

IDENTITY = "identity"

_WEIGHTS: Mapping[str, float] = {"br": 0.70, "gzip": 0.25, "deflate": 0.05}
_ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": partial(brotli.compress, quality=5),
    "gzip": partial(gzip.compress, compresslevel=6, mtime=0),
    "deflate": partial(zlib.compress, level=6),
}
_ZERO = re.compile(r"q=0(\.0{0,3})?")


def choose(accept_encoding: str, draw: float) -> str:
    """Return a coding that the header accepts, chosen by `draw` in [0, 1); `identity` if none is.

    Quality values other than 0 are ignored, so that a client gets all of them.
    """
    accepted = _accepted(accept_encoding)
    left = draw * sum(_WEIGHTS[coding] for coding in accepted)
    for coding in accepted:
        left -= _WEIGHTS[coding]
        if left < 0:
            return coding
    return accepted[-1] if accepted else IDENTITY


@lru_cache(maxsize=64)
def _accepted(header: str) -> tuple[str, ...]:
    named = {}
    for item in header.lower().split(","):
        coding, _, parameter = item.partition(";")
        named[coding.strip()] = not _ZERO.fullmatch(parameter.strip())
    return tuple(coding for coding in _WEIGHTS if named.get(coding, named.get("*", False)))


@lru_cache(maxsize=4 * VARIANTS)
def encoded_result(seed: int, variant: int, coding: str) -> bytes:
    """Return a prebuilt result in this coding."""
    return encode(result_json(seed, variant), coding)


def encode(body: bytes, coding: str) -> bytes:
    """Return `body` in this coding, at the levels that servers use on the fly."""
    return _ENCODERS[coding](body) if coding in _ENCODERS else body


def cut_short(body: bytes, draw: float) -> bytes:
    """Return `body` without its end: at least half of it, chosen by `draw` in [0, 1)."""
    half = len(body) // 2
    return body[: half + int(draw * (len(body) - half))]
