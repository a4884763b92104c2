"""The call that creates a VNode, and the Pods that are put on one."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from vnode_suite.connection.leavings import collections
from vnode_suite.connection.products import Created
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.eci.client import new_client_token
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.guard import DEFECT_TAG, RUN_TAG, ForeignVirtualNode
from vnode_suite.eci.models import CreateRequest, Taint, VirtualNodeId
from vnode_suite.model import Cloud, Text
from vnode_suite.probes.pods import vnode_pod

if TYPE_CHECKING:
    from vnode_suite.connection.subject import Subject

#: What the emulator must be told besides, so that a defect of the ECI side has nothing to contradict it.
_TOGETHER_WITH = {"api-says-ready-without-node": "vnode-never-registers"}

#: Defect to the parameter that the call is made without.
_WITHOUT = {
    "create-without-region": "RegionId",
    "create-without-vswitch": "VSwitchId",
    "create-without-security-group": "SecurityGroupId",
    "create-without-kubeconfig": "KubeConfig",
    "create-without-tls-flag": "TlsBootstrapEnabled",
}


def parameter_left_out(subject: Subject) -> str:
    """The parameter that the subject's call lacks by its defect; empty where it lacks none."""
    return next((_WITHOUT[name] for name in sorted(subject.defects & _WITHOUT.keys())), "")


def create_request(subject: Subject) -> CreateRequest:
    """The parameters of the call, with the subject's defects in them."""
    cell, cloud = subject.cell, subject.world.cloud
    given = cell.run.settings.cloud
    tags = {**dict(given.tags), RUN_TAG: cell.run.id}
    simulated = subject.defects_at("vnode", "eci")
    if simulated:
        tags[DEFECT_TAG] = ",".join(
            sorted(simulated | {_TOGETHER_WITH[d] for d in simulated & _TOGETHER_WITH.keys()})
        )
    bootstrap = cell.cell.asks_for_certificate
    return CreateRequest(
        vswitch_ids=given.vswitches or tuple(cloud.vswitches)[:1],
        security_group_id=given.security_group or cloud.security_group_id,
        kubeconfig=subject.kubeconfig().text.reveal(),
        tls_bootstrap=bootstrap != subject.has("tls-flag-off-with-bootstrap", "tls-flag-on-with-token"),
        name=_name(subject),
        zone_id=given.zone or "",
        resource_group_id=given.resource_group or "",
        cluster_dns=given.cluster_dns,
        cluster_domain=given.cluster_domain or "",
        tags=tags,
        taints=tuple(Taint(key, value, effect) for key, value, effect in given.taints),
        client_token=new_client_token(),
    )


def _name(subject: Subject) -> str:
    """The name asked for (numbered from the second VNode on), else one of the run's own.

    The same for the same subject, so that a replay finds the recorded call.
    """
    cell = subject.cell
    if wanted := cell.run.settings.cloud.name:
        return f"{wanted}-{subject.number}" if subject.number > 1 else wanted
    told_apart = hashlib.sha256(f"{cell.cell.identity.value} {subject.name}".encode()).hexdigest()[:8]
    return f"vnode-suite-{cell.run.id}-{told_apart}"


def create(subject: Subject) -> Created:
    """Call CreateVirtualNode; the intent is journalled first.

    It is taken back only where nothing can have been bought. Else it stays, and the closing looks for the VNode by
    name and tag (:mod:`vnode_suite.connection.unanswered`); should the run be killed before, a sweep does.
    """
    cell, world = subject.cell, subject.world
    request = create_request(subject)
    before = frozenset(world.nodes.nodes())
    entry = cell.run.journal.intend(
        "VirtualNode",
        request.name,
        {
            "action": "delete-virtual-node",
            "region": world.cloud.region,
            "name": request.name,
            "client_token": request.client_token,
            "cell": cell.cell.id,
            "endpoint": cell.run.settings.cloud.endpoint,
            "ca_file": str(cell.run.settings.cloud.endpoint_ca or ""),
            "traces": _traces(subject),
            # The emulator's VNodes are processes of the run: a sweep has nothing to look for.
            "ends_with_run": world.cloud.kind is not Cloud.LIVE,
        },
        where="cloud",
    )
    called_at = time.monotonic()
    try:
        virtual_node_id = world.cloud.client.create_virtual_node(request)
    except Exception as problem:
        if bought_nothing(problem):
            entry.undone()
        raise
    entry.done(id=virtual_node_id)
    subject.journal_entry = entry
    _note_traces(subject, virtual_node_id)
    cell.run.ledger.write(
        "created", cell=cell.cell.id, kind="VirtualNode", name=request.name, where="cloud", id=virtual_node_id
    )
    cell.run.ledger.write(
        "timeline",
        cell=cell.cell.id,
        subject=subject.name,
        lane="cloud",
        clock="runner",
        text=Text(
            f"CreateVirtualNode answered {virtual_node_id}", f"CreateVirtualNode 返回 {virtual_node_id}"
        ),
        severity="normal",
        step="vnode",
    )
    return Created(VirtualNodeId(virtual_node_id), request, called_at, before)


def bought_nothing(problem: Exception) -> bool:
    """Whether the call certainly had no effect: it was never sent, or each attempt of it was refused."""
    if isinstance(problem, EciError):
        return not problem.effect_unknown
    return isinstance(problem, StepNotReached | ForeignVirtualNode)


def _note_traces(subject: Subject, virtual_node_id: str) -> None:
    """Write down what a VNode will leave in a cluster that outlives the run: it labels nothing."""
    traces = _traces(subject)
    if traces:
        undo = {**traces, "id": virtual_node_id}
        undo["requesters"] = [*traces["requesters"], f"system:vnode:{virtual_node_id}"]
        subject.cell.run.journal.intend("VNode's traces", virtual_node_id, undo).done()


def _traces(subject: Subject) -> dict[str, Any]:
    """How what a VNode leaves is found, but for its id; empty where the cluster ends with the run."""
    cell, world = subject.cell, subject.world
    if world.cluster.ends_with_the_run:
        return {}
    bootstrap = cell.cell.asks_for_certificate
    return {
        "action": "forget-vnode",
        "cluster": world.ref,
        "beside": [path for _, path in collections(world.version.facts)],
        "requesters": [cell.sound.identity().username] if bootstrap else [],
    }


def make_pod(subject: Subject, **how: Any) -> str:
    """Create a Pod for the subject's VNode in namespace default; its name."""
    cell = subject.cell
    name = f"vnode-suite-{cell.run.id}-{secrets.token_hex(3)}"
    cell.making.ensure(vnode_pod(name, cell.run.id, taints=cell.run.settings.cloud.taints, **how))
    subject.pods_made.append(name)
    return name
