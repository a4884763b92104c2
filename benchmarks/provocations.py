"""Every cause of the catalogue, brought about: what a VNode is handed, and what is then done to it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vnode_suite.access.creating import Making
from vnode_suite.access.generate import Generated, generate_bootstrap, generate_serviceaccount
from vnode_suite.access.kubeconfig import AdminCluster
from vnode_suite.access.objects import Naming
from vnode_suite.access.variants import broken
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local import pki
from vnode_suite.clusters.local.another import AnotherApiServer
from vnode_suite.clusters.local.certificates import CertificateAuthority, Validity
from vnode_suite.clusters.local.controlplane import LocalCluster
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.emulator import EmulatorReady
from vnode_suite.probes.cluster_signs import certificate_requests

#: How long a step of a provocation may take, in seconds: the machine may be shared.
STEP_SECONDS = 60.0
#: The VPC's DNS knows this name; each certificate that is wrong is shown to who asks for its own name.
API_NAME = "api.lab.test"
WRONG_CERTIFICATES = ("x509-wrong-name", "x509-expired", "x509-not-yet-valid")


@dataclass(frozen=True, slots=True)
class Order:
    """A VNode to be made."""

    kubeconfig: str = field(repr=False)
    bootstrap: bool = False
    defects: tuple[str, ...] = ()
    #: Done once it is created, with its id.
    then: Callable[[str], None] = lambda virtual_node_id: None


@dataclass(slots=True)
class Lab:
    """One version's control plane, the ECI side beside it, and what provocations share."""

    cluster: LocalCluster
    kube: KubeClient
    client: EciClient
    ready: EmulatorReady
    admin: AdminCluster
    csr_api: str
    #: API servers with something wrong: ``odd`` shows other certificates and has no certificates API, ``busy`` has one
    #: slot for requests that change something.
    odd: AnotherApiServer
    busy: AnotherApiServer
    strangers: CertificateAuthority
    stack: contextlib.ExitStack
    identities: dict[str, Generated] = field(default_factory=dict)

    def identity(self, kind: str, of: str = "shared") -> Generated:
        """A bootstrap or ServiceAccount identity with the page's rights, made once for each *of*."""
        key = f"{kind}-{of}"
        if key not in self.identities:
            make = generate_bootstrap if kind == "bootstrap" else generate_serviceaccount
            naming = Naming(run="lab", cell=key)
            extra = self.cluster.facts.endpoints_right_needed
            self.identities[key] = make(Making(self.kube), self.admin, naming, extra_privilege=extra)
        return self.identities[key]

    def text(self, kind: str = "serviceaccount") -> str:
        """The kubeconfig of the shared identity."""
        return self.identity(kind).kubeconfig.reveal()

    def at(self, server: str, *, ca_pem: str = "", kind: str = "serviceaccount") -> str:
        """That kubeconfig, pointed elsewhere."""
        document = yaml.safe_load(self.text(kind))
        cluster = document["clusters"][0]["cluster"]
        cluster["server"] = server
        if ca_pem:
            cluster["certificate-authority-data"] = base64.b64encode(ca_pem.encode()).decode()
        return yaml.safe_dump(document)

    @property
    def port(self) -> int:
        """The API server's port."""
        return self.cluster.layout.api_server_port


Provoke = Callable[[Lab], Order]


@dataclass(frozen=True, slots=True)
class Provocation:
    """One way in which a cause comes about."""

    name: str
    cause: str
    provoke: Provoke
    #: real; injected (the service says so); simulated (the VNode pretends).
    how: str = "real"
    #: Whether the kubeconfig that was handed over has to be known too.
    handed: bool = False


def _broken(variant: str) -> Provoke:
    return lambda lab: Order(broken(lab.text(), variant))


def _defect(defect: str) -> Provoke:
    return lambda lab: Order(lab.text(), defects=(defect,))


def _named(defect: str = "") -> Provoke:
    def provoke(lab: Lab) -> Order:
        host = API_NAME if defect else "lb.kubesphere.local"
        return Order(lab.at(f"https://{host}:{lab.port}"), defects=(defect,) if defect else ())

    return provoke


def _closed_port(lab: Lab) -> Order:
    with socket.create_server((lab.ready.host_address, 0)) as nobody:
        port = nobody.getsockname()[1]
    return Order(lab.at(f"https://{lab.ready.host_address}:{port}"))


def _certificate(cause: str) -> Provoke:
    def provoke(lab: Lab) -> Order:
        port = lab.odd.server_url.rpartition(":")[2]
        return Order(lab.at(f"https://{cause}.lab.test:{port}", ca_pem=lab.strangers.certificate_pem))

    return provoke


def wrong_certificates(authority: CertificateAuthority) -> dict[str, Any]:
    """Name of the server to the certificate that it shows: each wrong in one respect."""
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    past, future = Validity(now - 2 * day, now - day), Validity(now + day, now + 2 * day)
    return {
        "x509-wrong-name.lab.test": authority.serving("api", ["another.lab.test"]),
        "x509-expired.lab.test": authority.serving("api", ["x509-expired.lab.test"], past),
        "x509-not-yet-valid.lab.test": authority.serving("api", ["x509-not-yet-valid.lab.test"], future),
    }


# -- credentials --------------------------------------------------------------------------------------------------


def _deleted_token(lab: Lab) -> Order:
    made = lab.identity("bootstrap", "deleted")
    secret = f"bootstrap-token-{made.token.reveal()[:6]}"
    lab.kube.delete(f"/api/v1/namespaces/kube-system/secrets/{secret}")
    _await_rejection(lab, made)
    return Order(made.kubeconfig.reveal(), bootstrap=True)


def _expired_token(lab: Lab) -> Order:
    made = lab.identity("bootstrap", "expired")
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    secret = f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{made.token.reveal()[:6]}"
    # The cleaner deletes it within moments of its end; either way it is a token that has ended.
    lab.kube.patch(secret, {"stringData": {"expiration": ended.strftime("%Y-%m-%dT%H:%M:%SZ")}})
    _await_rejection(lab, made)
    return Order(made.kubeconfig.reveal(), bootstrap=True)


def _await_rejection(lab: Lab, made: Generated) -> None:
    with KubeClient.with_token(lab.cluster.server_url, lab.cluster.ca_pem, made.token.reveal()) as its:
        poll(
            lambda: its.raw("/api").status == 401 or None,
            what="the token to be rejected",
            deadline_seconds=STEP_SECONDS,
        )


def _expired_client(lab: Lab) -> Order:
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    authority = pki.authority(lab.cluster.layout)
    pair = authority.client("system:vnode:old", ["system:vnodes"], Validity(now - 2 * day, now - day))
    return Order(pki.kubeconfig(lab.cluster.server_url, lab.cluster.ca_pem, "vnode", pair))


def _no_rights(lab: Lab) -> Order:
    name = "without-rights"
    made = lab.identity("serviceaccount", name)
    for one in lab.kube.list("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"):
        if (one["metadata"].get("labels") or {}).get("vnode-suite/cell") == f"serviceaccount-{name}":
            lab.kube.delete(
                f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{one['metadata']['name']}"
            )
    with KubeClient.with_token(lab.cluster.server_url, lab.cluster.ca_pem, made.token.reveal()) as its:
        poll(
            lambda: its.raw("/api/v1/nodes").status == 403 or None,
            what="the rights to be gone",
            deadline_seconds=STEP_SECONDS,
        )
    return Order(made.kubeconfig.reveal())


# -- certificate requests -----------------------------------------------------------------------------------------


def _request(lab: Lab, virtual_node_id: str) -> Mapping[str, Any]:
    def there() -> Mapping[str, Any] | None:
        found = certificate_requests(lab.kube, virtual_node_id)
        return found[-1] if found else None

    return poll(there, what=f"the request of {virtual_node_id}", deadline_seconds=STEP_SECONDS)


def _decide(lab: Lab, request: Mapping[str, Any], decision: str, certificate_pem: str = "") -> None:
    path = f"/apis/certificates.k8s.io/{lab.csr_api}/certificatesigningrequests/{request['metadata']['name']}"
    current = lab.kube.get(path)
    condition = {"type": decision, "reason": "Lab", "message": "decided by a benchmark"}
    if lab.csr_api == "v1":
        condition["status"] = "True"
    current.setdefault("status", {})["conditions"] = [condition]
    current = lab.kube.replace(f"{path}/approval", current)
    if certificate_pem:
        current["status"]["certificate"] = base64.b64encode(certificate_pem.encode()).decode()
        lab.kube.replace(f"{path}/status", current)


def _asking(decide: Callable[[Lab, Mapping[str, Any]], None]) -> Provoke:
    def provoke(lab: Lab) -> Order:
        return Order(
            lab.text("bootstrap"),
            bootstrap=True,
            then=lambda virtual_node_id: decide(lab, _request(lab, virtual_node_id)),
        )

    return provoke


def _delete(lab: Lab, request: Mapping[str, Any]) -> None:
    lab.kube.delete(
        f"/apis/certificates.k8s.io/{lab.csr_api}/certificatesigningrequests/{request['metadata']['name']}"
    )


def _sign_for_another_key(lab: Lab, request: Mapping[str, Any]) -> None:
    pair = pki.authority(lab.cluster.layout).client("system:vnode:another", ["system:vnodes"])
    _decide(lab, request, "Approved", pair.certificate_pem)


def _sign_by_a_stranger(lab: Lab, request: Mapping[str, Any]) -> None:
    asked = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    pair = lab.strangers.pair
    signer = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    key = serialization.load_pem_private_key(pair.key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = dt.datetime.now(dt.UTC)
    issued = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(signer.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    _decide(lab, request, "Approved", issued.public_bytes(serialization.Encoding.PEM).decode())


# -- servers ------------------------------------------------------------------------------------------------------


def _without_certificates_api(lab: Lab) -> Order:
    return Order(lab.at(lab.odd.server_url, kind="bootstrap"), bootstrap=True)


def _busy(lab: Lab) -> Order:
    """The one slot for requests that change something is held by one whose body does not come."""
    url = lab.busy.server_url
    token = lab.identity("serviceaccount").token.reveal()
    lab.stack.enter_context(_held(url, lab.cluster.ca_pem, token))
    return Order(lab.at(url))


@contextlib.contextmanager
def _held(url: str, ca_pem: str, token: str) -> Iterator[None]:
    import ssl

    host, _, port = url.removeprefix("https://").rpartition(":")
    context = ssl.create_default_context(cadata=ca_pem)
    head = (
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews HTTP/1.1\r\n"
        f"Host: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(json.dumps({})) + 1000}\r\n\r\n"
    )
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(head.encode())
        with KubeClient.with_token(url, ca_pem, token) as its:
            poll(
                lambda: its.raw("/api/v1/namespaces/default/pods", "POST", body={}).status == 429 or None,
                what="the API server to turn requests away",
                deadline_seconds=STEP_SECONDS,
            )
        yield


def _double(answer: bytes, *, reset: bool = False) -> Provoke:
    """A server that is none: it answers with these bytes, or resets what is connected."""

    def provoke(lab: Lab) -> Order:
        listener = lab.stack.enter_context(socket.create_server((lab.ready.host_address, 0)))
        threading.Thread(target=_serve, args=(listener, answer, reset), daemon=True).start()
        return Order(lab.at(f"https://{lab.ready.host_address}:{listener.getsockname()[1]}"))

    return provoke


def _serve(listener: socket.socket, answer: bytes, reset: bool) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # Closed with the lab.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            connection.recv(4096)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.sendall(answer)


_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _code(code: str) -> Provoke:
    def provoke(lab: Lab) -> Order:
        assert lab.ready.admin is not None
        lab.ready.admin.clear_faults()
        lab.ready.admin.add_fault("CreateVirtualNode", "error", code=code, times=0)
        return Order(lab.text())

    return provoke


def _other_vpc(lab: Lab) -> Order:
    assert lab.ready.admin is not None
    lab.ready.admin.clear_faults()
    return Order(lab.text(), defects=("@group-of-other-vpc",))


#: Refusals of the call itself: taken one after the other, as a fault meets whichever call comes next.
REFUSALS = (
    Provocation("quota used up", "quota-exceeded", _code("QuotaExceeded"), "injected"),
    Provocation("no stock", "no-stock", _code("OperationDenied.NoStock"), "injected"),
    Provocation("vSwitch full", "no-free-address", _code("InvalidVSwitchId.IpNotEnough"), "injected"),
    Provocation("account in arrears", "arrears", _code("Account.Arrearage"), "injected"),
    Provocation("calls throttled", "throttled", _code("Throttling.User"), "injected"),
    Provocation("RAM refuses", "cloud-permission-missing", _code("Forbidden.SubUser"), "injected"),
    Provocation("group of another VPC", "security-group-mismatch", _other_vpc),
)

PROVOCATIONS = (
    Provocation("sound", "", lambda lab: Order(lab.text())),
    Provocation("packets dropped", "api-server-unreachable", _defect("api-server-unreachable")),
    Provocation("name without a record", "dns-no-such-host", _named()),
    Provocation("record of another address", "dns-wrong-address", _named("dns-wrong-address")),
    Provocation("port closed", "connection-refused", _closed_port),
    Provocation("firewall refuses", "connection-refused", _defect("api-server-refused")),
    Provocation("no route", "no-route", _defect("no-route")),
    Provocation("connection reset", "connection-reset", _double(b"", reset=True)),
    Provocation("CA of another cluster", "x509-unknown-authority", _broken("kubeconfig-wrong-ca")),
    Provocation("CA data empty", "ca-data-empty", _broken("kubeconfig-ca-empty"), handed=True),
    Provocation("certificate for another name", "x509-wrong-name", _certificate("x509-wrong-name")),
    Provocation("certificate expired", "x509-expired", _certificate("x509-expired")),
    Provocation("certificate of tomorrow", "x509-not-yet-valid", _certificate("x509-not-yet-valid")),
    Provocation("clock behind", "clock-skew", _defect("clock-skew-behind"), "simulated"),
    Provocation("plain HTTP", "not-https", _double(_BAD_REQUEST)),
    Provocation("exec credential", "kubeconfig-unusable", _broken("kubeconfig-exec-credential")),
    Provocation("token mistyped", "unauthorized", _broken("kubeconfig-wrong-token")),
    Provocation("token deleted", "unauthorized", _deleted_token),
    Provocation("token expired", "unauthorized", _expired_token),
    Provocation("client certificate expired", "unauthorized", _expired_client),
    Provocation("rights taken away", "forbidden", _no_rights),
    Provocation("request not approved", "csr-pending", _asking(lambda lab, request: None)),
    Provocation(
        "request denied", "csr-denied", _asking(lambda lab, request: _decide(lab, request, "Denied"))
    ),
    Provocation("request deleted", "csr-deleted", _asking(_delete)),
    Provocation(
        "approved, never signed",
        "csr-failed",
        _asking(lambda lab, request: _decide(lab, request, "Approved")),
    ),
    Provocation("signed for another key", "csr-failed", _asking(_sign_for_another_key)),
    Provocation("signed by a stranger", "csr-failed", _asking(_sign_by_a_stranger)),
    Provocation("no certificates API", "version-outside-window", _without_certificates_api),
    Provocation("no room for requests", "api-server-overloaded", _busy),
)


def new_name() -> str:
    """A VNode's name."""
    return f"vnode-suite-lab-{secrets.token_hex(3)}"
