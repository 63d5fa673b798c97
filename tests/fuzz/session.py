"""Sends inputs through the target and counts what became of them."""

from collections import Counter
from dataclasses import dataclass, field

from fuzz.inputs import make_input
from fuzz.target import LIMITS, Broken, check, check_retry_after, decode, hold

from cxai.policy.reply import Failure, FailureKind

_KNOWN_LIMITS = (FailureKind.TOO_LARGE, FailureKind.UNSUPPORTED_ENCODING)


@dataclass(slots=True)
class Session:
    """What a series of inputs has shown so far."""

    inputs: int = 0
    outcomes: Counter = field(default_factory=Counter)

    def play(self, made):
        """Check one input; whatever it raises is a finding."""
        self.inputs += 1
        result, status, refusal = check(made.body, made.content_encoding)
        self.outcomes[result] += 1
        self.outcomes[refusal] += 1
        if status.startswith("status"):
            self.outcomes[status] += 1
        if made.is_cut or made.decoded is not None:
            self._hold_to_what_is_known(made)
        self.outcomes[check_retry_after(made.retry_after)] += 1

    def _hold_to_what_is_known(self, made):
        found = decode(made.body, made.content_encoding, LIMITS)
        if made.is_cut:
            hold(isinstance(found, Failure), "a coding that is cut is refused")
            self.outcomes["(cut, and refused)"] += 1
        elif not (isinstance(found, Failure) and found.kind in _KNOWN_LIMITS):
            hold(found == made.decoded, "an undamaged body is decoded to what it was")
            self.outcomes["(encoded, and the same again)"] += bool(made.content_encoding)


def smallest(body, content_encoding, promise):
    """Return a body as short as can be had by leaving bytes out, that breaks the same promise."""
    step = max(1, len(body) // 2)
    tries = 0
    while tries < 5000:
        at = 0
        before = len(body)
        while at < len(body) and tries < 5000:
            shorter = body[:at] + body[at + step :]
            tries += 1
            if complaint(shorter, content_encoding) == promise:
                body = shorter
            else:
                at += step
        if step == 1 and len(body) == before:
            break
        step = max(1, step // 2)
    return body


def complaint(body, content_encoding):
    """Return what goes wrong with a body, None if nothing does."""
    try:
        check(body, content_encoding)
    except Exception as error:  # noqa: BLE001 # whatever it is: that is the finding
        return str(error) if isinstance(error, Broken) else type(error).__name__
    return None


def first_finding(session, seeds):
    """Play the inputs of `seeds`; return the seed and the error of the first finding, or None."""
    for seed in seeds:
        try:
            session.play(make_input(seed))
        except Exception as error:  # noqa: BLE001 # whatever it is: that is the finding
            return seed, error
    return None
