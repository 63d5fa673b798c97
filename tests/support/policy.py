"""What can come back for a request, as Hypothesis draws it."""

from hypothesis import strategies as st

from cxai.policy.reply import Failure, FailureKind, Form, Processing, Record, Refusal, Status
from cxai.policy.verdict import FailureStage

draws = st.floats(0, 1, exclude_max=True)

_waits = st.none() | st.floats(0, 1e9)
_words = st.none() | st.text(min_size=1, max_size=200)
_statuses = st.integers(100, 599) | st.integers(-1, 10_000)

any_refusal = st.builds(Refusal, _statuses, st.sampled_from(Form), _words, _waits)
any_failure = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.sampled_from(FailureStage),
    st.just("why"),
    retry_after_s=_waits,
    status=st.none() | st.just(200),
    message=_words,
)
any_status = st.builds(
    Status,
    st.sampled_from(Processing),
    st.just("aState"),
    declared_s=st.none() | st.floats(0, 2e9),
    message=_words,
    retry_after_s=_waits,
)
any_record = st.just(Record({}))
any_seen = any_refusal | any_failure | any_status | any_record
