"""What is looked for when everything was closed, and what controls plant so that it must be found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from vnode_suite.connection.closing import (
    KEPT,
    kept_of,
    leaving_names,
    remove_node,
    requests_of,
    staying_nodes,
    vnode_ids,
)
from vnode_suite.connection.leavings import leavings

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.subject import Subject
    from vnode_suite.connection.world import World


def leftovers(subject: Subject) -> tuple[str, ...]:
    """What is in the cluster now, was not there before the run, and is of this cell."""
    cell, world = subject.cell, subject.world
    found: list[str] = []
    kept = {*kept_of(cell), *_journalled(cell)} if world.keeping.kept else set()
    staying = staying_nodes(world)
    for path, kind in _LOOKED_FOR if cell.sound.owns_vnode else _MADE_FOR_A_GIVEN_ONE:
        for item in _listed(world, path):
            meta = item["metadata"]
            labels = meta.get("labels") or {}
            # A Pod carries the run's label alone, whichever cell it is of.
            label, wanted = ("cell", cell.cell.id) if kind != "Pod" else ("run", cell.run.id)
            # Another run may accept the same cluster meanwhile.
            mine = (
                labels.get("vnode-suite/run") == cell.run.id and labels.get(f"vnode-suite/{label}") == wanted
            )
            if f"{kind} {meta['name']}" in kept or (item.get("spec") or {}).get("nodeName") in staying:
                continue
            new_node = (
                kind == "Node"
                and meta["uid"] not in world.before.objects
                and _not_anothers(cell, meta["name"])
                and _may_be_a_vnode(cell, meta)
            )
            if (mine or new_node) and not meta.get("deletionTimestamp"):
                found.append(f"{kind} {meta['name']}")
    listed = partial(_listed, world)
    found += [str(each) for each in leavings(world, leaving_names(cell), listed)]
    found += [f"CertificateSigningRequest {c['metadata']['name']}" for c in requests_of(cell, listed)]
    return tuple(found)


def _listed(world: World, path: str) -> Sequence[Mapping[str, Any]]:
    """What there is at *path* since everything was closed: looked at once for all cells, which make no more of it.

    Nodes are looked at anew: a control plants one.
    """
    if path == _NODES:
        return world.kube.list(path)
    with world.closing_guard:
        if path not in world.after_closing:
            world.after_closing[path] = world.kube.list(path)
        return world.after_closing[path]


def _journalled(cell: CellRun) -> Iterator[str]:
    """What the journal still names of the cell, as ``Kind name``."""
    for entry in cell.run.journal.left:
        if entry.undo.get("cell") == cell.cell.id:
            yield f"{entry.kind} {entry.name.rpartition('/')[2]}"


def _not_anothers(cell: CellRun, name: str) -> bool:
    """Whether a new Node is not known to be another cell's (a twin that is closed later keeps its own)."""
    kept = [s for c in cell.world.cells for s in c.subjects if s.has(*KEPT)]
    ids = [outcome.product.id for s in kept if (outcome := s.steps.known("vnode")) and outcome.product]
    others = {s.node_name for c in cell.world.cells if c is not cell for s in c.subjects}
    return name not in others and not any(i in name for i in ids)


def _may_be_a_vnode(cell: CellRun, meta: Mapping[str, Any]) -> bool:
    """Whether a new Node may be the run's: a cluster of others gets nodes of its own while it runs."""
    if cell.world.cluster.ends_with_the_run:
        return True
    name = str(meta["name"])
    return name.startswith(f"{cell.world.cloud.region}.") or any(i in name for i in vnode_ids(cell))


_NODES = "/api/v1/nodes"
#: Where the run makes things, and nowhere else: on a given cluster it may not look into all Secrets.
_LOOKED_FOR = (
    (_NODES, "Node"),
    ("/api/v1/namespaces/default/pods", "Pod"),
    ("/api/v1/namespaces/kube-system/secrets", "Secret"),
    ("/api/v1/namespaces/kube-system/serviceaccounts", "ServiceAccount"),
    ("/api/v1/namespaces/default/persistentvolumeclaims", "PersistentVolumeClaim"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ClusterRoleBinding"),
    ("/apis/apps/v1/daemonsets", "DaemonSet"),
)


#: For a VNode that was made elsewhere the run makes Pods and claims, and may look at nothing else.
_MADE_FOR_A_GIVEN_ONE = tuple(row for row in _LOOKED_FOR if row[1] in ("Pod", "PersistentVolumeClaim"))


@contextmanager
def unlabelled_node(subject: Subject) -> Iterator[tuple[str, ...]]:
    """For the defect of that name: a Node as a VNode leaves it, which nothing marks as the run's."""
    if not subject.has("unlabelled-node-left"):
        yield ()
        return
    name = f"{subject.world.cloud.region}.vnd-left-by-{subject.cell.run.id}-{subject.identity_kind.value}"
    subject.world.kube.create(_NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        yield (f"Node {name}",)
    finally:
        remove_node(subject.cell, name)


@contextmanager
def foreign_label(subject: Subject) -> Iterator[None]:
    """For the defect of that name: a label on something that was there before the run."""
    if not subject.has("foreign-label-added"):
        yield
        return
    path = "/api/v1/namespaces/default"
    kube = subject.world.kube
    kube.patch(path, {"metadata": {"labels": {"vnode-suite/foreign": "yes"}}})
    try:
        yield
    finally:
        kube.patch(path, {"metadata": {"labels": {"vnode-suite/foreign": None}}})
