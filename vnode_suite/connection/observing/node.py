"""NODE: looking at the VNode as the cluster sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from vnode_suite.checks.node import BothSides, Identity, Labels, Listing, Readiness
from vnode_suite.connection.leavings import leavings
from vnode_suite.connection.observing.create import described, settled
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.model import Identity as IdentityKind
from vnode_suite.probes.nodes import NodeHistory, Transition, internal_ip, ready_of
from vnode_suite.probes.pods import VNODE_KEY
from vnode_suite.probes.vnodes import ASK_AGAIN, find


def listing(subject: Subject) -> Observation[Listing]:
    """Whether, how and when the VNode was found among the nodes."""
    created = subject.vnode()
    outcome = subject.outcome(subject.node)
    deadline = subject.cell.seconds("node-registered")
    if outcome.product is None:
        _needs_a_certificate(subject)
        value = Listing(created.id, "", "", time.monotonic() - created.called_at, deadline)
    else:
        joined = outcome.product
        value = Listing(created.id, joined.name, joined.found_by, joined.seconds, deadline)
    nodes = "\n".join(
        f"{name} Ready={ready_of(node)[0]}" for name, node in subject.world.nodes.nodes().items()
    )
    return Observation(value, Source.CLUSTER, evidence=(Evidence("nodes", nodes),))


def _needs_a_certificate(subject: Subject) -> None:
    """Where even the suite's own proper CSR came to nothing, no VNode can join: KCFG-03 has said so.

    :raises StepNotReached: it did.
    """
    if subject.identity_kind is not IdentityKind.BOOTSTRAP:
        return
    issued = subject.outcome(subject.issuance).product
    if issued is not None and issued.certificate is None:
        detail = Text(f"the CSR is {issued.state}", f"CSR 状态为 {issued.state}")
        raise StepNotReached(Unreached("certificate", f"csr-{issued.state}", detail))


def node_object(subject: Subject) -> Mapping[str, Any]:
    """The Node as it is now."""
    return dict(subject.world.kube.get(f"/api/v1/nodes/{subject.node().name}"))


def readiness(subject: Subject) -> Observation[Readiness]:
    """Ready over time: until the window after the first Ready has passed, or it is lost.

    What a twin must lose it may lose late, where a controller manager is busy: it is watched for longer.
    """
    joined, created = subject.node(), subject.vnode()
    history: NodeHistory = subject.world.nodes
    window = subject.cell.seconds("stays-ready")
    outcome = subject.outcome(subject.ready)
    if outcome.product is None:
        node = history.nodes().get(joined.name, {})
        status, reason = ready_of(node)
        value = Readiness(joined.name, None, 0.0, window, last=f"Ready={status} {reason}".strip())
        return Observation(value, Source.CLUSTER, evidence=(_history(history.transitions(joined.name)),))
    began = created.called_at + outcome.product

    def lost(seen: NodeHistory) -> Transition | None:
        after = (t for t in seen.transitions(joined.name) if t.at > began and t.ready != "True")
        return next(after, None)

    gone: Transition | None = None
    until = began + window + (subject.cell.seconds("node-ready") if subject.sound is not None else 0.0)
    # It stayed Ready, which is what the clause wants.
    with suppress(DeadlineExceeded):
        gone = history.wait(lost, deadline_seconds=max(0.0, until - time.monotonic()), what="a loss of Ready")
    value = Readiness(
        joined.name,
        outcome.product,
        (gone.at if gone else time.monotonic()) - began,
        window,
        lost=f"{gone.ready} ({gone.reason})" if gone else "",
        lost_after=gone.at - began if gone else 0.0,
        heartbeat=_heartbeat(subject),
    )
    return Observation(value, Source.CLUSTER, evidence=(_history(history.transitions(joined.name)),))


def _heartbeat(subject: Subject) -> tuple[str, ...]:
    """What the VNode renews besides its Node's status."""
    return tuple(each.kind for each in leavings(subject.world, [subject.node().name, subject.vnode().id]))


def _history(transitions: tuple[Transition, ...]) -> Evidence:
    lines = "\n".join(f"{t.seen:%T.%f}Z Ready={t.ready} {t.reason}" for t in transitions)
    return Evidence("Ready over time (runner's clock)", lines)


def labels(subject: Subject) -> Observation[Labels]:
    """The Node's labels."""
    node = node_object(subject)
    found = tuple(sorted((node["metadata"].get("labels") or {}).items()))
    shown = "\n".join(f"{key}={value}" for key, value in found)
    return Observation(
        Labels(subject.node().name, found), Source.CLUSTER, evidence=(Evidence("labels", shown),)
    )


def both_sides(subject: Subject) -> Observation[BothSides]:
    """What cloud and cluster say of the same VNode, once the cloud says something final."""
    created = subject.vnode()
    cloud = subject.world.cloud
    client = cloud.client
    listed = subject.outcome(subject.ready)

    def final() -> bool | None:
        found = find(client, created.id)
        return True if found is not None and found.status != "Pending" else None

    # Pending is an answer, too.
    with suppress(DeadlineExceeded):
        poll(
            final,
            what=f"the cloud's word on {created.id}",
            deadline_seconds=subject.cell.seconds("describe-consistent"),
            interval_seconds=ASK_AGAIN,
        )
    found, evidence = settled(subject)
    cloud_seen = datetime.now(UTC)
    name = subject.node_name
    node = subject.world.nodes.nodes().get(name, {}) if name else {}
    value = BothSides(
        cloud_status=found.status,
        cloud_address=found.intranet_ip,
        node=name,
        node_ready=listed.reached and ready_of(node)[0] == "True",
        node_address=cloud.address_in_cloud(created.id, found.intranet_ip, internal_ip(node)),
        cloud_seen=f"{cloud_seen:%T}Z",
        cluster_seen=f"{datetime.now(UTC):%T}Z",
    )
    if listed.unreached is not None and found.status != "Ready":
        # Ready on neither side: NODE-01 or NODE-02 says so, and there is nothing to compare.
        raise StepNotReached(listed.unreached)
    # In a replay the cluster's half is the simulator's: the row is worth no more than that.
    source = Source.CLOUD if cloud.replay is None else Source.CLUSTER
    return Observation(value, source, evidence=(evidence,))


def identity(subject: Subject) -> Observation[Identity]:
    """Name, role, version, label, taint and the rest, as the Node has them."""
    node = node_object(subject)
    meta, spec = node["metadata"], node["spec"]
    found = meta.get("labels") or {}
    value = Identity(
        name=meta["name"],
        role=found.get("kubernetes.io/role", ""),
        kubelet_version=node["status"]["nodeInfo"]["kubeletVersion"],
        server_version=subject.world.server_version,
        vnode_label=found.get(VNODE_KEY) == "true",
        vnode_taint=any(t["key"] == VNODE_KEY for t in spec.get("taints") or ()),
        pod_cidr=spec.get("podCIDR", ""),
        excluded_from_load_balancers=any(
            "exclude-balancer" in key or "exclude-from-external-load-balancers" in key for key in found
        ),
    )
    shown = {
        "metadata": {"name": meta["name"], "labels": found},
        "spec": spec,
        "addresses": node["status"].get("addresses"),
    }
    return Observation(
        value, Source.CLUSTER, evidence=(Evidence("Node", json.dumps(shown, indent=1), "json"),)
    )


def time_to_ready(subject: Subject) -> Observation[float]:
    """From the call to Ready, in seconds."""
    return Observation(subject.ready(), Source.CLUSTER)


__all__ = [
    "both_sides",
    "described",
    "identity",
    "labels",
    "listing",
    "node_object",
    "readiness",
    "time_to_ready",
]
