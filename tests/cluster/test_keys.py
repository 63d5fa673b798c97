"""Keys in the engine: short, distinct for distinct entries, and read back without loss."""

from hypothesis import given
from hypothesis import strategies as st

from cxai.cluster.keys import entry_key, entry_of, item_key, payload_of
from cxai.cluster.rows import CODES, VERDICTS
from cxai.core.entry import IdRule, key_of
from cxai.policy.verdict import Verdict

TEXTS = st.from_regex(r"[A-Za-z0-9._~-]{1,40}", fullmatch=True)
KEYS = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16).map(lambda digest: b"!" + digest),
    TEXTS,
)


@given(KEYS)
def test_a_key_is_read_back_as_it_was(key):
    assert entry_key(item_key(key)) == key


@given(KEYS, KEYS)
def test_distinct_entries_have_distinct_keys(one, other):
    assert (item_key(one) == item_key(other)) == (one == other)


@given(TEXTS)
def test_no_text_has_the_length_of_a_guid(text):
    assert len(item_key(text)) != 16


@given(st.binary(max_size=60) | TEXTS.map(str.encode), st.booleans())
def test_an_entry_is_read_back_as_it_was(raw, guids_only):
    entry = (IdRule() if guids_only else IdRule(".*")).read(raw, "ids.txt", 7)
    key = item_key(entry.key)
    assert entry_of(key, "ids.txt", 7, payload_of(entry)) == entry


def test_an_ordinary_id_is_stored_as_its_key_only():
    for one in ("0a4f3c1e-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "any-other.id~"):
        entry = IdRule(".*").read(one.encode(), "ids.txt", 1)
        assert payload_of(entry) is None
        assert entry.key == key_of(one)


def test_each_verdict_has_a_number_that_is_stored_and_never_changes():
    assert CODES.keys() == set(Verdict)
    assert len(VERDICTS) == len(Verdict)
    assert [CODES[Verdict(name)] for name in ("ok", "not_found", "exhausted", "poison")] == [
        *(1, 2, 12, 13)
    ]
