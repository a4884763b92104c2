"""Signs of an API server as it is met from here: its name, its port, its certificate, and whether it turns us away."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from vnode_suite.diagnosis.evidence import Sign
from vnode_suite.model import Source, Text

#: A dial from here; the page's client waits 32 s, but what answers at all answers sooner.
DIAL_SECONDS = 5.0
#: OpenSSL's verdicts on a chain whose only fault is its time (X509_V_ERR_CERT_NOT_YET_VALID, ..._HAS_EXPIRED).
_WRONG_TIME = (9, 10)
_BY_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "no-route",
    errno.ENETUNREACH: "no-route",
    errno.ECONNRESET: "reset",
}
#: What OpenSSL calls an answer that is no TLS at all.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


@dataclass(frozen=True, slots=True)
class Server:
    """Where an API server is to be met, by the kubeconfig that was handed over."""

    host: str
    port: int
    ca_pem: str

    @property
    def place(self) -> str:
        """As a URL has it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Met:
    """What came of meeting it."""

    signs: tuple[Sign, ...]
    #: From when to when its certificate is valid; None where none was shown.
    dates: tuple[datetime, datetime] | None = None


def now() -> datetime:
    """The runner's clock."""
    return datetime.now(UTC)


def meet(server: Server, right_addresses: tuple[str, ...]) -> Met:
    """Resolve, dial and look at the certificate, as far as one gets; nothing but that server is contacted.

    :param right_addresses: the API server's addresses by the cluster's own word; empty where they are not known.
    """
    signs: list[Sign] = [_name(server, right_addresses)]
    if signs[0].found == "unknown":
        return Met(tuple(signs))
    dial = _dial(server)
    signs.append(dial)
    if dial.found != "open":
        return Met(tuple(signs))
    shown = _certificate(server)
    if isinstance(shown, Sign):
        return Met((*signs, shown))
    signs.append(_sign("tls", "spoken", "the port speaks TLS", "该端口使用 TLS", server))
    signs += _of_certificate(server, shown)
    return Met(tuple(signs), (shown.not_valid_before_utc, shown.not_valid_after_utc))


def _sign(name: str, found: str, en: str, zh: str, server: Server) -> Sign:
    return Sign(name, found, Text(en, zh), Source.NETWORK, now(), f"dial {server.place} from here")


def _name(server: Server, right: tuple[str, ...]) -> Sign:
    how = f"look {server.host} up from here"
    try:
        ipaddress.ip_address(server.host)
    except ValueError:
        pass
    else:
        said = Text("the kubeconfig has an address, no name", "kubeconfig 使用 IP 地址而非域名")
        return Sign("name", "none", said, Source.LOCAL, now(), "read the kubeconfig")
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError:
        said = Text(
            f"{server.host} is not known here either; in the VPC it needs a record of PrivateZone",
            f"{server.host} 在此处同样无法解析；在 VPC 内需要 PrivateZone 记录",
        )
        return Sign("name", "unknown", said, Source.NETWORK, now(), how)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    listed, wanted = ", ".join(addresses), ", ".join(right)
    if right and not set(addresses) & set(right):
        said = Text(
            f"{server.host} is {listed} here, the cluster says {wanted}",
            f"{server.host} 在此处解析为 {listed}，集群给出的是 {wanted}",
        )
        return Sign("name", "elsewhere", said, Source.NETWORK, now(), how)
    said = Text(
        f"{server.host} is {listed} here; the VPC may be told otherwise",
        f"{server.host} 在此处解析为 {listed}；VPC 内可能不同",
    )
    return Sign("name", "known", said, Source.NETWORK, now(), how)


def _dial(server: Server) -> Sign:
    try:
        with socket.create_connection((server.host, server.port), DIAL_SECONDS):
            return _sign(
                "dial",
                "open",
                f"{server.place} accepts connections from here: what stops the VNode stands between it and the server",
                f"{server.place} 可从此处连接：阻断位于 VNode 与服务器之间",
                server,
            )
    except TimeoutError:
        found = "timeout"
    except OSError as problem:
        found = _BY_ERRNO.get(problem.errno or 0, "failed")
    return _sign(
        "dial", found, f"{server.place} from here: {found}", f"从此处连接 {server.place}：{found}", server
    )


def _certificate(server: Server) -> x509.Certificate | Sign:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.host, server.port), DIAL_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except ssl.SSLError as problem:
        found = "none" if problem.reason in _NO_TLS else ""
        said = f"no TLS at {server.place}: {problem.reason or problem}"
        return _sign("tls", found, said, f"{server.place} 未使用 TLS：{problem.reason or problem}", server)
    except OSError as problem:
        found = _BY_ERRNO.get(problem.errno or 0, "")
        said = f"{server.place} hung up before its certificate: {problem}"
        return _sign("dial", found, said, f"{server.place} 在出示证书前断开：{problem}", server)
    if der is None:
        return _sign("tls", "", "no certificate was shown", "未出示证书", server)
    return x509.load_der_x509_certificate(der)


def _of_certificate(server: Server, certificate: x509.Certificate) -> Iterator[Sign]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    found = "not-yet-valid" if now() < begins else "expired" if now() > ends else "valid"
    yield _sign(
        "tls-dates",
        found,
        f"the server's certificate is valid from {begins:%F %T} to {ends:%F %T} UTC, by the clock here: {found}",
        f"服务器证书有效期为 UTC {begins:%F %T} 至 {ends:%F %T}，按此处时钟：{found}",
        server,
    )
    names = _names(certificate)
    covered = _covers(names, server.host)
    yield _sign(
        "tls-name",
        "covered" if covered else "not-covered",
        f"the server's certificate is for {', '.join(names) or 'no name'}",
        f"服务器证书包含：{', '.join(names) or '无'}",
        server,
    )
    if server.ca_pem:
        trusted = _is_trusted(server)
        yield _sign(
            "tls-authority",
            "trusted" if trusted else "foreign",
            f"the kubeconfig's CA has {'' if trusted else 'not '}signed the server's certificate",
            f"kubeconfig 中的 CA {'已' if trusted else '未'}签发服务器证书",
            server,
        )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = held.get_values_for_type(x509.IPAddress)
    return (*held.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))


def _covers(names: tuple[str, ...], host: str) -> bool:
    if host in names:
        return True
    return any(name.startswith("*.") and host.partition(".")[2] == name[2:] for name in names)


def _is_trusted(server: Server) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.load_verify_locations(cadata=server.ca_pem)
        with (
            socket.create_connection((server.host, server.port), DIAL_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server.host),
        ):
            return True
    except ssl.SSLCertVerificationError as problem:
        return problem.verify_code in _WRONG_TIME
    except OSError:
        return False
