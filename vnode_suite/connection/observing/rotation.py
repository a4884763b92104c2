"""CREATE-07: a VNode's certificate, watched through renewals."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from vnode_suite.checks.create import Rotation
from vnode_suite.connection import rotation
from vnode_suite.connection.rotation import WANTED, Request
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Evidence, Observation, Provider, Source, Text, Unreached
from vnode_suite.probes.nodes import NodeHistory

#: The right that a renewal needs; the defect takes it away when the VNode has joined.
_RIGHT = "selfnodeclient-missing"
#: The VNode itself never asks.
_STOPS = "renewal-stops"
#: The share of a certificate's life by which a client has renewed it (client-go's certificate manager: 70 to 90 %).
_RENEWED_BY = 0.9


def renewals(subject: Subject) -> Observation[Rotation]:
    """Two renewals on a control plane of their own; on a given cluster, as many as fall into the soak."""
    if subject.world.cluster.provider is not Provider.LOCAL:
        return _soaked(subject)
    world, plane = subject.world, rotation.plane_of(subject)
    stops = subject.defects & {_STOPS}
    # One that never asks does not miss the right; any other would, even for the moment in which it joins.
    alone = nullcontext() if stops else plane.right
    with alone, rotation.joined(plane, subject, stops) as vnode:
        taken = plane.holding.with_defect(_RIGHT) if subject.has(_RIGHT) else nullcontext()
        with taken:
            requests = rotation.follow(
                plane.kube,
                world.version.facts.csr_api,
                vnode.id,
                wanted=WANTED,
                deadline_seconds=subject.cell.seconds("certificate-renewed"),
            )
        said = rotation.said_of(world, vnode.id)
        return _observation(requests, plane.nodes, vnode.node, WANTED, plane.signer, said)


def _soaked(subject: Subject) -> Observation[Rotation]:
    """The VNode under test, for as long as was asked: nobody shortens the life of a given cluster's certificates."""
    soak = subject.cell.run.settings.scope.soak_seconds
    world, joined = subject.world, subject.node()
    csr_api = world.version.facts.csr_api
    created = subject.vnode().id
    first = rotation.follow(world.kube, csr_api, created, wanted=0, deadline_seconds=0)
    due = _due(first, soak)
    requests = rotation.follow(world.kube, csr_api, created, wanted=due, deadline_seconds=soak)
    signer = Text(f"the given cluster, watched for {soak:g} s", f"给定集群自己的签发者，持续观察 {soak:g} 秒")
    said = rotation.said_of(world, created)
    return _observation(requests, world.nodes, joined.name, due, signer, said)


def _due(requests: Sequence[Request], soak_seconds: float) -> int:
    """How many renewals must fall into the soak.

    :raises StepNotReached: none need, so that nothing could be seen.
    """
    last = next((r for r in reversed(requests) if r.begin and r.end), None)
    if last is None or last.begin is None or last.end is None:
        detail = Text(
            "no certificate request of the VNode is in the cluster", "集群中没有该 VNode 的证书请求"
        )
        raise StepNotReached(Unreached("soak", "no-certificate", detail))
    life = (last.end - last.begin).total_seconds()
    until = (last.begin + timedelta(seconds=_RENEWED_BY * life) - datetime.now(UTC)).total_seconds()
    if soak_seconds < until:
        detail = Text(
            f"the certificate lives until {last.end:%F %T}Z and need not be renewed for {until:.0f} s; the soak is "
            f"{soak_seconds:g} s: --vnode-soak",
            f"证书有效期至 {last.end:%F %T}Z，{until:.0f} 秒内无须续签；观察时长为 {soak_seconds:g} 秒：--vnode-soak",
        )
        raise StepNotReached(Unreached("soak", "too-short", detail))
    return min(WANTED, 1 + int((soak_seconds - until) / (_RENEWED_BY * life)))


def _observation(
    requests: Sequence[Request],
    nodes: NodeHistory,
    node: str,
    wanted: int,
    signer: Text,
    said: Sequence[str],
) -> Observation[Rotation]:
    granted = [request for request in requests if request.end is not None]
    changes = nodes.transitions(node)
    began = next((t.at for t in changes if t.ready == "True"), float("inf"))
    lost = [t for t in changes if t.at > began and t.ready != "True"]
    refused = len(requests) > len(granted)
    # What its first certificate took is over: it has joined.
    failed = [each for each in said if "failed" in each and "bootstrap" not in each]
    value = Rotation(
        renewals=max(0, len(granted) - 1),
        wanted=wanted,
        not_ready=bool(lost),
        signer=signer,
        problem="renewal-not-approved" if refused else "not-renewed",
        detail=failed[0] if failed and len(granted) <= wanted else "",
    )
    lines = [
        f"{r.asked_at} {r.name} asked by {r.asked_by}: "
        + (f"valid {r.begin:%F %T}Z to {r.end:%F %T}Z" if r.begin and r.end else "no certificate")
        for r in requests
    ]
    ready = [f"{t.seen:%F %T}Z Ready={t.ready} {t.reason}".rstrip() for t in changes]
    return Observation(
        value,
        Source.CLUSTER,
        evidence=(
            Evidence("signed by", signer.en),
            Evidence("certificate requests of the VNode", "\n".join(lines)),
            Evidence(f"Ready of {node}", "\n".join(ready)),
            Evidence("what the VNode says of it", "\n".join(said) or "nothing"),
        ),
    )
