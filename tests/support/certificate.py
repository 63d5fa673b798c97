"""Servers that speak TLS, well or badly, with the certificates of tests/support/certificates."""

import ssl
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"
CA = CERTIFICATES / "ca.pem"


def server_context(name="good", **versions):
    """Return the context of a server that shows the certificate of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    for attribute, version in versions.items():
        setattr(context, attribute, version)
    return context
