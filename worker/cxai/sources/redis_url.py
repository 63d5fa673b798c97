"""The URL of a Redis stream: `redis://[user@]host[:port]/DB/STREAM[?group=…&consumer=…]`."""

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.sources.queue import options_in

_PORT = 6379
_TLS = "rediss"
_GROUP = "cxai"
_CLAIM_AFTER_S = 60.0
_FORM = "redis://host/0/ids: a host, a database number and the key of a stream"

_OPTIONS = {
    "group": f"the consumer group, {_GROUP} by default",
    "consumer": "the name of this consumer, the host name by default",
    "claim_after": "seconds after which a dead consumer's messages are taken over,"
    f" {_CLAIM_AFTER_S:g} by default",
    "ca_file": "a file of CA certificates for rediss://",
}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A stream, and the consumer that reads it. `name` appears in messages and rows."""

    name: str
    host: str
    port: int
    database: int
    stream: str
    group: str
    consumer: str
    claim_after_s: float
    user: str | None
    is_tls: bool
    ca_file: str | None


def stream_address(url: str) -> StreamAddress:
    """Return the address in a URL, which must not contain a password.

    Characters with a meaning in URLs are written as %XX in the key of the stream. Raises
    UsageError, which never shows a password.
    """
    try:
        unquote_to_bytes(url).decode()
    except UnicodeError:
        raise UsageError(
            "A redis:// URL contains bytes that are not UTF-8. Use UTF-8 for the names of stream,"
            " group and user."
        ) from None
    try:
        parts = urlsplit(url)
        port, host = parts.port or _PORT, parts.hostname
    except ValueError:
        raise UsageError(f"A redis:// URL has no valid host or port. Use {_FORM}.") from None
    if parts.password is not None or ":" in parts.netloc.rpartition("@")[0]:
        raise UsageError(
            "The redis:// URL contains a password, which every user of this machine can see in the"
            " process list. Set CXAI_REDIS_PASSWORD instead, or set CXAI_REDIS_PASSWORD_FILE to a"
            " file that contains it."
        )
    # Without the user and the options.
    name = printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
    database, _, stream = parts.path.removeprefix("/").partition("/")
    if not host or not (database.isascii() and database.isdigit()) or not stream or parts.fragment:
        raise UsageError(f"{name} does not name a stream. Use {_FORM}.")
    options = options_in(parts.query, name, _OPTIONS)
    is_tls, ca_file = parts.scheme == _TLS, options.get("ca_file")
    if ca_file is not None and not is_tls:
        raise UsageError(f"{name}: ca_file is for rediss:// (TLS) only.")
    if ca_file is not None and not Path(ca_file).is_file():
        raise UsageError(f"{name}: ca_file {printable(ca_file)} is not a file.")
    return StreamAddress(
        name=name,
        host=host,
        port=port,
        database=int(database),
        stream=unquote(stream),
        group=options.get("group", _GROUP),
        consumer=options.get("consumer", socket.gethostname()),
        claim_after_s=_claim_after_s(options.get("claim_after", str(_CLAIM_AFTER_S)), name),
        user=unquote(parts.username) if parts.username else None,
        is_tls=is_tls,
        ca_file=ca_file,
    )


def _claim_after_s(text: str, name: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:  # noqa: PLR2004 - a day
        raise UsageError(f"{name}: claim_after must be 1 to 86,400 seconds.")
    return seconds
