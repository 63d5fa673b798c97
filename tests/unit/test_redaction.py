import json
import re

import pytest

from cxai.core.secret_str import SecretStr
from cxai.observe.logging import Log
from cxai.observe.redaction import Redaction

SECRET = "c4nary-T0ken"  # noqa: S105 - made up

# Every printable character may stand in a token, those too that log formats escape.
AWKWARD = "c4nary\"T0\\ken='x"


def test_the_secret_is_masked_wherever_it_stands():
    redact = Redaction(SecretStr(SECRET))
    assert redact(f"a {SECRET} b{SECRET}") == "a [token] b[token]"


@pytest.mark.parametrize("redact", [Redaction(), Redaction(SecretStr(SECRET))])
def test_any_other_text_passes_as_it_is(redact):
    assert redact("progress done=5 state=working") == "progress done=5 state=working"


@pytest.mark.promise(
    "The token gets into a log line", "masked before it is written", group="Security"
)
@pytest.mark.parametrize("secret", [SECRET, AWKWARD])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_line_never_holds_the_token_however_it_got_there(secret, as_json, capsys):
    log = Log()
    log.configure(Redaction(SecretStr(secret)), as_json=as_json)
    log.info(secret, header=f"X-API-Token: {secret}", nested={"deep": [secret]})
    log.warning("failed", error=repr(ValueError(secret)), body=json.dumps({"token": secret}))
    shown = capsys.readouterr().err
    assert "c4nary" not in shown
    assert shown.count("[token]") == 5
    assert shown.count("\n") == 2
    if as_json:
        assert all(json.loads(line) for line in shown.splitlines())


def test_a_log_line_is_key_value_or_json_with_time_and_level(capsys):
    log = Log()
    log.configure(Redaction(), as_json=False)
    log.info("progress", done=5)
    assert "level=info event=progress done=5" in capsys.readouterr().err
    log.configure(Redaction(), as_json=True)
    log.info("progress", done=5)
    line = json.loads(capsys.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {"event": "progress", "level": "info", "done": 5}
