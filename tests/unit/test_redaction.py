import json

import pytest

from cxai.core.events import EventStream
from cxai.core.secret_str import SecretStr
from cxai.observe.logging import Log
from cxai.observe.redaction import Redaction

SECRET = "c4nary-T0ken"  # noqa: S105 - made up

# A token may contain every printable character, including those that log formats escape.
AWKWARD = "c4nary\"T0\\ken='x"


def test_the_secret_is_masked_anywhere_in_a_text():
    redact = Redaction(SecretStr(SECRET))
    assert redact(f"a {SECRET} b{SECRET}") == "a [token] b[token]"


@pytest.mark.parametrize("redact", [Redaction(), Redaction(SecretStr(SECRET))])
def test_any_other_text_is_unchanged(redact):
    assert redact("progress done=5 state=working") == "progress done=5 state=working"


@pytest.mark.promise(
    "The token gets into a log line", "masked before it is written", group="Security"
)
@pytest.mark.parametrize("secret", [SECRET, AWKWARD])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_line_never_contains_the_token(secret, as_json, capsys):
    log = Log()
    log.configure(Redaction(SecretStr(secret)), as_json=as_json)
    events = EventStream()
    events.attach(log.see)
    events.emit(secret, header=f"X-API-Token: {secret}", nested={"deep": [secret]})
    events.emit("failed", error=repr(ValueError(secret)), body=json.dumps({"token": secret}))
    shown = capsys.readouterr().err
    assert "c4nary" not in shown
    assert shown.count("[token]") == 5
    assert shown.count("\n") == 2
    if as_json:
        assert all(json.loads(line) for line in shown.splitlines())
