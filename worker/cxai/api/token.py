"""The API token: where it comes from, how it is renewed, and what may become a header."""

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
    """The token in use. `file`, if there is one, is read again by `renew`.

    `on_renewed` is called with each further token before it is used.
    """

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
        """Read the file again; return whether it holds another token, which counts from now on.

        What is no regular file (a pipe, a device) can be read only once.
        """
        if self._file is None or not self._file.is_file():  # a pipe would be waited for
            return False
        try:
            secret = read_token(self._file)
        except UsageError:  # just being replaced, or gone: there is no other token
            return False
        if secret == self.secret:
            return False
        self._on_renewed(secret)
        self.secret = secret
        return True


def read_token(token_file: Path | None) -> SecretStr:
    """Return the token from `token_file`, else from CXAI_API_TOKEN.

    Raises UsageError if there is none, or if `checked_token` does. A UTF-8 byte order mark is
    stripped. Of a file no more than 64 KiB is read: what is larger is refused. It is never echoed.
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
            " or name a file that holds the token with --token-file."
        )
    return checked_token(text, f"The API token in {where}")


def checked_token(text: str, what: str) -> SecretStr:
    """Return the token in a text, without the white space around it.

    Raises UsageError if it holds white space or control characters within, which would break the
    header. `what` names it in that message; it is never echoed.
    """
    if not _PRINTABLE.fullmatch(token := text.strip()):
        raise UsageError(
            f"{what} holds white space, control or non-ASCII characters,"
            " which no header may hold. Copy it again."
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
            f"{where[0].upper()}{where[1:]} holds more than {_MOST_BYTES // 1024} KiB: that is no"
            " token. Name the file that holds the token alone."
        )
    if content.startswith(_WIDE_MARKS) or (content and _is_every_other_nul(content)):
        raise UsageError(
            f"{where[0].upper()}{where[1:]} is UTF-16 or UTF-32 text. Save it as UTF-8."
        )
    return content.removeprefix(_UTF8_MARK).decode(errors="replace")


def _is_every_other_nul(content: bytes) -> bool:
    """Whether it is ASCII text in UTF-16 or UTF-32 without a mark."""
    return not any(content[1::2]) or not any(content[0::2])
