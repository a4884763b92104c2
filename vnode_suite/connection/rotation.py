"""Certificates that run out within seconds: a control plane of its own, on which renewals can be watched.

A certificate lives a year by default. Here the version's own controller manager signs shorter ones, as short as it
keeps a life exactly (the version's fact ``signed_certificate_life`` says how). VNodes come from the run's emulator,
with a bootstrap kubeconfig for this server; nothing of it is in the cluster that is judged otherwise.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from vnode_suite.access.approver.beside import start_approver
from vnode_suite.access.creating import Making
from vnode_suite.access.deployment import approver_access
from vnode_suite.access.generate import generate_bootstrap
from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.access.objects import Naming
from vnode_suite.access.taking import Holding
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, start_local_cluster
from vnode_suite.connection.creating import bought_nothing
from vnode_suite.connection.opening import NODE_MONITOR_GRACE, NODE_MONITOR_GRACE_STARTS, NODE_MONITOR_PERIOD
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.documents import load_yaml
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.core.secrets import Secret
from vnode_suite.eci.client import new_client_token
from vnode_suite.eci.errors import WrongState
from vnode_suite.eci.guard import DEFECT_TAG, RUN_TAG
from vnode_suite.eci.models import CreateRequest
from vnode_suite.model import Cloud, Text
from vnode_suite.probes.nodes import NodeHistory
from vnode_suite.probes.vnodes import await_absence, find

if TYPE_CHECKING:
    from vnode_suite.connection.subject import Subject
    from vnode_suite.connection.world import World

#: Renewals that are watched: the first shows that one is asked for, the second that what came of it is used.
WANTED = 2
#: What the controller manager is told to sign for, in seconds, by how it counts a life. Lived are 30 s, and 30 to
#: 90 s where a start is rounded to the minute. A VNode renews at 70 to 90 % of what is left.
_SIGNED_FOR = {"full-below-8h": 30.0, "backdated": 330.0, "rounded-backdated": 360.0}
#: Until a certificate that has just run out counts as not renewed, in seconds: clocks have whole seconds.
_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Plane:
    """Where renewals are watched: an API server, its nodes, and who signs there.

    :ivar kubeconfig: the bootstrap kubeconfig that a VNode is given.
    :ivar holding: the identity's rights, to take one away.
    :ivar right: held by whoever needs the right to renew, or takes it away: it is that of every VNode there.
    """

    kube: KubeClient
    nodes: NodeHistory
    signer: Text
    kubeconfig: Secret
    holding: Holding
    right: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Watched:
    """A VNode whose certificates are followed.

    :ivar ready_at: when its Node was first Ready, on the monotonic clock.
    """

    id: str
    node: str
    ready_at: float


@dataclass(frozen=True, slots=True)
class Request:
    """One certificate request of a VNode; *end* is ``None`` while it has no certificate."""

    name: str
    asked_by: str
    asked_at: str
    begin: datetime | None
    end: datetime | None


def plane_of(subject: Subject) -> Plane:
    """The cell's control plane for this, started by whoever asks first and stopped with the cell."""
    sound = subject if subject.sound is None else subject.sound
    outcome = sound.steps.run("rotation", lambda: _kept(sound))
    if outcome.unreached is not None:
        raise StepNotReached(outcome.unreached)
    assert outcome.product is not None  # noqa: S101 - narrowing
    return outcome.product


def _kept(subject: Subject) -> Plane:
    opening = open_plane(subject)
    plane = opening.__enter__()
    subject.cell.keep_until_closed(opening)
    return plane


@contextmanager
def open_plane(subject: Subject) -> Iterator[Plane]:
    """A control plane with certificates that live for seconds, an approver and an identity."""
    world, cell = subject.world, subject.cell
    facts = world.version.facts
    life = _SIGNED_FOR[facts.signed_certificate_life]
    name = f"rotation-{cell.cell.id}"
    with ExitStack() as stack:
        local = stack.enter_context(
            start_local_cluster(
                world.version,
                cell.run.scratch / name,
                cell.run.supervisor,
                binaries=obtain_binaries(world.version),
                name=name,
                settings=ControlPlaneSettings(
                    address=world.cloud.host_address,
                    node_monitor_grace_seconds=NODE_MONITOR_GRACE,
                    node_monitor_grace_starts=NODE_MONITOR_GRACE_STARTS,
                    node_monitor_period_seconds=NODE_MONITOR_PERIOD,
                    cluster_signing_seconds=life,
                ),
            )
        )
        kube = stack.enter_context(KubeClient.from_kubeconfig_text(local.admin_kubeconfig))
        nodes = NodeHistory(kube)
        stack.callback(nodes.close)
        # Nothing is journalled: all that is made there goes with its processes, which the supervisor ends.
        making = Making(kube)
        admin = admin_cluster(load_yaml(local.admin_kubeconfig))
        naming = Naming(run=cell.run.id, cell=cell.cell.id)
        generated = generate_bootstrap(making, admin, naming, extra_privilege=facts.endpoints_right_needed)
        log = cell.run.folder / "evidence" / f"approver-{name}.log"
        approver = start_approver(approver_access(making, admin, naming).reveal(), log=log)
        stack.callback(approver.stop)
        yield Plane(
            kube,
            nodes,
            _signed_by(world, str(local.version_info["gitVersion"]), life),
            generated.kubeconfig,
            Holding(making, naming, generated.granted),
        )


def _signed_by(world: World, version: str, seconds: float) -> Text:
    flag = f"{world.version.facts.cluster_signing_duration_flag}={seconds:g}s"
    return Text(
        f"kube-controller-manager {version} of a control plane of its own, with {flag}",
        f"专用控制面的 kube-controller-manager {version}，参数 {flag}",
    )


@contextmanager
def joined(plane: Plane, subject: Subject, defects: frozenset[str]) -> Iterator[Watched]:
    """A VNode on the plane, Ready; deleted when the block ends.

    :raises DeadlineExceeded: it did not become Ready.
    """
    world, cell = subject.world, subject.cell
    cloud = world.cloud
    tags = {RUN_TAG: cell.run.id} | ({DEFECT_TAG: ",".join(sorted(defects))} if defects else {})
    request = CreateRequest(
        vswitch_ids=tuple(cloud.vswitches)[:1],
        security_group_id=cloud.security_group_id,
        kubeconfig=plane.kubeconfig.reveal(),
        tls_bootstrap=True,
        name=f"vnode-suite-{cell.run.id}-{secrets.token_hex(3)}",
        tags=tags,
        client_token=new_client_token(),
    )
    undo = {
        "action": "delete-virtual-node",
        "region": cloud.region,
        "name": request.name,
        "client_token": request.client_token,
        "cell": cell.cell.id,
        "ends_with_run": cloud.kind is not Cloud.LIVE,
    }
    entry = cell.run.journal.intend("VirtualNode", request.name, undo, where="cloud")
    said = {"cell": cell.cell.id, "kind": "VirtualNode", "name": request.name, "where": "cloud"}
    try:
        created = cloud.client.create_virtual_node(request)
    except Exception as problem:
        if bought_nothing(problem):
            entry.undone()
        raise
    entry.done(id=created)
    cell.run.ledger.write("created", **said, id=created)
    try:
        yield _ready(plane, created, cell.seconds("node-registered"))
    finally:
        poll(
            lambda: _deleted(world, created),
            what=f"the instances of {created} to be released",
            deadline_seconds=cell.seconds("instance-gone"),
        )
        if await_absence(cloud.client, created, deadline_seconds=cell.seconds("vnode-gone")):
            entry.undone()
            cell.run.ledger.write("deleted", **said, id="")


def _deleted(world: World, created: str) -> bool | None:
    try:
        world.cloud.client.delete_virtual_node(created)
    except WrongState:
        return None
    return True


def _ready(plane: Plane, created: str, deadline_seconds: float) -> Watched:
    def seen(history: NodeHistory) -> Watched | None:
        name = next((name for name in history.nodes() if created in name), "")
        first = next((t for t in history.transitions(name) if t.ready == "True"), None)
        return Watched(created, name, first.at) if first else None

    return plane.nodes.wait(
        seen, deadline_seconds=deadline_seconds, what=f"the Node of {created} to be Ready"
    )


def follow(
    kube: KubeClient, csr_api: str, virtual_node_id: str, *, wanted: int, deadline_seconds: float
) -> tuple[Request, ...]:
    """The VNode's requests, oldest first, once *wanted* renewals were granted or its last certificate ran out."""
    path = f"/apis/certificates.k8s.io/{csr_api}/certificatesigningrequests"
    deadline = time.monotonic() + deadline_seconds
    found = _requests(kube.list(path), virtual_node_id)
    while (have := _granted(found)) <= wanted:
        last = max((r.end for r in found if r.end), default=None)
        left = (last - datetime.now(UTC)).total_seconds() + _MARGIN if last else deadline_seconds
        left = min(left, deadline - time.monotonic())
        if left <= 0:
            break
        with suppress(DeadlineExceeded):
            kube.wait_for_list(
                path,
                lambda items, have=have: _granted(_requests(items, virtual_node_id)) > have,  # type: ignore[misc]
                deadline_seconds=left,
                what=f"a certificate of {virtual_node_id} to be renewed",
            )
        found = _requests(kube.list(path), virtual_node_id)
    return found


def _granted(requests: Sequence[Request]) -> int:
    return sum(request.end is not None for request in requests)


def _requests(items: Sequence[Mapping[str, Any]], virtual_node_id: str) -> tuple[Request, ...]:
    """Requests for this VNode's name, whoever asked: the first one does with the bootstrap token."""
    mine = []
    for item in items:
        asked = x509.load_pem_x509_csr(base64.b64decode(item["spec"]["request"]))
        names = [str(a.value) for a in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names and names[0].endswith(virtual_node_id):
            mine.append(_request(item))
    return tuple(sorted(mine, key=lambda r: (r.asked_at, r.end is None, r.end)))


def _request(item: Mapping[str, Any]) -> Request:
    pem = (item.get("status") or {}).get("certificate")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(pem)) if pem else None
    return Request(
        name=str(item["metadata"]["name"]),
        asked_by=str(item["spec"].get("username", "")),
        asked_at=str(item["metadata"]["creationTimestamp"]),
        begin=certificate.not_valid_before_utc if certificate else None,
        end=certificate.not_valid_after_utc if certificate else None,
    )


def said_of(world: World, virtual_node_id: str) -> tuple[str, ...]:
    """What the VNode's events say of its certificate."""
    there = find(world.cloud.client, virtual_node_id)
    return tuple(e.message for e in there.events if "certificate" in e.message) if there else ()
