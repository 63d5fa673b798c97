"""TLS and proxies: whose word is believed, and what is said when there is no secure connection."""

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
import warnings

import pytest
from support.bodies import as_body, sample
from support.certificate import CA, CERTIFICATES, server_context
from support.command import TOKEN, cxai, environment, verdict_by_id
from support.connect_proxy import ConnectProxy
from support.raw_server import Ending, RawServer, client_of, response
from support.serving import serving

from cxai.errors import UsageError
from cxai.policy.reply import Endpoint, Failure, FailureKind
from cxai.policy.verdict import FailureStage

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")

each_way = pytest.mark.usefixtures("exchange")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in (*VARIABLES, *PROXIES):
        monkeypatch.delenv(name, raising=False)


async def ask(base_url, **how):
    async with asyncio.timeout(4.0), client_of(base_url, **how) as client:
        return await client.fetch(ID, Endpoint.RESULT)


def assert_no_connection(seen, reason, *advice):
    assert seen == Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, reason)
    for words in advice:
        assert words in seen.advice


# --- whose certificates are trusted ---


@each_way
async def test_certificates_of_the_ca_file_are_trusted():
    async with RawServer([response(b"secure")], tls=server_context()) as server:
        assert (await ask(server.base_url, ca_file=CA)).body == b"secure"


@pytest.mark.promise(
    "`SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`",
    "their CA certificates are trusted; `ca_file` takes precedence",
    group="Security",
)
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@each_way
async def test_ca_variables_of_other_programs_are_used(name, monkeypatch):
    monkeypatch.setenv(name, str(CA))
    async with RawServer([response(b"secure")], tls=server_context()) as server:
        assert (await ask(server.base_url)).body == b"secure"


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
@each_way
async def test_some_ca_variables_may_name_a_directory(name, monkeypatch, tmp_path):
    (tmp_path / "d7cd31c7.0").write_bytes(CA.read_bytes())  # openssl x509 -hash
    monkeypatch.setenv(name, str(tmp_path))
    async with RawServer([response(b"secure")], tls=server_context()) as server:
        assert (await ask(server.base_url)).body == b"secure"


@each_way
async def test_the_setting_takes_precedence_over_the_variables(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    async with RawServer([response()], tls=server_context()) as server:
        seen = await ask(server.base_url, ca_file=CERTIFICATES / "self_signed.pem")
    assert seen.kind is FailureKind.NO_CONNECTION
    assert "Trusted now: ca_file" in seen.advice


@pytest.mark.promise(
    "A CA file that is missing, empty or without a certificate",
    "refused before the run, with the name of the setting or variable",
    group="Security",
)
@pytest.mark.parametrize("name", ["ca_file", *VARIABLES])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "no certificate in PEM form"),
        (b"not a certificate\n", "no certificate in PEM form"),
        (b"\x30\x82\x01\x0a", "no certificate in PEM form"),
    ],
    ids=["missing", "empty", "text", "DER"],
)
def test_an_unusable_ca_file_is_refused_by_name(name, content, why, monkeypatch, tmp_path):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    if name != "ca_file":
        monkeypatch.setenv(name, str(path))
    with pytest.raises(UsageError) as raised:
        client_of("https://localhost", ca_file=path if name == "ca_file" else None)
    assert f"{name} names {path}" in str(raised.value)
    if name != "SSL_CERT_DIR":
        assert why in str(raised.value)


def test_a_ca_file_that_is_a_directory_is_refused(tmp_path):
    with pytest.raises(UsageError, match="Is a directory"):
        client_of("https://localhost", ca_file=tmp_path)


# --- what is wrong ---


@pytest.mark.promise(
    "A TLS certificate that has expired, is not yet valid, self-signed, from an unknown CA or for"
    " another host",
    "no connection; the token is not sent; the message has the cause and what to check",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("certificate", "found", "advice"),
    [
        ("expired", "has expired", "clock"),
        ("not_yet_valid", "is not yet valid", "clock"),
        ("self_signed", "is self-signed", "CXAI_CA_FILE"),
        ("unknown_authority", "is from an unknown CA", "REQUESTS_CA_BUNDLE"),
        ("other_host", "is for another host name", "base_url"),
    ],
)
@each_way
async def test_a_certificate_problem_is_explained(certificate, found, advice):
    async with RawServer([response()], tls=server_context(certificate)) as server:
        seen = await ask(server.base_url, ca_file=CA)
    assert_no_connection(seen, f"TLS: the server's certificate {found}", advice)
    assert server.requests == []


@contextlib.contextmanager
def handshakes(context):
    """Serve TLS from a thread, where OpenSSL itself gives the reason of a refusal."""

    def serve():
        with contextlib.suppress(OSError), listener.accept()[0] as accepted:
            context.wrap_socket(accepted, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        thread.join(10)


@each_way
async def test_an_old_tls_version_is_explained():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = server_context(
            minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1
        )
    old.set_ciphers("ALL:@SECLEVEL=0")
    with handshakes(old) as base_url:
        seen = await ask(base_url, ca_file=CA)
    assert_no_connection(seen, "TLS: the server's version of TLS is too old", "TLS 1.2")


class Blunt:
    """A server that replies to the first bytes of a client with given bytes."""

    def __init__(self, answer):
        self._answer = answer

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"https://localhost:{self.port}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()

    async def _accept(self, reader, writer):
        await reader.read(65_536)
        writer.write(self._answer)
        writer.close()


def alert(description):
    """Return a fatal alert of TLS (RFC 8446, 6)."""
    return bytes([21, 3, 3, 0, 2, 2, description])


@pytest.mark.promise(
    "Plain HTTP on an HTTPS port, an old TLS version, a refused or interrupted handshake",
    "no connection; the message has the cause and what to check",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server does not use TLS on this port (plain HTTP?)",
        ),
        (
            b"220 smtp.example.com ESMTP\r\n",
            "the server does not use TLS on this port (plain HTTP?)",
        ),
        (alert(70), "the server's version of TLS is too old"),
        (alert(40), "the server refused the handshake"),
        (alert(49), "the server refused the handshake"),
        (alert(80), "the server refused the handshake"),
        (alert(112), "the server does not know this host name (SNI)"),
        (b"", "the connection was closed during the handshake"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
@each_way
async def test_a_failed_handshake_is_explained(answer, found):
    async with Blunt(answer) as server:
        seen = await ask(server.base_url, ca_file=CA)
    assert_no_connection(seen, f"TLS: {found}")
    assert seen.advice


# --- through a proxy ---


@pytest.mark.promise(
    "`proxy`",
    "the API is reached through a tunnel; the proxy sees neither the token nor the IDs",
    group="Security",
)
@pytest.mark.parametrize("credentials", ["", "some%20one:s3cret@"])
@each_way
async def test_the_api_is_reached_through_a_tunnel(credentials):
    async with (
        ConnectProxy() as proxy,
        RawServer([response(b"secure")], tls=server_context()) as server,
    ):
        url = proxy.url.replace("//", f"//{credentials}")
        async with client_of(server.base_url, ca_file=CA, proxy=url) as client:
            for _ in range(3):
                assert (await client.fetch(ID, Endpoint.RESULT)).body == b"secure"
            assert "s3cret" not in repr(vars(client))
    (head,) = proxy.heads  # one tunnel, kept for three requests
    assert head.startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n")
    assert TOKEN not in head
    assert ID not in head
    sent = base64.b64encode(b"some one:s3cret").decode()
    assert (f"Proxy-Authorization: Basic {sent}\r\n" in head) == bool(credentials)
    assert not any("Proxy-Authorization" in request for request in server.requests)


@pytest.mark.promise(
    "A proxy that cannot be reached, or refuses (407, 403, 502)",
    "a failure of the proxy, by name; neither an attempt of any ID nor a status of the API",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("407 Proxy Authentication Required", "user name and a password"),
        ("403 Forbidden", "the proxy's administrator"),
        ("502 Bad Gateway", "the proxy's administrator"),
        ("200 OK, but then", None),
        ("401 Unauthorized", "the proxy's administrator"),
        ("404 Not Found", "the proxy's administrator"),
    ],
)
@each_way
async def test_a_refusal_of_the_proxy_is_not_one_of_the_api(status, advice):
    refusal = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    async with ConnectProxy(refusal) as proxy:
        seen = await ask("https://localhost:9", proxy=proxy.url)
    assert (seen.kind, seen.stage) == (FailureKind.NO_CONNECTION, FailureStage.CONNECT)
    if advice is not None:
        number = status.partition(" ")[0]
        reason = f"proxy 127.0.0.1:{proxy.port} refused the connection (HTTP {number})"
        assert_no_connection(seen, reason, advice)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200"])
@each_way
async def test_a_proxy_that_disconnects_is_named(answer):
    async with ConnectProxy(answer) as proxy:
        seen = await ask("https://localhost:9", proxy=proxy.url)
    assert_no_connection(seen, f"proxy 127.0.0.1:{proxy.port}: no connection", "proxy (CXAI_PROXY)")


@each_way
async def test_a_proxy_that_is_down_is_named():
    seen = await ask("https://localhost:9", proxy="http://127.0.0.1:9")
    assert_no_connection(seen, "proxy 127.0.0.1:9: Connection refused", "proxy (CXAI_PROXY)")


@each_way
async def test_a_proxy_without_an_address_is_named():
    seen = await ask("https://localhost:9", proxy="http://user:s3cret@nonexistent.invalid:9")
    assert_no_connection(seen, "proxy nonexistent.invalid:9: host name not resolved")
    assert "s3cret" not in repr(seen)


@each_way
async def test_a_silent_proxy_is_not_an_attempt():
    async with RawServer([Ending.SILENCE]) as silent:
        proxy = f"http://127.0.0.1:{silent.port}"
        seen = await ask("https://localhost:9", proxy=proxy, connect_timeout_s=0.2)
    assert_no_connection(
        seen, f"no connection through proxy 127.0.0.1:{silent.port} within 0.2 s", "CXAI_PROXY"
    )


@each_way
async def test_a_certificate_is_checked_through_a_tunnel_too():
    async with (
        ConnectProxy() as proxy,
        RawServer([response()], tls=server_context("other_host")) as server,
    ):
        seen = await ask(server.base_url, ca_file=CA, proxy=proxy.url)
    assert_no_connection(seen, "TLS: the server's certificate is for another host name")
    assert server.requests == []


@each_way
async def test_http_to_this_machine_never_goes_through_a_proxy():
    async with ConnectProxy() as proxy, RawServer([response(b"direct")]) as server:
        assert (await ask(server.base_url, proxy=proxy.url)).body == b"direct"
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("proxy.example:3128", "is not of the form http://host:port"),
        ("http://proxy.example", "is not of the form"),
        ("http://:3128", "is not of the form"),
        ("http://user:s3cret@proxy.example", "is not of the form"),
        ("http://proxy.example:99999", "is not of the form"),
        ("http://s3cret@[::1", "is not of the form"),
        ("http://proxy.example:3128/path", "is not of the form"),
        ("http://proxy.example:3128?s3cret", "extra text after its port"),
        ("https://user:s3cret@proxy.example:3128", "https://, which is not supported"),
        ("socks5://user:s3cret@proxy.example:1080", "socks5://, which is not supported"),
    ],
)
def test_an_invalid_proxy_is_refused_and_not_shown(proxy, why):
    with pytest.raises(UsageError) as raised:
        client_of("https://localhost", proxy=proxy)
    assert why in str(raised.value)
    assert "CXAI_PROXY" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.promise(
    "`HTTPS_PROXY` and the like are set, unused, and nothing connects",
    "the message names the variable, and the setting to use instead",
    group="HTTP",
)
@pytest.mark.parametrize("name", PROXIES)
@each_way
async def test_an_unused_proxy_variable_is_mentioned(name, monkeypatch):
    monkeypatch.setenv(name, "http://user:s3cret@127.0.0.1:3128")
    seen = await ask("https://127.0.0.1:9")
    assert_no_connection(
        seen, "Connection refused", f"{name} is set, but cxai does not use it", "CXAI_PROXY"
    )
    assert "s3cret" not in seen.advice


# --- the whole command ---


def test_a_run_uses_the_proxy_and_the_ca_file_of_its_settings(export):
    result = response(as_body(sample()))
    with (
        serving(ConnectProxy()) as proxy,
        serving(RawServer([result], tls=server_context())) as server,
    ):
        url = proxy.url.replace("//", "//user:s3cret@")
        ended = cxai(
            "run", "-o", export, "--base-url", f"{server.base_url}/v1", "--ca-file", CA,
            stdin=ID.encode(), env=environment(CXAI_PROXY=url),
        )  # fmt: skip
    assert ended.code == 0, ended.err
    assert verdict_by_id(export) == {ID: "ok"}
    assert len(proxy.heads) == len(server.requests) == 1
    everything = [path.read_bytes() for path in export.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in content for content in everything)


def test_a_proxy_password_on_the_command_line_is_refused(export):
    proxy = "http://user:s3cret@127.0.0.1:3128"
    ended = cxai("run", "-o", export, "--proxy", proxy, stdin=ID.encode())
    assert ended.code == 2
    assert "Set CXAI_PROXY instead" in ended.err
    assert "s3cret" not in ended.err
    assert not export.exists()


def test_a_refusal_of_the_proxy_is_shown_without_the_password(export):
    more = environment(
        CXAI_PROXY="http://user:s3cret@127.0.0.1:9", CXAI_START_PATIENCE_S="0.3", CXAI_RATE="100"
    )
    ended = cxai("run", "-o", export, stdin=ID.encode(), env=more)
    assert ended.code == 4
    shown = " ".join((ended.out + ended.err).split())
    assert "The API at https://api.elevateai.com has not replied once in 0 s" in shown
    assert "proxy 127.0.0.1:9: Connection refused" in shown
    assert "Check proxy (CXAI_PROXY)" in shown
    assert "s3cret" not in shown
    assert not any(b"s3cret" in path.read_bytes() for path in export.rglob("*") if path.is_file())
