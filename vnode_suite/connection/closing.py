"""Closing a version's connections, once and in the right order, and planting what its controls must find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from vnode_suite.access.bootstrap import requests_path
from vnode_suite.access.generate import Generated
from vnode_suite.cleanup.journal import Entry
from vnode_suite.clusters.kube import KubeError
from vnode_suite.connection import exclusion, identities
from vnode_suite.connection.leavings import Listing, leavings, remove_leavings
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.unanswered import delete_unanswered, look_for_unanswered
from vnode_suite.core.errors import DeadlineExceeded, SuiteError
from vnode_suite.probes.pods import INSTANCE_ANNOTATION, phase

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.subject import Subject
    from vnode_suite.connection.world import World


#: Defects of twins that do not go when they are told to.
KEPT = ("delete-keeps-vnode", "instance-left")
#: Where the run makes Pods.
_PODS = "/api/v1/namespaces/default/pods"
#: VNodes deleted side by side.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Closed:
    """What there was when the closing began.

    :ivar vnodes: VNode id to the cell that made it.
    :ivar objects: ``Kind name`` to the cell that made it.
    :ivar instances: instance id to the VNode that ran it.
    :ivar kept: what stays because that was asked for.
    """

    vnodes: Mapping[str, str]
    objects: Mapping[str, str]
    instances: Mapping[str, str]
    kept: tuple[str, ...] = ()

    def vnodes_of(self, subject: Subject) -> tuple[str, ...]:
        """Ids of the VNodes that the subject's cell made (of a twin: its own)."""
        return tuple(i for i, owner in self.vnodes.items() if owner == subject.cell.cell.id)

    def objects_of(self, subject: Subject) -> tuple[str, ...]:
        """Objects that the subject's cell and its VNodes made."""
        return tuple(name for name, owner in self.objects.items() if owner == subject.cell.cell.id)

    def instances_of(self, subject: Subject) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Instances of the subject's VNodes: all that there were, and those that are still there."""
        mine = set(self.vnodes_of(subject)) if subject.owns_vnode else set(self.instances.values())
        made = tuple(i for i, vnode in self.instances.items() if vnode in mine)
        if not subject.owns_vnode:
            # Asked by their ids: the VNode was there before, and others may run Pods on it.
            there = subject.world.cloud.client.describe_container_groups(made)
            return made, tuple(group.id for group in there)
        return made, subject.world.cloud.instances_left(made, sorted(mine))


def close_world(world: World) -> Closed:
    """Close every cell of *world*, once: Pods, VNodes, what these left, identities, the exclusion.

    The order matters: a VNode is not deleted while instances run on it, and its Node is removed only when nobody
    is left who would register it again.
    """
    with world.closing_guard:
        if world.closed is None:
            world.closed = _close(world)
        return world.closed


def _close(world: World) -> Closed:
    cells = world.cells
    world.lanes.stop()
    for cell in cells:
        cell.stop_early()
    # Never is more there at once than now: every VNode still runs.
    world.measure_memory()
    for cell in cells:
        look_for_unanswered(cell)
    world.keeping.decide()
    vnodes = {i: cell.cell.id for cell in cells for i in vnode_ids(cell)}
    instances: dict[str, str] = {}
    objects: dict[str, str] = {}
    pods = _listed_pods(world)
    for cell in cells:
        instances |= _instances(cell, pods)
        objects |= dict.fromkeys(_pods(cell, pods), cell.cell.id)
    _delete_pods(world, pods)
    closable = [s for cell in cells for s in cell.subjects if _closable(s)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="closing") as pool:
        list(pool.map(_delete_vnode, closable))
        for cell in cells:
            delete_unanswered(cell)
        # Most went with their twins; nobody is left who would register one of them again.
        there = {node["metadata"]["name"] for node in world.kube.list("/api/v1/nodes")}
        # Looked at once for all cells: nobody makes more of it.
        listed = cache(world.kube.list)
        for cell in cells:
            objects |= dict.fromkeys(_node_leavings(cell, listed), cell.cell.id)
            list(pool.map(partial(_remove_request, cell), requests_of(cell, listed)))
            list(pool.map(partial(remove_node, cell), [n for n in _node_names(cell) if n in there]))
            remove_leavings(world, leaving_names(cell), listed)
        kept = tuple(name for cell in cells for name in kept_of(cell))
        if not world.keeping.kept:
            for cell in cells:
                objects |= dict.fromkeys(_remove_identity(cell, pool), cell.cell.id)
            exclusion.revert(world)
    _await_daemonset_pods(world, [name for cell in cells for name in _node_names(cell)])
    return Closed(vnodes, objects, instances, kept)


def _closable(subject: Subject) -> bool:
    """Whether the subject's VNode goes with the others: it is the run's, nobody keeps it, no twin ends it later."""
    if not subject.owns_vnode or subject.world.keeping.holds(subject):
        return False
    return not subject.has(*KEPT)


def kept_of(cell: CellRun) -> list[str]:
    """What of the cell stays because that was asked for, as ``Kind name``."""
    held = [subject for subject in cell.vnodes if cell.world.keeping.holds(subject)]
    names = [f"VirtualNode {i}" for subject in held if (i := _id_of(subject))]
    return [*names, *(f"Node {name}" for subject in held for name in sorted(nodes_of(subject)))]


def nodes_of(subject: Subject) -> set[str]:
    """Nodes of the subject's VNode: the one that was found in time, and any whose name holds the VNode's id."""
    virtual_node_id = _id_of(subject)
    late = {name for name in subject.world.nodes.nodes() if virtual_node_id and virtual_node_id in name}
    return late | {subject.node_name} - {""}


#: kube-controller-manager looks for Pods of nodes that are gone every 20 s, and waits 40 s before it removes one
#: (pkg/controller/podgc); twice that for a busy one.
_ORPHANS_SECONDS = 120.0


def _await_daemonset_pods(world: World, nodes: list[str]) -> None:
    """Wait until the cluster itself has removed DaemonSet Pods that it had bound to VNodes that are gone.

    They came with the VNode, where nothing kept the DaemonSet off; but they are not the run's to delete. A cluster
    of the run's own takes them along.
    """
    if world.cluster.ends_with_the_run or not nodes:
        return
    try:
        world.kube.wait_for_list(
            "/api/v1/pods",
            lambda items: not any(pod["spec"].get("nodeName") in nodes for pod in items),
            deadline_seconds=_ORPHANS_SECONDS,
            what="Pods that the cluster had bound to the VNodes to be gone",
        )
    except DeadlineExceeded as late:
        world.run.ledger.write("note", text={"en": str(late), "zh": str(late)})


def tell_to_go(subject: Subject) -> None:
    """Delete one twin's VNode, whose defect is that it stays.

    That takes a while to be sure of, and everybody waits for the closing: so it is done early.
    """
    if subject.outcome(subject.node).reached:
        _delete_vnode(subject)


def close_twin(subject: Subject) -> Closed:
    """Delete one twin's own VNode, whose defect is that this does not do what it says.

    Its Pod went with all the others; what instances there were is remembered from then.
    """
    vnode = subject.vnode()
    before = close_world(subject.world).instances
    _delete_vnode(subject)
    with suppress(KubeError, DeadlineExceeded):
        for name in [n for n in subject.world.nodes.nodes() if vnode.id in n]:
            remove_node(subject.cell, name)
        remove_leavings(subject.world, [vnode.id])
    return Closed({vnode.id: subject.cell.cell.id}, {}, {i: v for i, v in before.items() if v == vnode.id})


def retire(subject: Subject) -> None:
    """Close one twin before the others, once all that is wanted of it was seen; does nothing if it has no VNode.

    What its VNode wrote beside a Node goes with everybody's, at the closing.
    """
    outcome, cell = subject.steps.known("vnode"), subject.cell
    shared = cell.sound.steps.known("vnode")
    if not outcome or not outcome.product or (shared and outcome.product is shared.product):
        return
    names = nodes_of(subject)
    for pod in subject.pods_made:
        _delete_pod(cell.world, pod)
    _delete_vnode(subject)
    for name in sorted(names):
        remove_node(cell, name)


def purge(subject: Subject) -> None:
    """Really remove the VNode that the defect kept, when it was seen to be kept."""
    subject.world.cloud.purge(subject.vnode().id)
    _deleted(subject)


def _instances(cell: CellRun, pods: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Instances of the run's Pods, each with its VNode's id: by the id that the VNode wrote on the Pod, else by
    the Pod's own name."""
    ids = {
        s.node_name: o.product.id
        for s in cell.subjects
        if (o := s.steps.known("vnode")) and o.product and s.node_name
    }
    staying = staying_nodes(cell.world)
    return {
        _instance_of(pod): ids[pod["spec"]["nodeName"]]
        for pod in pods
        if pod["spec"].get("nodeName") in ids.keys() - staying and phase(pod) == "Running"
    }


def _instance_of(pod: Mapping[str, Any]) -> str:
    written = (pod["metadata"].get("annotations") or {}).get(INSTANCE_ANNOTATION)
    return str(written or f"that of Pod {pod['metadata']['name']}")


def vnode_ids(cell: CellRun) -> list[str]:
    """Ids of the cell's VNodes that are to go with the others."""
    shared = {_id_of(subject) for subject in cell.subjects if not _closable(subject)}
    found = [_id_of(subject) for subject in cell.subjects if _closable(subject)]
    return [each for each in dict.fromkeys([*found, *cell.unanswered]) if each and each not in shared]


def _id_of(subject: Subject) -> str:
    outcome = subject.steps.known("vnode")
    return str(outcome.product.id) if outcome and outcome.product else ""


def staying_nodes(world: World) -> frozenset[str]:
    """Nodes whose Pods stay with them."""
    held = (s for cell in world.cells for s in cell.vnodes if world.keeping.holds(s))
    return frozenset(name for subject in held for name in nodes_of(subject))


def _delete_vnode(subject: Subject) -> None:
    cell = subject.cell
    try:
        gone = subject.delete_vnode()
    except StepNotReached:
        return  # A recording that ends before: CLEAN-01 says that it could not be looked at.
    except SuiteError as problem:
        # CLEAN-01 says of it what is left, and why.
        cell.undeleted.append(problem)
        return
    if gone:
        _deleted(subject)


def _deleted(subject: Subject) -> None:
    cell = subject.cell
    if subject.journal_entry is not None:
        entry, subject.journal_entry = subject.journal_entry, None
        entry.undone()
        cell.run.ledger.write(
            "deleted", cell=cell.cell.id, kind="VirtualNode", name=entry.name, where="cloud", id=""
        )


def _selector(world: World) -> str:
    return f"vnode-suite/run={world.run.id}"


def _listed_pods(world: World) -> list[dict[str, Any]]:
    """The run's Pods, of all cells of the version."""
    return world.kube.list(_PODS, labelSelector=_selector(world))


def _pods(cell: CellRun, pods: Sequence[Mapping[str, Any]]) -> list[str]:
    nodes = {s.node_name for s in cell.subjects if s.node_name} - staying_nodes(cell.world)
    return [
        f"Pod {p['metadata']['name']}"
        for p in pods
        if p["spec"].get("nodeName") in nodes or not p["spec"].get("nodeName")
    ]


def _delete_pods(world: World, pods: Sequence[Mapping[str, Any]]) -> None:
    staying = staying_nodes(world)
    for pod in pods:
        if pod["spec"].get("nodeName") not in staying:
            _delete_pod(world, pod["metadata"]["name"], wait=False)
    world.kube.wait_for_list(
        _PODS,
        lambda items: all(pod["spec"].get("nodeName") in staying for pod in items),
        deadline_seconds=world.seconds("pod-gone"),
        what="the suite's Pods to be gone",
        labelSelector=_selector(world),
    )


def _delete_pod(world: World, name: str, *, wait: bool = True) -> None:
    path = f"{_PODS}/{name}"
    _delete(world, path)
    if wait:
        world.kube.wait_for(
            path,
            lambda found: found is None,
            deadline_seconds=world.seconds("pod-gone"),
            what=f"{name} to be gone",
        )
    _undone(world, "Pod", name)


def _delete(world: World, path: str, **body: Any) -> None:
    try:
        world.kube.delete(path, {"gracePeriodSeconds": 0, **body} if "/pods/" in path else body or None)
    except KubeError as problem:
        if problem.status != 404:
            raise


def _undone(world: World, kind: str, name: str) -> None:
    for entry in world.run.journal.left:
        if entry.kind == kind and entry.name.rpartition("/")[2] == name:
            entry.undone()


def _node_names(cell: CellRun) -> list[str]:
    """Nodes of the cell's VNodes: those that were seen, and any whose name holds one of their ids."""
    ids = vnode_ids(cell)
    names = {subject.node_name for subject in cell.subjects if subject.node_name}
    names |= {name for name in cell.world.nodes.nodes() if any(i in name for i in ids)}
    # A twin may share the Node of a VNode that stays.
    others = {subject.node_name for subject in cell.subjects if not _closable(subject)}
    return sorted(names - others)


def _node_leavings(cell: CellRun, listed: Listing) -> list[str]:
    requests = [f"CertificateSigningRequest {c['metadata']['name']}" for c in requests_of(cell, listed)]
    beside = [str(each) for each in leavings(cell.world, leaving_names(cell), listed)]
    return [f"Node {name}" for name in _node_names(cell)] + beside + requests


def leaving_names(cell: CellRun) -> list[str]:
    """What a Lease is called after, and a lock."""
    return [*_node_names(cell), *vnode_ids(cell)]


def requests_of(cell: CellRun, listed: Listing) -> list[Mapping[str, Any]]:
    """CSRs by who asked: a VNode labels nothing."""
    outcome = cell.sound.steps.known("identity")
    generated: Generated | None = outcome.product if outcome else None
    if generated is None or not cell.sound.owns_vnode:
        return []
    names = {f"system:vnode:{i}" for i in vnode_ids(cell)}
    if not cell.world.keeping.kept:
        names.add(generated.username)
    requests = listed(requests_path(cell.world.version.facts.csr_api))
    return [c for c in requests if c["spec"].get("username") in names]


def _remove_request(cell: CellRun, request: Mapping[str, Any]) -> None:
    path = requests_path(cell.world.version.facts.csr_api)
    _delete(cell.world, f"{path}/{request['metadata']['name']}")


def remove_node(cell: CellRun, name: str) -> None:
    if not name:
        return
    _delete(cell.world, f"/api/v1/nodes/{name}")
    cell.world.nodes.wait(
        lambda history: name not in history.nodes(),
        deadline_seconds=cell.seconds("objects-gone"),
        what=f"{name} to be gone",
    )


def _remove_identity(cell: CellRun, pool: ThreadPoolExecutor) -> list[str]:
    identities.stop_approver(cell)
    cell.release()
    made = [
        entry
        for entry in cell.run.journal.left
        if entry.where == "cluster" and entry.undo.get("cell") == cell.cell.id and "path" in entry.undo
    ]

    def remove(entry: Entry) -> None:
        _delete(cell.world, str(entry.undo["path"]))
        entry.undone()

    list(pool.map(remove, made))
    return [f"{entry.kind} {entry.name}" for entry in made]
