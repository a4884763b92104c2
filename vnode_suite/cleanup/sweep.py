"""Finding and removing what killed runs left behind; never what a living run is using.

A run is dead when none of the processes that had its journal open still lives (number and start time).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vnode_suite.cleanup.journal import ClusterReach, Entry, Record, Where, read_run
from vnode_suite.cleanup.networks import interface_of, networks_of
from vnode_suite.cleanup.state import ProcessIdentity, runs_dir
from vnode_suite.cleanup.undo import ClusterAccess, Left, UndoRegistry, standard_registry
from vnode_suite.clusters.kube import KubeClient, KubeError, KubeUnreachable
from vnode_suite.core.errors import SuiteError

#: Order in which kinds are undone: what uses something goes before what it uses.
_ORDER = (
    # What a supervisor is ending would otherwise be there when it is looked for, or be made while it is removed.
    "await-process",
    # While instances of Pods are on a VNode it is not deleted, and only the VNode can end them.
    "delete-pod",
    "delete-virtual-node",
    # A simulated VNode that still runs would register its Node again.
    "stop-process",
    "forget-vnode",
    "patch-object",
    "delete-object",
    "remove-network",
    "remove-folder",
)
_RUN_LABEL = "vnode-suite/run"
_LABELLED = (
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/api/v1/secrets",
    "/api/v1/serviceaccounts",
    "/api/v1/pods",
    "/api/v1/persistentvolumeclaims",
    "/apis/apps/v1/daemonsets",
)


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that a dead run left."""

    run: str
    entry: Entry

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        entry = self.entry
        return {
            "run": self.run,
            "kind": entry.kind,
            "name": entry.name,
            "where": entry.where,
            "state": entry.state,
        }


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found, removed, and could not remove."""

    found: tuple[Leftover, ...]
    removed: tuple[Leftover, ...]
    left: tuple[Left, ...]
    #: Runs that are in progress, whose things were not touched.
    living: tuple[str, ...]
    #: Runs of other machines that share this state folder; only those can tell whether they live.
    elsewhere: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is left behind now."""
        return not self.left and len(self.removed) == len(self.found)


#: Given the registry of a sweep and the journal's clusters, adds handlers such as `delete-virtual-node`.
Extend = Callable[[UndoRegistry, Record], None]


def find_leftovers(state: Path | None = None) -> tuple[Leftover, ...]:
    """All that dead runs left: by their journals, by label on clusters that answer, and networks of theirs."""
    return tuple(left for record in _dead(state) for left in _left_of(record))


def sweep(*, yes: bool, state: Path | None = None, extend: Extend | None = None) -> SweepResult:
    """Find what dead runs left and, with `yes`, remove it, and then their journals.

    :param extend: adds handlers for what needs a cloud; without it VNodes are listed and stay.
    """
    found: list[Leftover] = []
    removed: list[Leftover] = []
    left: list[Left] = []
    for record in _dead(state):
        mine = _left_of(record)
        found += mine
        if not yes:
            left += (Left(one.entry.kind, one.entry.name, one.entry.where, "only listed") for one in mine)
            continue
        gone, stayed = _remove(record, mine, extend)
        removed += gone
        left += stayed
        if not stayed:
            shutil.rmtree(runs_dir(state) / record.run, ignore_errors=True)
    records = _records(state)
    return SweepResult(
        tuple(found),
        tuple(removed),
        tuple(left),
        tuple(record.run for record in records if not record.elsewhere and record.alive),
        tuple(record.run for record in records if record.elsewhere),
    )


def _remove(
    record: Record, leftovers: Iterable[Leftover], extend: Extend | None
) -> tuple[list[Leftover], list[Left]]:
    clusters = ClusterAccess(record.clusters)
    registry = standard_registry(clusters)
    if extend is not None:
        extend(registry, record)
    gone: list[Leftover] = []
    stayed: list[Left] = []
    try:
        for one in sorted(leftovers, key=lambda one: _rank(one.entry)):
            problem = registry.undo(one.entry)
            if problem is None:
                gone.append(one)
            else:
                stayed.append(problem)
    finally:
        clusters.close()
    return gone, stayed


def _records(state: Path | None) -> list[Record]:
    folder = runs_dir(state)
    if not folder.is_dir():
        return []
    return [read_run(one) for one in sorted(folder.iterdir()) if one.is_dir()]


def _dead(state: Path | None) -> list[Record]:
    # A folder whose journal has no first line yet belongs to a run that is just beginning.
    return [one for one in _records(state) if one.processes and not one.elsewhere and not one.alive]


def _left_of(record: Record) -> list[Leftover]:
    entries = list(record.left)
    known = {(entry.undo.get("cluster"), entry.undo.get("path")) for entry in entries}
    for reach in record.clusters.values():
        entries += [one for one in _labelled(record.run, reach) if (reach.ref, one.undo["path"]) not in known]
    named = {str(entry.undo.get("run")) for entry in entries if entry.undo.get("action") == "remove-network"}
    entries += [_network(network) for network in networks_of(record.run) if network not in named]
    scratch = {str(entry.undo.get("path")) for entry in entries}
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"vnode-suite-{record.run}-*")):
        if str(folder) not in scratch and folder.is_dir():
            entries.append(
                _unwritten("folder", folder.name, "local", {"action": "remove-folder", "path": str(folder)})
            )
    return [Leftover(record.run, entry) for entry in entries if _may_be_there(entry, record)]


def _may_be_there(entry: Entry, record: Record) -> bool:
    """False for what is plainly gone: what lived in processes that died with their run."""
    undo = entry.undo
    if undo.get("ends_with_run"):
        return False
    match undo.get("action"):
        case "stop-process" | "await-process":
            return ProcessIdentity(int(undo["pid"]), str(undo["start"])).alive
        case "remove-folder":
            return Path(str(undo["path"])).exists()
        case "remove-network":
            return interface_of(str(undo["run"])).exists()
        case "delete-object" | "patch-object" | "forget-vnode":
            reach = record.clusters.get(str(undo.get("cluster")))
            return reach is None or reach.kubeconfig is not None
        case _:
            return True


def _labelled(run: str, reach: ClusterReach) -> list[Entry]:
    """Objects that carry the run's label, on a cluster that can be reached again."""
    if reach.kubeconfig is None:
        return []
    found: list[Entry] = []
    try:
        with KubeClient.from_kubeconfig_file(reach.kubeconfig, reach.context) as kube:
            for collection in _LABELLED:
                for item in kube.list(collection, labelSelector=f"{_RUN_LABEL}={run}"):
                    found.append(_found_object(collection, item, reach.ref))
    except (KubeError, KubeUnreachable, SuiteError):
        return found  # What the journal names is tried all the same, and then says why it cannot be removed.
    return found


def _found_object(collection: str, item: dict[str, object], ref: str) -> Entry:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - the API server's own objects
    namespace, name = metadata.get("namespace"), metadata["name"]
    if namespace:
        root, _, plural = collection.rpartition("/")
        path = f"{root}/namespaces/{namespace}/{plural}/{name}"
    else:
        path = f"{collection}/{name}"
    entry = _unwritten(
        str(item.get("kind")), name, "cluster", {"action": "delete-object", "cluster": ref, "path": path}
    )
    entry.fact = {"uid": metadata["uid"]}
    return entry


def _network(name: str) -> Entry:
    return _unwritten("network", interface_of(name).name, "local", {"action": "remove-network", "run": name})


def _unwritten(kind: str, name: str, where: Where, undo: dict[str, object]) -> Entry:
    return Entry(0, kind, name, where, undo)


def _rank(entry: Entry) -> int:
    action = entry.undo.get("action")
    if action == "delete-object" and entry.kind == "Pod":
        action = "delete-pod"
    return _ORDER.index(action) if action in _ORDER else 0
