"""Certificate signing requests as a VNode makes them, and improper ones that no approver may approve."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address

from vnode_suite.access.objects import Json, Naming
from vnode_suite.access.rights import CERTIFICATES_GROUP, VNODES_GROUP

SIGNER = "kubernetes.io/kube-apiserver-client"
#: A signer that exists wherever signers do, approves nothing by itself and gives no client rights.
OTHER_SIGNER = "kubernetes.io/kubelet-serving"
USAGES = ("digital signature", "key encipherment", "client auth")
COMMON_NAME_PREFIX = "system:vnode:"


class Improper(StrEnum):
    """One way in which a request must not be approved."""

    WRONG_ORGANIZATION = "wrong-organization"
    WRONG_COMMON_NAME = "wrong-common-name"
    DNS_SAN = "dns-san"
    IP_SAN = "ip-san"
    WRONG_USAGES = "wrong-usages"
    #: Only where the server knows signers: up to 1.17 the field is dropped.
    WRONG_SIGNER = "wrong-signer"
    #: In every respect as a VNode's, but the requester may not create `nodeclient`.
    REQUESTER_WITHOUT_RIGHT = "requester-without-right"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks to be certified."""

    common_name: str
    organization: str = VNODES_GROUP
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    usages: tuple[str, ...] = USAGES
    signer: str = SIGNER


@dataclass(frozen=True, slots=True)
class KeyAndRequest:
    """A fresh key and the PKCS #10 request made with it."""

    request_pem: str
    key_pem: str = field(repr=False)


def improper(variant: Improper, name: str) -> Wanted:
    """A request that is wrong in one respect; its key is thrown away, so nobody can use what it may bring."""
    sound = Wanted(f"{COMMON_NAME_PREFIX}{name}")
    match variant:
        case Improper.WRONG_ORGANIZATION:
            return replace(sound, organization="vnode-suite:improper")
        case Improper.WRONG_COMMON_NAME:
            return replace(sound, common_name=f"vnode-suite:improper:{name}")
        case Improper.DNS_SAN:
            return replace(sound, dns_names=("vnode.invalid",))
        case Improper.IP_SAN:
            return replace(sound, addresses=("192.0.2.1",))
        case Improper.WRONG_USAGES:
            return replace(sound, usages=("digital signature", "key encipherment", "server auth"))
        case Improper.WRONG_SIGNER:
            return replace(sound, signer=OTHER_SIGNER)
        case Improper.REQUESTER_WITHOUT_RIGHT:
            return sound


def make_request(wanted: Wanted) -> KeyAndRequest:
    """A key on P-256, as client-go's certificate manager makes it, and the request for it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted.organization),
            x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.dns_names]
    names += [x509.IPAddress(IPv4Address(address)) for address in wanted.addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(key, hashes.SHA256())
    return KeyAndRequest(
        request.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii"),
    )


def signing_request(api: str, name: str, wanted: Wanted, request_pem: str, naming: Naming) -> Json:
    """The CertificateSigningRequest object, in `v1` or `v1beta1`; servers up to 1.17 drop the signer."""
    return {
        "apiVersion": f"{CERTIFICATES_GROUP}/{api}",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name, "labels": naming.labels},
        "spec": {
            "request": base64.b64encode(request_pem.encode("ascii")).decode("ascii"),
            "signerName": wanted.signer,
            "usages": list(wanted.usages),
        },
    }
