"""The password of Redis: from a file or the environment, never from a URL."""

import os
from pathlib import Path

from cxai.core.secret_str import SecretStr
from cxai.core.text import printable
from cxai.errors import UsageError

VARIABLE = "CXAI_REDIS_PASSWORD"

_MOST_BYTES = 65_536


def password_in_environment() -> SecretStr | None:
    """Return what CXAI_REDIS_PASSWORD holds, None if it is empty or not set."""
    text = os.environ.get(VARIABLE, "")
    return SecretStr(text) if text else None


def read_password(file: Path) -> SecretStr:
    """Return the password in a file. One line break at its end is not part of it.

    Raises UsageError for a file that can't be read or holds none. It is never echoed.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"Can't read the file with the password of Redis, {printable(file)}: {error.strerror}."
        ) from None
    text = content.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text or len(content) > _MOST_BYTES:
        raise UsageError(
            f"The file with the password of Redis, {printable(file)}, is empty or holds more than a"
            " password. Write the password alone into it."
        )
    return SecretStr(text)
