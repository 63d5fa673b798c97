"""The numbers of verdicts in the database. They are stored, so none ever changes its meaning."""

from collections.abc import Mapping

from cxai.policy.verdict import Verdict

CODES: Mapping[Verdict, int] = {
    Verdict.OK: 1,  # export.sql has this number in a trigger
    Verdict.NOT_FOUND: 2,
    Verdict.NOT_READY: 3,
    Verdict.PROCESSING_FAILED: 4,
    Verdict.INVALID_ID: 5,
    Verdict.REJECTED: 6,
    Verdict.BAD_BODY: 7,
    Verdict.CORRUPT_BODY: 8,
    Verdict.UNSUPPORTED_ENCODING: 9,
    Verdict.TOO_LARGE: 10,
    Verdict.REDIRECTED: 11,
    Verdict.EXHAUSTED: 12,
    Verdict.POISON: 13,
}

VERDICTS: Mapping[int, Verdict] = {code: verdict for verdict, code in CODES.items()}


def by_verdict(counted: Mapping[str, int]) -> Mapping[Verdict, int]:
    """Return counts by code as counts by verdict, in the order of verdicts."""
    known = {VERDICTS[int(code)]: ids for code, ids in counted.items()}
    return {verdict: known[verdict] for verdict in Verdict if verdict in known}
