"""The URL of an export that PostgreSQL holds: `postgres://user@host:5432/database#export`.

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
_PORTS = range(1, 65_536)
_EXPORT = re.compile(r"[a-z][a-z0-9_]{0,40}")

ACCOUNT_SCHEMA = "cxai"
"""The schema that all exports of an account share."""

_NAMES = "a name has lower-case letters, digits and _, and begins with a letter; 41 at most"

_SECRETS = frozenset({"password", "sslpassword"})

# What a connection needs to know beyond its place; all else is settled by this program.
_OPTIONS = frozenset(
    {
        *("host", "port", "user", "passfile", "target_session_attrs", "load_balance_hosts"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslsni", "sslnegotiation"),
        *("ssl_min_protocol_version", "channel_binding", "require_auth", "gssencmode"),
    }
)  # fmt: skip


def is_engine_url(text: str) -> bool:
    """Whether a text means an export that PostgreSQL holds."""
    return text.startswith(_SCHEMES)


@dataclass(frozen=True, slots=True)
class EngineUrl:
    """Where an export is. As text it is what may be shown: it never holds a password.

    `place` has what the driver is given: host, port, user, dbname and options.
    """

    place: Mapping[str, str] = field(repr=False)
    export: str
    shown: str

    def __str__(self) -> str:
        """Return it for people, and for the command line of another command."""
        return f"{self.shown}#{self.export}"

    @property
    def schema(self) -> str:
        """The schema that has the tables of this export."""
        return f"cxai_{self.export}"

    @property
    def search_path(self) -> tuple[str, str]:
        """The schemas in which a connection looks up names."""
        return self.schema, ACCOUNT_SCHEMA

    def password(self) -> str | None:
        """Return the password if a file has it; the driver knows PGPASSWORD and ~/.pgpass itself.

        Read for each connection, so that a password can be changed under a running worker. Raises
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


def engine_url(database: str, export: str | None) -> EngineUrl:
    """Return the URL of an export whose name stands apart, or behind # as elsewhere.

    Raises UsageError.
    """
    place, _, behind = database.partition("#")
    if not (export or behind) or (export and behind and export != behind):
        raise UsageError(f"Name the export once: --export NAME, or {_EXAMPLE}.")
    name = export or behind
    if not _EXPORT.fullmatch(name):
        raise UsageError(f"An export can't have the name {name!r}: {_NAMES}.")
    return parse_engine_url(f"{place}#{name}")


def parse_engine_url(text: str) -> EngineUrl:
    """Return what a URL says. Raises UsageError, which never quotes a password."""
    if not is_engine_url(text):
        raise UsageError(f"An export in PostgreSQL is named by a URL such as {_EXAMPLE}.")
    _, _, rest = text.partition("://")
    authority, database, query, export = _parts_of(rest)
    user, at, hosts = authority.rpartition("@")
    if ":" in user:
        raise UsageError(
            f"The URL of the database holds a password, which others can see. Leave it out, and set"
            f" PGPASSWORD or {PASSWORD_FILE_VARIABLE}, or use a password file (PGPASSFILE)."
        )
    place = _options_of(query)
    if at:
        place["user"] = unquote(user)
    place |= _hosts_of(hosts)
    if not database or "/" in database:
        raise UsageError(f"The URL of the database names no database. It is {_EXAMPLE}.")
    place["dbname"] = unquote(database)
    if not _EXPORT.fullmatch(export):
        raise UsageError(
            f"The URL of the database names no export after #, as in {_EXAMPLE}: {_NAMES}."
        )
    return EngineUrl(place, export, text.partition("#")[0])


def _parts_of(rest: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError as error:
        raise UsageError(f"The URL of the database has no valid host. It is {_EXAMPLE}.") from error
    return parts.netloc, parts.path.removeprefix("/"), parts.query, unquote(parts.fragment)


def _options_of(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _SECRETS:
            raise UsageError(
                f"The URL of the database holds a secret ({name}), which others can see. Leave it"
                f" out; a password can be given by PGPASSWORD or {PASSWORD_FILE_VARIABLE}."
            )
        if name not in _OPTIONS or name in options:
            why = "twice" if name in options else "which is not known here"
            known = ", ".join(sorted(_OPTIONS))
            raise UsageError(
                f"The URL of the database has an option {name!r}, {why}. There are: {known}."
            )
        options[name] = value
    return options


def _hosts_of(hosts: str) -> dict[str, str]:
    """Return the hosts and ports as the driver wants them: several are separated by commas."""
    if not hosts:
        return {}
    names, ports = [], []
    for one in hosts.split(","):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(?::(\d{1,5}))?", one)
        if match is None or int(match[2] or 5432) not in _PORTS:
            raise UsageError(f"The URL of the database has no valid host and port in {one!r}.")
        names.append(unquote(match[1].strip("[]")))
        ports.append(match[2] or "5432")
    return {"host": ",".join(names), "port": ",".join(ports)}
