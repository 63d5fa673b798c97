"""Paths as people type them: `~` is expanded, a URL is not a path."""

import re
from pathlib import Path

from cxai.errors import UsageError

# A Path folds "s3://bucket" to "s3:/bucket", which is also a common typing error.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]")
_CLOUD = re.compile(r"(s3|s3a|s3n|gs|gcs|az|abfs|abfss|wasb|wasbs|hdfs|dbfs|https?|ftp|sftp|file):")

# user@host:path, as scp and rsync take it.
_REMOTE = re.compile(r"[^/@:]+@[^/@:]+:")

_CREDENTIALS = re.compile("//?.*@")  # a Path has one slash where a URL has two

# What env files and YAML leave around a value that was quoted twice.
_AROUND = "\"'` \t\r\n\ufeff\u00a0"


def scheme_of(text: str) -> str:
    """Return the scheme of a URL in small letters, empty if the text is none."""
    return text.strip(_AROUND).partition(":")[0].lower() if _is_url(text) else ""


def without_credentials(url: str) -> str:
    """Return a URL with "…" before its last @: a password may hold any character."""
    return _CREDENTIALS.sub("//…@", url)


def local_path(name: Path | str, what: str, *, supported: str = "local paths") -> Path:
    """Return the path that `name` means. `what` and `supported` are used in messages.

    `~` and `~user` are expanded. Raises UsageError for a URL (any scheme, also file:, in quotes or
    after white space, and user@host:path), for an empty name, and for a user who does not exist.
    """
    text = str(name)
    if not text:
        raise UsageError(f"{what} is empty. Give a path.")
    if "\0" in text:
        raise UsageError(f"{what} {text!r} has a NUL character, which no path may have.")
    if _is_url(text):
        shown = without_credentials(text)
        raise UsageError(
            f"{what} {shown} is a URL, and only {supported} are supported. Give a local path and"
            f" copy the files afterwards. (For a local path with this name: ./{shown})"
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise UsageError(
            f"{what} {text}: {user} has no home directory. Give the full path."
        ) from None
    # "./s3:/x" without its "./" would look like a URL the next time.
    return path.absolute() if _is_url(str(path)) else path


def _is_url(text: str) -> bool:
    text = text.strip(_AROUND)
    return any(form.match(text) for form in (_URL, _CLOUD, _REMOTE))
