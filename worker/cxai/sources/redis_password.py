"""The Redis password: from a file or the environment, never from a URL."""

import os
from pathlib import Path

from cxai.core.secret_str import SecretStr
from cxai.core.text import printable
from cxai.errors import UsageError

VARIABLE = "CXAI_REDIS_PASSWORD"

_MOST_BYTES = 65_536


def password_in_environment() -> SecretStr | None:
    """Return the value of CXAI_REDIS_PASSWORD, None if it is empty or not set."""
    text = os.environ.get(VARIABLE, "")
    return SecretStr(text) if text else None


def read_password(file: Path) -> SecretStr:
    """Return the password in a file, without one line break at its end.

    Raises UsageError, without the content, for a file that is unreadable, empty or too large.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"Can't read the Redis password file {printable(file)}: {error.strerror}."
        ) from None
    text = content.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text or len(content) > _MOST_BYTES:
        raise UsageError(
            f"The Redis password file {printable(file)} is empty or too large. It must contain only"
            " the password."
        )
    return SecretStr(text)
