"""The API token: its source, its renewal, and its allowed form."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError

VARIABLE = "CXAI_API_TOKEN"

_MOST_BYTES = 65_536
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")

# RFC 9110 "field-vchar" without white space: what can't end or fold a header line.
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,4096}")


class Token:
    """The current token. `on_renewed` is called with each new one before it is used."""

    def __init__(
        self,
        secret: SecretStr,
        file: Path | None = None,
        on_renewed: Callable[[SecretStr], None] = lambda _secret: None,
    ) -> None:
        self.secret = secret
        self._file = file
        self._on_renewed = on_renewed

    def renew(self) -> bool:
        """Read the file again; return whether it has a new token, which is used from now on."""
        if self._file is None or not self._file.is_file():  # a pipe can be read only once
            return False
        try:
            secret = read_token(self._file)
        except UsageError:  # the file is being replaced, or is gone
            return False
        if secret == self.secret:
            return False
        self._on_renewed(secret)
        self.secret = secret
        return True


def read_token(token_file: Path | None) -> SecretStr:
    """Return the token from `token_file`, else from CXAI_API_TOKEN.

    A UTF-8 byte order mark is removed. Raises UsageError, which never shows the token, if there is
    none, it is larger than 64 KiB, or `checked_token` refuses it.
    """
    if token_file is not None:
        where = f"the token file {token_file}"
        text = _text_of(token_file, where)
    else:
        where = f"the environment variable {VARIABLE}"
        text = os.environ.get(VARIABLE, "")
    if not text.strip():
        what = "is empty or not set" if token_file is None else "is empty"
        raise UsageError(
            f"No API token: {where} {what}. Set {VARIABLE},"
            " or name a file that contains the token with --token-file."
        )
    return checked_token(text, f"The API token in {where}")


def checked_token(text: str, what: str) -> SecretStr:
    """Return the token in a text, without the white space around it.

    Raises UsageError, which names it `what` and never shows it, if a header may not contain it.
    """
    if not _PRINTABLE.fullmatch(token := text.strip()):
        raise UsageError(
            f"{what} contains white space, control or non-ASCII characters,"
            " which an HTTP header may not. Copy it again."
        )
    return SecretStr(token)


def _text_of(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"Can't read {where}: {error.strerror}.") from None
    if len(content) > _MOST_BYTES:
        raise UsageError(
            f"{where[0].upper()}{where[1:]} is larger than {_MOST_BYTES // 1024} KiB, so it is not"
            " a token. Name a file that contains only the token."
        )
    # Without a mark, every other byte of ASCII text in UTF-16, or more of them, are NUL.
    is_wide = content and not (any(content[1::2]) and any(content[0::2]))
    if is_wide or content.startswith(_WIDE_MARKS):
        raise UsageError(
            f"{where[0].upper()}{where[1:]} is UTF-16 or UTF-32 text. Save it as UTF-8."
        )
    return content.removeprefix(_UTF8_MARK).decode(errors="replace")
