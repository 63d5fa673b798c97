"""How the API failed last, and what a run that gives up on it says."""

from cxai.core.backlog import Item
from cxai.errors import StopCause, StoppedError, TokenRefusedError
from cxai.policy.reply import Failure, ParsedReply
from cxai.policy.table import Signal
from cxai.policy.words import advice, reason, words


class Trouble:
    """`last` describes the last failure, None once the API has answered; `api` is its address.

    `advice` says what to check, in whole sentences. Any HTTP response sets `has_replied`.
    """

    def __init__(self, api: str) -> None:
        self.last: str | None = None
        self.advice = ""
        self.has_replied = False
        self._api = api
        self._refusal = ""

    def note(self, item: Item, seen: ParsedReply, signal: Signal) -> None:
        """Note what a request for `item` failed with."""
        self.has_replied |= not isinstance(seen, Failure) or seen.status is not None
        self.last, self.advice = words(seen, item.entry.id), advice(seen)
        if signal is Signal.TOKEN_REFUSED:
            message = (item.job.said.message or "").rstrip(". ")
            quoted = f"{reason(seen)}: {message}" if message else reason(seen)
            self._refusal = f"{quoted}, for {item.entry.id}"

    def token_refused(self) -> TokenRefusedError:
        """Return what stops a run whose token is refused."""
        return TokenRefusedError(
            f"The API refused the token ({self._refusal}). No ID was given a verdict for it:"
            " correct the token, then run the same command again."
        )

    def lasted(self, seconds: float) -> StoppedError:
        """Return what stops a run that had no answer for that long."""
        where = f"The API at {self._api}" if self._api else "The API"
        failed = "has refused or failed all requests for"
        what = failed if self.has_replied else "has not replied once in"
        return StoppedError(
            f"{where} {what} {seconds:.0f} s (the last: {self.last})."
            f"{' ' * bool(self.advice)}{self.advice}"
            " Nothing is lost: run the same command again once the API is back.",
            StopCause.API,
        )
