"""A certificate authority of a cluster's own, and what it issues: ECDSA P-256, made in milliseconds."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Longer than any run, and short enough that a forgotten copy is worthless soon.
VALIDITY = dt.timedelta(days=2)
#: Slack for clocks that run behind ours; Kubernetes backdates what it signs by 5 minutes for the same reason.
BACKDATED = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key, both PEM."""

    certificate_pem: str
    key_pem: str


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate holds. The default is now; a defective one is made by saying otherwise."""

    not_before: dt.datetime
    not_after: dt.datetime

    @classmethod
    def now(cls, life: dt.timedelta = VALIDITY) -> Self:
        """From a little before now, for `life` from now."""
        moment = dt.datetime.now(dt.UTC)
        return cls(moment - BACKDATED, moment + life)


class CertificateAuthority:
    """Issues serving and client certificates."""

    def __init__(self, common_name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key(), Validity.now())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @classmethod
    def of(cls, pair: KeyPair) -> Self:
        """The authority whose certificate and key these are: what it issues, it might have issued before.

        :raises ValueError: it is no EC key, or not PEM.
        """
        authority = cls.__new__(cls)
        key = serialization.load_pem_private_key(pair.key_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("authorities of this suite have EC keys")
        authority._key = key
        authority._certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
        authority._name = authority._certificate.subject
        return authority

    @property
    def pair(self) -> KeyPair:
        """The authority's own certificate and key: kube-controller-manager signs with it."""
        return KeyPair(_certificate_pem(self._certificate), private_key_pem(self._key))

    @property
    def certificate_pem(self) -> str:
        """What clients and servers are told to trust."""
        return _certificate_pem(self._certificate)

    def serving(self, common_name: str, names: Sequence[str], validity: Validity | None = None) -> KeyPair:
        """A server's certificate.

        :param names: DNS names and IP addresses that it is valid for. Clients of the last years look at these
            alone and never at the common name.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        return self._issue(subject, [ExtendedKeyUsageOID.SERVER_AUTH], alternative, validity)

    def serving_and_client(self, common_name: str, names: Sequence[str]) -> KeyPair:
        """A certificate for a server that is also a client of its own kind."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(subject, usages, alternative, None)

    def client(self, user: str, groups: Sequence[str] = (), validity: Validity | None = None) -> KeyPair:
        """A client's certificate: the common name is the user, each organisation a group."""
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        return self._issue(subject, [ExtendedKeyUsageOID.CLIENT_AUTH], None, validity)

    def _issue(
        self,
        subject: x509.Name,
        usages: Sequence[x509.ObjectIdentifier],
        alternative: x509.SubjectAlternativeName | None,
        validity: Validity | None,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(subject, self._name, key.public_key(), validity or Validity.now())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(authority, critical=False)
        )
        if alternative is not None:
            builder = builder.add_extension(alternative, critical=False)
        return KeyPair(_certificate_pem(builder.sign(self._key, hashes.SHA256())), private_key_pem(key))


def new_signing_key() -> KeyPair:
    """A key for ServiceAccount tokens: the private half, and in place of a certificate the public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(public.decode(), private_key_pem(key))


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The key as "EC PRIVATE KEY": the form that Kubernetes 1.13's ServiceAccount code reads."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
    )


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
