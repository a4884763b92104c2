"""Keys, requests and certificates of a VNode; a server's certificate judged in Go's order and words."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vnode_suite.simulated.vnode.clock import rfc3339
from vnode_suite.simulated.vnode.kubeconfig import ClusterAccess

#: The organisation that makes a certificate's user a VNode (the published approver demands exactly this one).
ORGANISATION = "system:vnodes"
#: User name of a VNode: this and its id.
USER_PREFIX = "system:vnode:"


@dataclass(frozen=True, slots=True)
class KeyAndRequest:
    """A fresh key and the certificate signing request made with it, both PEM."""

    key_pem: str
    request_pem: str


def new_request(virtual_node_id: str) -> KeyAndRequest:
    """A P-256 key and a request for the client certificate of a VNode."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, USER_PREFIX + virtual_node_id),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return KeyAndRequest(_key_pem(key), request.public_bytes(serialization.Encoding.PEM).decode())


def self_signed(common_name: str, address: str) -> tuple[str, str]:
    """Certificate and key (PEM), valid a year, as a kubelet makes for its port when given none."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(common_name), x509.IPAddress(IPv4Address(address))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), _key_pem(key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def end_of_validity(certificate_pem: str) -> datetime:
    """When a certificate expires."""
    return x509.load_pem_x509_certificate(certificate_pem.encode()).not_valid_after_utc


def belongs_to_key(certificate_pem: str, key_pem: str) -> bool:
    """Whether a certificate was issued for this key."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    return certificate.public_key() == key.public_key()


def warm_up() -> None:
    """Do once, before forking, what each VNode does: libraries look up algorithms, and load codecs, at first use."""
    new_request("warm-up")
    certificate, key = self_signed("warm-up", "127.0.0.1")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(serving, certificate, key)
    asking = client_context(ClusterAccess("https://warm-up", ca_pem=certificate))
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(here, there, server_side=True)
    client = asking.wrap_bio(there, here, server_hostname="warm-up")
    for _ in range(2):
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()


def client_context(access: ClusterAccess) -> ssl.SSLContext:
    """TLS towards the API server. Raises `ValueError` in client-go's words for bad CA data or a bad key pair.

    Without CA data the system's roots would count; no cluster's own CA is among them, so none are loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.ca_pem:
        try:
            context.load_verify_locations(cadata=access.ca_pem)
        except ssl.SSLError as error:
            raise ValueError(
                "unable to load root certificates: unable to parse bytes as PEM block"
            ) from error
    if access.certificate_pem:
        load_pair(context, access.certificate_pem, access.key_pem)
    return context


def load_pair(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """Put certificate and key into a context; they pass through memory only, never through a file system."""
    descriptor = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{key_pem.rstrip()}\n{certificate_pem}".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError as error:
        raise ValueError("tls: private key does not match public key") from error
    finally:
        os.close(descriptor)


@cache
def unverified_context() -> ssl.SSLContext:
    """TLS that takes any certificate: for looking at one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def presented_chain(connection: ssl.SSLObject) -> list[bytes]:
    """The certificates (DER) that the peer presented, its own first."""
    public = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return [bytes(certificate) for certificate in public()]
    with suppress(AttributeError, TypeError):
        # Before Python 3.13 the chain is there, but only on the inner object.
        chain = connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain]
    leaf = connection.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def judge_server_certificate(der: bytes, host: str, now: datetime) -> tuple[str, str] | None:
    """What Go would say of a server's own certificate before it looks at who signed it: ``(kind, words)``.

    None: dates and names are right. Go judges dates, then names, then the chain (crypto/x509, Verify).
    """
    certificate = x509.load_der_x509_certificate(der)
    expired = "x509: certificate has expired or is not yet valid: current time"
    if now < certificate.not_valid_before_utc:
        return (
            "x509-not-yet-valid",
            f"{expired} {rfc3339(now)} is before {rfc3339(certificate.not_valid_before_utc)}",
        )
    if now > certificate.not_valid_after_utc:
        return "x509-expired", f"{expired} {rfc3339(now)} is after {rfc3339(certificate.not_valid_after_utc)}"
    return _judge_names(certificate, host)


def _judge_names(certificate: x509.Certificate, host: str) -> tuple[str, str] | None:
    names, addresses = _alternative_names(certificate)
    try:
        address = str(ip_address(host))
    except ValueError:
        return _judge_host_name(names, addresses, host)
    if address in addresses:
        return None
    if not addresses:
        return (
            "x509-wrong-name",
            f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs",
        )
    return "x509-wrong-name", f"x509: certificate is valid for {', '.join(addresses)}, not {host}"


def _judge_host_name(names: list[str], addresses: list[str], host: str) -> tuple[str, str] | None:
    wanted = host.lower().rstrip(".")
    if any(_name_matches(name.lower(), wanted) for name in names):
        return None
    if not names and not addresses:
        return "x509-wrong-name", "x509: certificate relies on legacy Common Name field, use SANs instead"
    if not names:
        return "x509-wrong-name", f"x509: certificate is not valid for any names, but wanted to match {host}"
    return "x509-wrong-name", f"x509: certificate is valid for {', '.join(names)}, not {host}"


def _name_matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return "." in name and name.split(".", 1)[1] == pattern[2:]
    return pattern == name


def _alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    names = list(extension.get_values_for_type(x509.DNSName))
    return names, [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
