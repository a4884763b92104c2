"""Which certificate signing requests are approved. Pure: an object in, a decision out.

Source of every rule: vnode-approver's published code. A request is approved if its signer is
kube-apiserver-client, its organisation exactly `system:vnodes`, its common name begins with `system:vnode`,
it asks for no alternative name and for exactly three usages, and its requester may create
`certificatesigningrequests/nodeclient` (or `/selfnodeclient`, if it asks for the name that it already has).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SIGNER = "kubernetes.io/kube-apiserver-client"
ORGANIZATIONS = ("system:vnodes",)
#: Without a colon, as in the published code, though its error text says `system:vnode:`.
COMMON_NAME_PREFIX = "system:vnode"
USAGES = ("client auth", "digital signature", "key encipherment")


class Variant(StrEnum):
    """How an approver behaves; all but the first are defects."""

    SOUND = "sound"
    #: None is started.
    OFF = "off"
    #: Approves whatever is asked.
    APPROVES_EVERYTHING = "approves-everything"
    #: Denies whatever is asked.
    DENIES_EVERYTHING = "denies-everything"
    #: As the published image: certificates.k8s.io/v1 or nothing, so below 1.19 dead while it looks healthy.
    PUBLISHED_IMAGE = "published-image"


class Improper(StrEnum):
    """Why a request is left alone for good."""

    UNREADABLE = "unreadable"
    WRONG_SIGNER = "wrong-signer"
    WRONG_ORGANIZATION = "wrong-organization"
    WRONG_COMMON_NAME = "wrong-common-name"
    ALTERNATIVE_NAMES = "alternative-names"
    WRONG_USAGES = "wrong-usages"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a PKCS #10 request asks to be certified."""

    organizations: tuple[str, ...]
    common_name: str
    #: How many alternative names of any form it asks for.
    alternative_names: int


@dataclass(frozen=True, slots=True)
class Permission:
    """What the requester must be allowed to create for a request to be approved."""

    subresource: str
    #: Message of the approval.
    message: str


SELF = Permission("selfnodeclient", "Auto approving self vnode client certificate after SubjectAccessReview.")
OTHER = Permission("nodeclient", "Auto approving vnode client certificate after SubjectAccessReview.")


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A CertificateSigningRequest as far as the rules look at it."""

    name: str
    username: str
    #: None on servers up to 1.17, which know no signers.
    signer: str | None
    usages: tuple[str, ...]
    #: None where the request is no PKCS #10 text.
    subject: Subject | None
    #: Approved, denied, or already signed.
    settled: bool
    #: The object as the server sent it.
    body: Mapping[str, Any] = field(repr=False, compare=False)


def parse(body: Mapping[str, Any]) -> SigningRequest:
    """Read an object of certificates.k8s.io/v1 or v1beta1."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    decided = any(one.get("type") in ("Approved", "Denied") for one in status.get("conditions") or [])
    return SigningRequest(
        name=body["metadata"]["name"],
        username=spec.get("username", ""),
        signer=spec.get("signerName"),
        usages=tuple(spec.get("usages") or ()),
        subject=read_subject(spec.get("request", "")),
        settled=decided or bool(status.get("certificate")),
        body=body,
    )


def read_subject(request: str) -> Subject | None:
    """The subject in a CSR object's `spec.request` (Base64 of PEM); None where it cannot be read."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        csr = x509.load_pem_x509_csr(base64.b64decode(request, validate=True))
        extensions = csr.extensions
    except (binascii.Error, ValueError, x509.DuplicateExtension):
        return None
    try:
        names = len(list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value))
    except x509.ExtensionNotFound:
        names = 0
    organizations = [str(one.value) for one in csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    common_names = [str(one.value) for one in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    # Of several common names Go takes the last one.
    return Subject(tuple(organizations), common_names[-1] if common_names else "", names)


def impropriety(request: SigningRequest) -> Improper | None:
    """The first rule that a request breaks; None if it may be approved, given that its requester may ask."""
    if request.signer not in (None, SIGNER):
        return Improper.WRONG_SIGNER
    if request.subject is None:
        return Improper.UNREADABLE
    if request.subject.organizations != ORGANIZATIONS:
        return Improper.WRONG_ORGANIZATION
    if not request.subject.common_name.startswith(COMMON_NAME_PREFIX):
        return Improper.WRONG_COMMON_NAME
    if request.subject.alternative_names:
        return Improper.ALTERNATIVE_NAMES
    if tuple(sorted(request.usages)) != USAGES:
        return Improper.WRONG_USAGES
    return None


def permissions(request: SigningRequest) -> tuple[Permission, ...]:
    """What is asked of the API server about the requester, in this order; one yes is enough."""
    if request.subject is not None and request.username == request.subject.common_name:
        return (SELF, OTHER)
    return (OTHER,)


def review(request: SigningRequest, permission: Permission) -> dict[str, Any]:
    """The SubjectAccessReview that asks whether the requester holds `permission`."""
    spec = request.body["spec"]
    asked = {key: spec[key] for key in ("groups", "uid", "extra") if spec.get(key)}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": request.username,
            **asked,
            "resourceAttributes": {
                "group": "certificates.k8s.io",
                "resource": "certificatesigningrequests",
                "subresource": permission.subresource,
                "verb": "create",
            },
        },
    }


def decided(body: Mapping[str, Any], message: str, *, approve: bool = True) -> dict[str, Any]:
    """`body` with the condition that approves or denies it, to be put to its `approval` subresource."""
    status = dict(body.get("status") or {})
    kind, reason = ("Approved", "AutoApproved") if approve else ("Denied", "AutoDenied")
    condition = {"type": kind, "status": "True", "reason": reason, "message": message}
    return {**body, "status": {**status, "conditions": [*(status.get("conditions") or []), condition]}}
