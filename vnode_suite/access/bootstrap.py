"""Asking for a certificate as a VNode does, to see that it is given; and in ways in which it must not be."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from vnode_suite.access import limited, objects
from vnode_suite.access.creating import Making
from vnode_suite.access.kubeconfig import view
from vnode_suite.access.objects import Json, Naming
from vnode_suite.access.requests import (
    COMMON_NAME_PREFIX,
    Improper,
    KeyAndRequest,
    Wanted,
    improper,
    make_request,
    signing_request,
)
from vnode_suite.access.rights import CERTIFICATES_GROUP
from vnode_suite.cleanup.journal import Entry
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.secrets import Secret

#: An approver answers within 15 ms and the controller manager signs within 0.15 s (measured on two cores); a
#: busy cluster takes seconds.
ISSUE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate that the cluster gave, with its key."""

    key: Secret
    #: The leaf, and whatever the signer put after it.
    chain: str
    common_name: str
    organizations: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def client(self, server: str, ca_pem: str) -> KubeClient:
        """A client that acts with this certificate."""
        return KubeClient.with_certificate(server, ca_pem, self.chain, self.key.reveal())


@dataclass(frozen=True, slots=True)
class Issuance:
    """What became of one request."""

    csr_name: str
    #: `issued`, `approved` (not signed), `pending`, `denied`, `failed` (the signer refused).
    state: str
    #: As whom, and in which groups, the server says that it was asked.
    requester: str
    requester_groups: tuple[str, ...]
    #: From the request until it was approved and until it was issued, in seconds; None for what was not seen.
    approved_after: float | None
    issued_after: float | None
    #: How long was waited in all, in seconds.
    waited: float
    certificate: IssuedCertificate | None
    #: The object as it was seen last: public data, fit for evidence.
    csr: Json = field(repr=False)


def csr_api(kube: KubeClient) -> str:
    """`v1` where the server has it, else `v1beta1`."""
    served = {one["version"] for one in kube.get(f"/apis/{CERTIFICATES_GROUP}").get("versions") or []}
    return "v1" if "v1" in served else "v1beta1"


def requests_path(api: str) -> str:
    """Address of all signing requests in version `api` of their group."""
    return f"/apis/{CERTIFICATES_GROUP}/{api}/certificatesigningrequests"


def knows_signers(csr: Mapping[str, object]) -> bool:
    """Whether a CSR as the server stored it kept its signer (from 1.18 on)."""
    spec = csr.get("spec")
    return isinstance(spec, dict) and bool(spec.get("signerName"))


def state_of(csr: Mapping[str, object]) -> str:
    """`issued`, `denied`, `failed`, `approved` or `pending`."""
    status = csr.get("status")
    status = status if isinstance(status, dict) else {}
    conditions = {one.get("type") for one in status.get("conditions") or []}
    if status.get("certificate"):
        return "issued"
    for condition in ("Denied", "Failed", "Approved"):
        if condition in conditions:
            return condition.lower()
    return "pending"


def approval_of(csr: Mapping[str, object]) -> str:
    """As `state_of`, but `approved` also where the signer then refused: the approver did not."""
    status = csr.get("status")
    conditions = (status.get("conditions") if isinstance(status, dict) else None) or []
    state = state_of(csr)
    return (
        "approved"
        if state == "failed" and any(one.get("type") == "Approved" for one in conditions)
        else state
    )


def bootstrap(
    making: Making,
    kubeconfig: Secret,
    naming: Naming,
    *,
    name: str | None = None,
    deadline_seconds: float = ISSUE_SECONDS,
) -> Issuance:
    """Ask for a first certificate with a bootstrap kubeconfig, as a VNode called `name` would.

    The request is taken away again; the certificate stays valid until it ends.

    :param making: the admin's client: the bootstrap token may not delete what it asked.
    :raises KubeError: the server refused the request itself (401 for a token that it does not know).
    """
    with KubeClient.from_kubeconfig_text(kubeconfig.reveal()) as client:
        return ask(
            making,
            client,
            Wanted(f"{COMMON_NAME_PREFIX}{name or _suffix()}"),
            naming,
            deadline_seconds=deadline_seconds,
        )


def ask(
    making: Making,
    client: KubeClient,
    wanted: Wanted,
    naming: Naming,
    *,
    deadline_seconds: float = ISSUE_SECONDS,
    api: str = "",
) -> Issuance:
    """Make a key, ask for a certificate as `client`, and wait for what becomes of it.

    :param api: as `csr_api` says, which is asked where nobody knows.
    """
    made = make_request(wanted)
    submitted = submit(making, client, wanted, made, naming, api or csr_api(client))
    try:
        return _follow(client, submitted, made, deadline_seconds)
    finally:
        submitted.withdraw(making)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request that the server has taken."""

    csr: Json
    at: float
    entry: Entry | None

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.csr["metadata"]["name"])

    @property
    def path(self) -> str:
        """Its address."""
        return objects.path(self.csr)

    def withdraw(self, making: Making) -> None:
        """Delete it as admin."""
        making.remove(self.csr)


def submit(
    making: Making, client: KubeClient, wanted: Wanted, made: KeyAndRequest, naming: Naming, api: str
) -> Submitted:
    """Create the signing request as `client`, in version `api` of its group; written down first."""
    body = signing_request(api, f"{naming.prefix}-{_suffix()}", wanted, made.request_pem, naming)
    entry = making.announce(body)
    at = time.monotonic()
    try:
        stored = client.create(objects.collection_path(body), body)
    except KubeError:
        if entry is not None:
            entry.undone()
        raise
    if entry is not None:
        entry.done(uid=stored["metadata"]["uid"])
    stored.setdefault("apiVersion", body["apiVersion"])
    stored.setdefault("kind", body["kind"])
    return Submitted(stored, at, entry)


def _follow(
    client: KubeClient, submitted: Submitted, made: KeyAndRequest, deadline_seconds: float
) -> Issuance:
    seen: dict[str, float] = {}
    latest = {"csr": submitted.csr}

    def settled(csr: Json | None) -> bool:
        if csr is None:
            return False
        latest["csr"] = csr
        if approval_of(csr) in ("approved", "issued"):
            seen.setdefault("approved", time.monotonic() - submitted.at)
        state = state_of(csr)
        if state == "issued":
            seen.setdefault("issued", time.monotonic() - submitted.at)
        return state in ("issued", "denied", "failed")

    # Pending or unsigned is an answer here, and the caller's clause judges it.
    with suppress(DeadlineExceeded):
        client.wait_for(
            submitted.path,
            settled,
            deadline_seconds=deadline_seconds,
            what=f"request {submitted.name} to be settled",
        )
    csr, spec = latest["csr"], latest["csr"]["spec"]
    return Issuance(
        csr_name=submitted.name,
        state=state_of(csr),
        requester=spec.get("username", ""),
        requester_groups=tuple(spec.get("groups") or ()),
        approved_after=seen.get("approved"),
        issued_after=seen.get("issued"),
        waited=time.monotonic() - submitted.at,
        certificate=_certificate(csr, made),
        csr=csr,
    )


def _certificate(csr: Json, made: KeyAndRequest) -> IssuedCertificate | None:
    import base64

    from cryptography import x509
    from cryptography.x509.oid import NameOID

    encoded = (csr.get("status") or {}).get("certificate")
    if not encoded:
        return None
    chain = base64.b64decode(encoded)
    leaf = x509.load_pem_x509_certificate(chain)
    names = leaf.subject.get_attributes_for_oid
    return IssuedCertificate(
        Secret(made.key_pem, "private-key"),
        chain.decode("ascii"),
        str(names(NameOID.COMMON_NAME)[0].value),
        tuple(str(one.value) for one in names(NameOID.ORGANIZATION_NAME)),
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
    )


@dataclass(frozen=True, slots=True)
class ImproperOutcome:
    """What became of improper requests, read once a sound one made after them was approved."""

    #: Variant to `pending`, `approved`, `issued` or `denied`.
    states: tuple[tuple[Improper, str], ...]
    #: Variants that this server cannot be asked (no signers up to 1.17).
    not_expressible: tuple[Improper, ...]
    #: What became of the sound request. Unless it was approved, nothing looked, and the states say nothing.
    canary: Issuance

    @property
    def conclusive(self) -> bool:
        """Whether an approver had looked at them when the states were read."""
        return self.canary.approved_after is not None


def submit_improper(
    making: Making,
    kubeconfig: Secret,
    naming: Naming,
    variants: Sequence[Improper] = tuple(Improper),
    *,
    deadline_seconds: float = ISSUE_SECONDS,
) -> ImproperOutcome:
    """Ask in each improper way, then once properly, and see which were approved. All is taken away again.

    No wait tells that something will not come. But an approver sees requests in the order in which they were
    made: when it has approved the last, sound one, it has dealt with those before. Keys are thrown away.
    """
    submitted: list[tuple[Improper, Submitted]] = []
    ca_pem = view(kubeconfig.reveal()).ca_pem
    with (
        KubeClient.from_kubeconfig_text(kubeconfig.reveal()) as client,
        limited.no_nodeclient(making, ca_pem, naming) as token,
        limited.client(making, ca_pem, token) as other,
    ):
        api = csr_api(client)
        try:
            for variant in variants:
                wanted = improper(variant, _suffix())
                asking = other if variant is Improper.REQUESTER_WITHOUT_RIGHT else client
                submitted.append((variant, submit(making, asking, wanted, make_request(wanted), naming, api)))
            known = all(knows_signers(one.csr) for _, one in submitted)
            canary = ask(
                making,
                client,
                Wanted(f"{COMMON_NAME_PREFIX}{_suffix()}"),
                naming,
                deadline_seconds=deadline_seconds,
                api=api,
            )
            listed = {each["metadata"]["name"]: each for each in client.list(requests_path(api))}
            states = tuple(
                # One that somebody took away meanwhile is asked for, so that the server says that it is gone.
                (variant, approval_of(listed.get(one.name) or client.get(one.path)))
                for variant, one in submitted
                if known or variant is not Improper.WRONG_SIGNER
            )
        finally:
            for _, one in submitted:
                one.withdraw(making)
    expressed = {variant for variant, _ in states}
    return ImproperOutcome(states, tuple(one for one in variants if one not in expressed), canary)


def _suffix() -> str:
    return secrets.token_hex(4)
