"""What a VNode says of real failures, provoked with real servers on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vnode_suite.simulated.vnode.api import ApiServer, Dialling
from vnode_suite.simulated.vnode.certificates import load_pair
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.failures import ApiFailure
from vnode_suite.simulated.vnode.kubeconfig import ClusterAccess
from vnode_suite.simulated.vpc.dns import StubResolver

NOW = datetime.now(UTC)


class Authority:
    """A certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        certificate = self._builder(self._name, self._key, NOW - timedelta(days=9), NOW + timedelta(days=9))
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.pem = _pem(
            certificate.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            self._name, subject, key.public_key(), x509.random_serial_number(), start, end
        )

    def serving(
        self, *names: str, start: timedelta = timedelta(hours=-1), end: timedelta = timedelta(hours=1)
    ) -> tuple[str, str]:
        """Certificate and key of a server with these alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        builder = self._builder(subject, key, NOW + start, NOW + end)
        alternatives = [_general_name(name) for name in names]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(builder.sign(self._key, hashes.SHA256())), pem.decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that the kubeconfig trusts."""
    return Authority()


async def version(_: web.BaseRequest) -> web.StreamResponse:
    """Answer as `/version` does."""
    return web.json_response({"gitVersion": "v1.22.15"})


@asynccontextmanager
async def serving(
    pair: tuple[str, str] | None,
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = version,
) -> AsyncIterator[int]:
    """A server on a port of its own; without a pair it speaks plain HTTP."""
    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_pair(context, *pair)
    server = web.Server(handler)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await server.shutdown(0)


async def ask(port: int, ca_pem: str, *, host: str = "127.0.0.1", offset: float = 0.0) -> ApiFailure:
    """Ask for the version, and answer the failure."""
    access = ClusterAccess(f"https://{host}:{port}", ca_pem)
    server = ApiServer(access, Dialling(StubResolver("127.0.0.1", 9)), Clock(offset), timeout=0.5)
    try:
        answer = await server.get("/version", timeout="32s")
    except ApiFailure as failure:
        return failure
    finally:
        await server.close()
    raise AssertionError(f"no failure but {answer}")


def words(pair: tuple[str, str] | None, ca_pem: str, **how: float) -> tuple[str, str]:
    """Kind and words of the failure against a server with this certificate."""

    async def run() -> tuple[str, str]:
        async with serving(pair) as port:
            failure = await ask(port, ca_pem, **how)  # type: ignore[arg-type]
            return failure.kind, failure.words

    return asyncio.run(run())


def test_an_unknown_authority(authority: Authority) -> None:
    """The kubeconfig holds another cluster's authority, or none at all."""
    expected = ("x509-unknown-authority", "x509: certificate signed by unknown authority")
    pair = authority.serving("127.0.0.1")
    assert words(pair, Authority().pem) == expected
    assert words(pair, "") == expected


def test_a_wrong_name(authority: Authority) -> None:
    """The address dialled is none of those that the certificate is for."""
    pair = authority.serving("kubernetes", "10.96.0.1", "192.0.2.7")
    assert words(pair, authority.pem) == (
        "x509-wrong-name",
        "x509: certificate is valid for 10.96.0.1, 192.0.2.7, not 127.0.0.1",
    )
    assert words(authority.serving("kubernetes"), authority.pem)[1] == (
        "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
    )


def test_an_expired_certificate(authority: Authority) -> None:
    """The dates are those of the certificate, the current time is now."""
    end = NOW - timedelta(minutes=1)
    kind, text = words(authority.serving("127.0.0.1", end=timedelta(minutes=-1)), authority.pem)
    assert kind == "x509-expired"
    assert text.startswith("x509: certificate has expired or is not yet valid: current time ")
    assert text.endswith(f" is after {end:%Y-%m-%dT%H:%M:%SZ}")


def test_a_certificate_of_tomorrow(authority: Authority) -> None:
    """Not valid yet is told apart from expired."""
    kind, text = words(authority.serving("127.0.0.1", start=timedelta(minutes=30)), authority.pem)
    assert kind == "x509-not-yet-valid"
    assert " is before " in text


def test_the_vnode_s_own_clock_judges_the_dates(authority: Authority) -> None:
    """A sound certificate is expired to a clock that is two hours ahead, and not valid yet to one behind."""
    pair = authority.serving("127.0.0.1")
    assert words(pair, authority.pem, offset=7200.0)[0] == "x509-expired"
    assert words(pair, authority.pem, offset=-7200.0)[0] == "x509-not-yet-valid"


def test_dates_come_before_names_and_names_before_the_authority(authority: Authority) -> None:
    """Of several wrongs Go names the first in its own order, and so does the VNode."""
    pair = authority.serving("10.0.0.1", end=timedelta(minutes=-1))
    assert words(pair, Authority().pem)[0] == "x509-expired"
    assert words(authority.serving("10.0.0.1"), Authority().pem)[0] == "x509-wrong-name"


def test_a_server_without_tls() -> None:
    """Plain HTTP where TLS was expected has words of its own."""
    assert words(None, Authority().pem) == ("tls", "http: server gave HTTP response to HTTPS client")


def test_a_silent_server_gives_the_published_text() -> None:
    """The page's first event, to the letter: escaped quotes, and no closing parenthesis."""

    async def run() -> tuple[int, str]:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            return port, str(await ask(port, ""))

    port, text = asyncio.run(run())
    assert text == (
        f'Get \\"https://127.0.0.1:{port}/version?timeout=32s\\": '
        "net/http: request canceled (Client.Timeout exceeded while awaiting headers"
    )


def test_a_closed_port_is_refused() -> None:
    """The kernel's refusal, in Go's words."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failure = asyncio.run(ask(port, ""))
    assert (failure.kind, failure.words) == (
        "refused",
        f"dial tcp 127.0.0.1:{port}: connect: connection refused",
    )


def test_a_name_that_the_dns_lacks_is_told_with_who_was_asked() -> None:
    """The page's second event: the name, and the server that does not know it."""
    from vnode_suite.simulated.vpc.dns import NameServer, Zone

    async def run() -> tuple[int, str]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: NameServer(Zone()), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        access = ClusterAccess("https://lb.kubesphere.local:6443")
        server = ApiServer(access, Dialling(StubResolver("127.0.0.1", port)), Clock(), timeout=1.0)
        try:
            await server.get("/version", timeout="32s")
        except ApiFailure as failure:
            return port, str(failure)
        finally:
            transport.close()
            await server.close()
        raise AssertionError("resolved")

    port, text = asyncio.run(run())
    assert text == (
        'Get \\"https://lb.kubesphere.local:6443/version?timeout=32s\\": '
        f"dial tcp: lookup lb.kubesphere.local on 127.0.0.1:{port}: no such host"
    )


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"}, "Unauthorized"),
        (
            403,
            {"kind": "Status", "message": 'nodes is forbidden: User "u" cannot'},
            'nodes is forbidden: User "u" cannot',
        ),
        (
            429,
            "Too many requests, please try again later.",
            "the server has received too many requests and has asked us to try again later",
        ),
        (503, "starting", "the server is currently unable to handle the request"),
        (418, "", "the server responded with the status code 418 but did not return more information"),
    ],
)
def test_the_server_s_own_message_is_passed_on(
    authority: Authority, code: int, body: object, expected: str
) -> None:
    """A Status object's message is told as it is; other answers as client-go words them."""

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=code, text=body if isinstance(body, str) else json.dumps(body))

    async def run() -> ApiFailure:
        async with serving(authority.serving("127.0.0.1"), handler) as port:
            return await ask(port, authority.pem)

    failure = asyncio.run(run())
    assert (failure.code, str(failure)) == (code, expected)


def test_a_connection_that_is_cut_is_an_end_of_file(authority: Authority) -> None:
    """The server takes the request and hangs up."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def run() -> ApiFailure:
        async with serving(authority.serving("127.0.0.1"), handler) as port:
            return await ask(port, authority.pem)

    assert asyncio.run(run()).kind in {"closed", "reset"}


def test_ca_data_that_is_no_certificate() -> None:
    """The client cannot even be made; the words are client-go's."""
    access = ClusterAccess("https://127.0.0.1:1", base64.b64encode(b"not a certificate").decode())

    async def run() -> None:
        ApiServer(access, Dialling(StubResolver("127.0.0.1", 9)), Clock(), timeout=0.5)

    with pytest.raises(
        ApiFailure, match="unable to load root certificates: unable to parse bytes as PEM block"
    ):
        asyncio.run(run())
