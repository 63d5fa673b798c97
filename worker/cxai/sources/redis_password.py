"""The password of Redis: from a file or the environment, never from a URL."""

import os
from pathlib import Path

from pydantic import SecretStr

from cxai.core.text import printable
from cxai.errors import UsageError

VARIABLE = "CXAI_REDIS_PASSWORD"

_MOST_BYTES = 65_536


def read_password(file: Path | None) -> SecretStr | None:
    """Return the password in `file`, else that of CXAI_REDIS_PASSWORD; None if there is neither.

    One line break at the end of the file is none of the password. Raises UsageError for a file that
    can't be read or holds none. It is never echoed.
    """
    if file is None:
        text = os.environ.get(VARIABLE, "")
        return SecretStr(text) if text else None
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
