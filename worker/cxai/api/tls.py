"""Trusted certificates, and why a secure connection fails."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cxai.errors import UsageError

_OPENSSL_FILE, _OPENSSL_DIRECTORY = "SSL_CERT_FILE", "SSL_CERT_DIR"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ALL = "ca_file (CXAI_CA_FILE), SSL_CERT_FILE or REQUESTS_CA_BUNDLE"


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted certificates: as a `context` for connections, and their `source` in words."""

    context: ssl.SSLContext
    source: str


def trust(ca_file: Path | None) -> Trust:
    """Return the trusted certificates.

    The first of these that is set replaces all others: `ca_file`; OpenSSL's SSL_CERT_FILE and
    SSL_CERT_DIR; REQUESTS_CA_BUNDLE; CURL_CA_BUNDLE; the system's. Raises UsageError.
    """
    context, source = _trusted(ca_file)
    context.set_alpn_protocols(("http/1.1",))
    return Trust(context, source)


def _trusted(ca_file: Path | None) -> tuple[ssl.SSLContext, str]:
    if ca_file is not None:
        return _only(ca_file, "ca_file"), f"ca_file {ca_file}"
    if named := os.environ.get(_OPENSSL_FILE):
        context = ssl.create_default_context()  # OpenSSL ignores an unusable file
        _load(context, Path(named), _OPENSSL_FILE)
        return context, f"{_OPENSSL_FILE} {named}"
    if named := os.environ.get(_OPENSSL_DIRECTORY):
        if not any(Path(part).is_dir() for part in named.split(os.pathsep)):
            raise _unusable(_OPENSSL_DIRECTORY, Path(named), "No such directory")
        return ssl.create_default_context(), f"{_OPENSSL_DIRECTORY} {named}"
    for variable in _BUNDLES:
        if named := os.environ.get(variable):
            return _only(Path(named), variable), f"{variable} {named}"
    return ssl.create_default_context(), "the system"


def _only(path: Path, name: str) -> ssl.SSLContext:
    if path.is_dir():
        if name not in _BUNDLES:  # requests and curl accept a directory
            raise _unusable(name, path, "Is a directory")
        return ssl.create_default_context(capath=str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, path, name)
    return context


def _load(context: ssl.SSLContext, path: Path, name: str) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise _unusable(name, path, "It contains no certificate in PEM form") from None
    except OSError as error:
        raise _unusable(name, path, error.strerror or "It can't be read") from None


def _unusable(name: str, path: Path, why: str) -> UsageError:
    return UsageError(
        f"{name} names {path}, which can't be used: {why}. Name a file of CA certificates in PEM"
        " form, or leave it out to use the system's."
    )


# --- what went wrong ---

_CLOCK = (
    "Check this machine's clock. If it is right, the server, or a proxy in front of it, needs a"
    " new certificate."
)
_INSPECTED = (
    "If a proxy on your network inspects TLS, name a file with that proxy's CA certificate:"
    f" {_ALL}."
)
_HOST = "Check the host name in base_url. If it is right, another server answers in its place."
_PORT = "Check the port in base_url, and whether a proxy is needed (proxy)."
_OLD = "Another server may be answering: the API itself supports TLS 1.2 or later."
_MIDDLE = "Check whether a firewall or a proxy in between blocks the connection."
_CLOSED = (
    "Check the port in base_url, and whether a firewall or a proxy in between blocks the connection"
    " or lacks TLS 1.2."
)
_CLIENT = "The API itself requires none, so another server is asking: check for a proxy in between."

_PLAIN_HTTP = ("the server does not use TLS on this port (plain HTTP?)", _PORT)
_TOO_OLD = ("the server's version of TLS is too old", _OLD)
_UNKNOWN_HOST = ("the server does not know this host name (SNI)", _HOST)
_REFUSED = ("the server refused the handshake", _MIDDLE)

_BY_REASON = {
    "WRONG_VERSION_NUMBER": _PLAIN_HTTP,
    "HTTP_REQUEST": _PLAIN_HTTP,
    "RECORD_LAYER_FAILURE": _PLAIN_HTTP,
    "PACKET_LENGTH_TOO_LONG": _PLAIN_HTTP,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "WRONG_SSL_VERSION": _TOO_OLD,
    "TLSV1_UNRECOGNIZED_NAME": _UNKNOWN_HOST,
    "TLSV1_ALERT_UNRECOGNIZED_NAME": _UNKNOWN_HOST,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": _REFUSED,
    "TLSV1_ALERT_INTERNAL_ERROR": _REFUSED,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("a client certificate is required", _CLIENT),
}

_BY_VERIFY_CODE = {
    # X509_V_ERR_… of OpenSSL
    9: ("is not yet valid", _CLOCK),
    10: ("has expired", _CLOCK),
    18: ("is self-signed", _INSPECTED),
    **dict.fromkeys((2, 19, 20, 21), ("is from an unknown CA", _INSPECTED)),
    **dict.fromkeys((62, 64), ("is for another host name", _HOST)),
}


def tls_cause(error: BaseException, source: str) -> tuple[str, str]:
    """Return why the secure connection failed, and what to check.

    `source` names the trusted certificates. The result contains no text from the server.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        refused = (f"was refused ({error.verify_message})", _INSPECTED)
        found, check = _BY_VERIFY_CODE.get(error.verify_code, refused)
        trusted = f" Trusted now: {source}." if check is _INSPECTED else ""
        return f"TLS: the server's certificate {found}", check + trusted
    reason = getattr(error, "reason", None)
    if not isinstance(reason, str) or "EOF" in reason:
        return "TLS: the connection was closed during the handshake", _CLOSED
    words, check = _BY_REASON.get(reason, (reason.lower().replace("_", " "), _MIDDLE))
    return f"TLS: {words}", check
