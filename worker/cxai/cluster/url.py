"""The URL of an export in PostgreSQL: `postgres://user@host:5432/database#export`.

A password in it is refused: command lines and logs are visible to others.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cxai.errors import UsageError

PASSWORD_FILE_VARIABLE = "CXAI_POSTGRES_PASSWORD_FILE"  # noqa: S105 - the name of a variable

_SCHEMES = ("postgres://", "postgresql://")
_EXAMPLE = "postgres://user@host/database#export"
_EXPORT = re.compile(r"[a-z][a-z0-9_]{0,40}")

ACCOUNT_SCHEMA = "cxai"
"""The schema that all exports of an account share."""

_SECRETS = frozenset({"password", "sslpassword"})

# The options of a connection that a URL may set; this program sets all others.
_OPTIONS = frozenset(
    {
        *("host", "port", "user", "passfile", "target_session_attrs", "load_balance_hosts"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslsni", "sslnegotiation"),
        *("ssl_min_protocol_version", "channel_binding", "require_auth", "gssencmode"),
    }
)  # fmt: skip


def is_engine_url(text: str) -> bool:
    """Whether a text is the URL of an export in PostgreSQL."""
    return text.startswith(_SCHEMES)


@dataclass(frozen=True, slots=True)
class EngineUrl:
    """Where an export is. Its text never holds a password, so it may be shown.

    `place` is what the driver takes: host, port, user, dbname and options.
    """

    place: Mapping[str, str] = field(repr=False)
    export: str
    shown: str

    def __str__(self) -> str:
        """Return it as a command takes it."""
        return f"{self.shown}#{self.export}"

    @property
    def schema(self) -> str:
        """The schema with the tables of this export."""
        return f"cxai_{self.export}"

    @property
    def search_path(self) -> tuple[str, str]:
        """The schemas in which a connection looks up names."""
        return self.schema, ACCOUNT_SCHEMA

    def password(self) -> str | None:
        """Return the password from its file, if it has one; the driver reads PGPASSWORD, ~/.pgpass.

        Read for each connection, so that a password can change while a worker runs. Raises
        UsageError if the file can't be read.
        """
        path = os.environ.get(PASSWORD_FILE_VARIABLE)
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(
                f"The file that {PASSWORD_FILE_VARIABLE} names can't be read ({path}: {why})."
            ) from None


def parse_engine_url(text: str, export: str | None = None) -> EngineUrl:
    """Return the parts of a URL; `export` may name the export in place of what follows the `#`.

    Raises UsageError, which never quotes a password.
    """
    if not is_engine_url(text):
        raise UsageError(f"An export in PostgreSQL is named by a URL such as {_EXAMPLE}.")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UsageError(f"The URL of the database has no valid host. It is {_EXAMPLE}.") from error
    user, at, hosts = parts.netloc.rpartition("@")
    if ":" in user or (not at and "@" in text):  # also one that holds a /, a ? or a #
        raise UsageError(
            f"The URL of the database holds a password, which others can see. Leave it out, and set"
            f" PGPASSWORD or {PASSWORD_FILE_VARIABLE}, or use a password file (PGPASSFILE)."
        )
    place = _options_of(parts.query)
    if at:
        place["user"] = unquote(user)
    place |= _hosts_of(hosts)
    database = parts.path.removeprefix("/")
    if not database or "/" in database:
        raise UsageError(f"The URL of the database names no database. It is {_EXAMPLE}.")
    place["dbname"] = unquote(database)
    return EngineUrl(place, _export_of(unquote(parts.fragment), export), text.partition("#")[0])


def _export_of(in_url: str, beside: str | None) -> str:
    if beside and in_url and beside != in_url:
        raise UsageError(f"The URL names the export {in_url}, and --export {beside}: name it once.")
    name = beside or in_url
    if not name:
        raise UsageError(f"The URL of the database names no export after #, as in {_EXAMPLE}.")
    if not _EXPORT.fullmatch(name):
        raise UsageError(
            f"An export can't be named {name!r}: a name has up to 41 lower-case letters, digits and"
            " _, and begins with a letter."
        )
    return name


def _options_of(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _SECRETS:
            raise UsageError(
                f"The URL of the database holds a secret ({name}), which others can see. Leave it"
                f" out, and set PGPASSWORD or {PASSWORD_FILE_VARIABLE} for a password."
            )
        if name not in _OPTIONS or name in options:
            why = "twice" if name in options else "which is unknown"
            raise UsageError(
                f"The URL of the database has the option {name!r} {why}. Allowed are:"
                f" {', '.join(sorted(_OPTIONS))}."
            )
        options[name] = value
    return options


def _hosts_of(hosts: str) -> dict[str, str]:
    """Return hosts and ports as the driver takes them: several are separated by commas."""
    if not hosts:
        return {}
    names, ports = [], []
    for one in hosts.split(","):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(?::(\d{1,5}))?", one)
        if match is None or not 0 < int(match[2] or 5432) < 1 << 16:
            raise UsageError(f"The URL of the database has no valid host and port in {one!r}.")
        names.append(unquote(match[1].strip("[]")))
        ports.append(match[2] or "5432")
    return {"host": ",".join(names), "port": ",".join(ports)}
