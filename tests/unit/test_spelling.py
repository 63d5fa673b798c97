"""Recognizing a secret in input, and masking it in output: both find the same spellings."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.secret import MASK, Secrets
from cxai.core.secret_str import SecretStr
from cxai.core.spelling import pattern
from cxai.observe.redaction import Redaction

GUID = "3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44"
AWKWARD = "c4nary\"T0\\ken='x/y+z"
OPAQUE = "canary_7f3a.9c51~e0b2/x+y=="

SPELLINGS = {
    "as it is": str,
    "capitals": str.upper,
    "no hyphens": lambda text: text.replace("-", ""),
    "other signs between": lambda text: text.replace("-", " : "),
    "a URL": lambda text: quote(text, safe=""),
    "a URL, each character": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON in JSON": lambda text: "".join(f"\\\\u{ord(c):04x}" for c in text),
    "a program": lambda text: "".join(f"\\x{ord(c):02x}" for c in text),
    "HTML": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "HTML, decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) for c in text),
}


@pytest.mark.parametrize("secret", [GUID, OPAQUE, "ends-in-the-letter-x", "a_token@with:[signs]"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_is_recognized_and_masked(secret, spelling):
    spelled = SPELLINGS[spelling](secret)
    assert Secrets(secret).are_in(f"ids/{spelled}.txt")
    redaction = Redaction(SecretStr(secret))
    masked = redaction(f'why="{spelled}" more')
    assert masked == 'why="[token]" more'
    assert redaction.may_be_in(spelled.encode())


@pytest.mark.parametrize(
    "spelled",
    [GUID, GUID.upper(), GUID.replace("-", ""), GUID.replace("-", "%2D"), f"%33{GUID[1:]}"],
)
def test_an_id_that_is_the_secret_is_recognized(spelled):
    assert Secrets(GUID).include(spelled)


@pytest.mark.parametrize("secret", ["~~~", "---", "a"])
def test_a_secret_of_signs_alone_or_of_one_letter_is_recognized_as_an_id(secret):
    assert Secrets(secret).include(secret)


def test_another_id_is_not_the_secret_nor_is_any_id_an_empty_secret():
    assert not Secrets(GUID).include(GUID.replace("3", "4"))
    assert not Secrets("").include("")


def test_a_renewed_secret_is_recognized_as_well_as_the_first():
    secrets = Secrets(GUID)
    secrets.add(OPAQUE)
    assert secrets.include(GUID)
    assert secrets.include(OPAQUE)


def test_a_text_escaped_more_often_than_is_undone_holds_no_secret():
    text = "%"
    for _ in range(30):
        text = quote(text, safe="")
    assert not Secrets(GUID).are_in(text)


SECRETS = [GUID, OPAQUE, "s3cret", "a-b", "~~~", "c4nary\"T0\\ken='x", "\u0131\u017fK"]
signs = st.text(" -._~/:=+|\t\"'\n\\%&\u2010\u0301", max_size=2)
spelled = st.sampled_from([*SPELLINGS.values(), str.lower, str.swapcase])


@given(st.data(), st.sampled_from(SECRETS))
def test_the_quick_check_before_the_pattern_never_misses_a_secret(data, secret):
    cut = data.draw(st.integers(0, len(secret)))
    parts = [secret[:cut], data.draw(signs), secret[cut:], data.draw(signs), secret]
    text = "".join(data.draw(spelled)(part) for part in parts)
    assert Redaction(SecretStr(secret))(text) == pattern(secret).sub(MASK, text)


PUNCTUATED = "..".join("k3yw1thm4nyd0ts")
LOOKALIKE = r"abc%33def&#51;ghi\u0033jkl%2dmno"
BACKSLASHED = "\\\\".join("b4cksl4shes")  # short enough to be searched with all its signs


@pytest.mark.parametrize("secret", [GUID, OPAQUE, AWKWARD, PUNCTUATED, BACKSLASHED])
@pytest.mark.parametrize("sign", ["", ".", "\\" * 8, "%2d", "&#95;", "\\\\u2011"])
def test_a_secret_without_its_last_letter_is_dismissed_in_linear_time(secret, sign):
    # With two ways to match each letter, this would not end: 2 ** 31 steps for a GUID.
    for spelling in SPELLINGS.values():
        text = "".join(sign + spelling(c) for c in secret.rstrip("=")[:-1]) * 20
        assert MASK not in Redaction(SecretStr(secret))(f"{text}!")


def test_a_secret_that_holds_what_looks_like_an_escape_is_masked_as_it_is():
    assert Redaction(SecretStr(LOOKALIKE))(f"a {LOOKALIKE} b") == f"a {MASK} b"


def test_hyphens_alone_are_masked_and_nothing_else_is():
    assert Redaction(SecretStr("---"))("a - b --- c") == f"a - b {MASK} c"


def test_a_secret_outside_of_ascii_is_masked_where_its_letters_are_ascii():
    assert Redaction(SecretStr("a\u0131b"))("aib") == MASK


@pytest.mark.parametrize("secret", ["stra\u00dfe", "\u0130stanbul-password", "\uff41bc-\U0010ffff"])
def test_a_secret_with_letters_that_have_no_other_case_or_width_is_masked(secret):
    redaction = Redaction(SecretStr(secret))
    assert redaction(f"x {secret} y") == f"x {MASK} y"
    assert redaction("another text, of \u00e9") == "another text, of \u00e9"
