"""The route to the API, and why a connection over it fails."""

import errno
import os
import ssl
from dataclasses import dataclass

import aiohttp

from cxai.api.proxy import SETTING as PROXY_SETTING
from cxai.api.proxy import Proxy, unused_proxy_variable
from cxai.api.tls import Trust, tls_cause
from cxai.policy.reply import Failure, FailureKind
from cxai.policy.verdict import FailureStage

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_PROXY_AUTHENTICATION = 407


@dataclass(frozen=True, slots=True)
class Route:
    """The route to the API: through `proxy`, if any; `trust` is None without TLS."""

    proxy: Proxy | None
    trust: Trust | None

    def failure(self, error: BaseException) -> Failure:
        """Return the failure to connect, with its cause and what to check."""
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self._refused_by_proxy(error.status)
        inner = getattr(error, "os_error", None) or error
        number = getattr(inner, "errno", None) or 0
        if number in _NO_DESCRIPTOR:
            return no_connection(
                "no file descriptors left on this machine",
                "Raise the limit (ulimit -n), or lower in_flight.",
            )
        if self.trust is not None and _is_tls(error, inner, number):
            return no_connection(*tls_cause(inner, self.trust.source))
        reason, check = _cause(error, number)
        if self.proxy is not None:
            return no_connection(
                f"proxy {self.proxy.shown}: {reason}",
                f"Check {PROXY_SETTING}, and that the proxy is running and reachable.",
            )
        return no_connection(reason, check + _proxy_hint())

    def timed_out(self, limit: str) -> Failure:
        """Return the failure to connect in time."""
        where = f"through proxy {self.proxy.shown} " if self.proxy else ""
        hint = f" Check {PROXY_SETTING}." if self.proxy else _proxy_hint()
        return no_connection(
            f"no connection {where}within {limit}",
            f"Check the host in base_url, the network and its firewall.{hint}",
        )

    def _refused_by_proxy(self, status: int) -> Failure:
        shown = self.proxy.shown if self.proxy else ""
        check = "Ask the proxy's administrator to allow connections to base_url."
        if status == _PROXY_AUTHENTICATION:
            check = (
                "The proxy requires a user name and a password: set CXAI_PROXY to"
                " http://user:password@host:port."
            )
        return no_connection(f"proxy {shown} refused the connection (HTTP {status})", check)


def no_connection(reason: str, advice: str = "") -> Failure:
    """Return the failure of a request for lack of a connection."""
    return Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, reason, advice)


def _is_tls(error: BaseException, inner: BaseException, number: int) -> bool:
    # A reset comes after the connection is established; asyncio's own has no errno.
    cut = isinstance(inner, ConnectionResetError | ConnectionAbortedError)
    is_name = isinstance(error, aiohttp.ClientConnectorDNSError)
    return isinstance(inner, ssl.SSLError | ssl.CertificateError) or (
        cut and not is_name and number in (0, errno.ECONNRESET, errno.ECONNABORTED)
    )


def _cause(error: BaseException, number: int) -> tuple[str, str]:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "host name not resolved", "Check the host name in base_url, and this machine's DNS."
    # asyncio's own text contains the address
    reason = os.strerror(number) if number in errno.errorcode else "no connection"
    return reason, "Check host and port in base_url, the network and its firewall."


def _proxy_hint() -> str:
    name = unused_proxy_variable()
    if name is None:
        return f" If this network needs a proxy, set {PROXY_SETTING}."
    return f" {name} is set, but cxai does not use it. To use that proxy, set {PROXY_SETTING}."
