"""How each kind of thing is undone. A handler says what it could not do; it never raises."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vnode_suite.cleanup.journal import ClusterReach, Entry
from vnode_suite.cleanup.networks import interface_of
from vnode_suite.cleanup.state import ProcessIdentity
from vnode_suite.clusters.kind.docker import Docker
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.core.errors import DeadlineExceeded, SuiteError
from vnode_suite.core.modules import command, environment
from vnode_suite.core.polling import poll

#: From TERM to KILL for a process that a dead run left.
GRACE_SECONDS = 5.0
#: A dead run's supervisor ends everything that it owns and then itself: it kills, waits and removes a network.
SUPERVISOR_SECONDS = 30.0
#: Removing a network takes a second or two.
NETWORK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is still there, and why."""

    kind: str
    name: str
    where: str
    reason: str


Handler = Callable[[Entry], str | None]


@dataclass(slots=True)
class UndoRegistry:
    """Handlers by the name of their action. Thread-safe for use, not for registering."""

    _handlers: dict[str, Handler] = field(default_factory=dict)

    def register(self, action: str, handler: Handler) -> None:
        """Let `handler` undo entries whose `undo["action"]` is `action`.

        It returns None when the thing is gone, else why it is not.
        """
        self._handlers[action] = handler

    def undo(self, entry: Entry) -> Left | None:
        """Undo one entry and write that down; what could not be undone is returned. Never raises."""
        action = str(entry.undo.get("action"))
        handler = self._handlers.get(action)
        try:
            reason = handler(entry) if handler else f"nothing here knows how to {action}"
        except SuiteError as problem:
            reason = str(problem)
        except Exception as bug:  # A bug in one undoing must not keep the others from being done.
            reason = f"{type(bug).__name__}: {bug}"
        if reason is None:
            try:
                entry.undone()
            except OSError as problem:
                return Left(
                    entry.kind, entry.name, entry.where, f"gone, but the journal cannot say so: {problem}"
                )
            return None
        return Left(entry.kind, entry.name, entry.where, reason)

    def undo_all(self, entries: Iterable[Entry]) -> tuple[Left, ...]:
        """Undo entries in the order given, and return what is left."""
        return tuple(left for left in map(self.undo, entries) if left is not None)


class ClusterAccess:
    """Clients for the clusters that a journal names, made when first needed."""

    def __init__(
        self, clusters: Mapping[str, ClusterReach], clients: Mapping[str, KubeClient] | None = None
    ) -> None:
        self._clusters, self._given, self._opened = clusters, dict(clients or {}), dict[str, KubeClient]()
        self._lock = threading.Lock()

    def add(self, ref: str, client: KubeClient) -> None:
        """Use this client for the cluster called `ref`; it stays its owner's to close."""
        self._given[ref] = client

    def client(self, ref: str) -> KubeClient | None:
        """A client, or None for a cluster that is gone with its run.

        :raises SuiteError: nothing says how it is reached.
        """
        if ref in self._given:
            return self._given[ref]
        reach = self._clusters.get(ref)
        if reach is None:
            raise SuiteError(f"the journal does not say how cluster {ref} is reached")
        if reach.kubeconfig is None:
            return None
        with self._lock:
            if ref not in self._opened:
                self._opened[ref] = KubeClient.from_kubeconfig_file(reach.kubeconfig, reach.context)
            return self._opened[ref]

    def close(self) -> None:
        """Close the clients that were made here."""
        for client in self._opened.values():
            client.close()


def standard_registry(clusters: ClusterAccess) -> UndoRegistry:
    """Handlers for all that needs no cloud; `delete-virtual-node` is registered by whoever can reach one."""
    registry = UndoRegistry()
    registry.register("await-process", await_process)
    registry.register("stop-process", stop_process)
    registry.register("remove-folder", remove_folder)
    registry.register("remove-network", remove_network)
    registry.register("remove-kind-cluster", remove_kind_cluster)
    registry.register("delete-object", lambda entry: delete_object(entry, clusters))
    registry.register("patch-object", lambda entry: patch_object(entry, clusters))
    registry.register("forget-vnode", lambda entry: forget_vnode(entry, clusters))
    return registry


def process_undo(pid: int, *, ends_by_itself: bool = False) -> dict[str, Any]:
    """The `undo` of a process that was just started.

    :param ends_by_itself: when its run is dead; so it is waited for first.
    """
    identity = ProcessIdentity.of(pid)
    action = "await-process" if ends_by_itself else "stop-process"
    return {"action": action, "pid": pid, "start": identity.start if identity else ""}


def stop_process(entry: Entry) -> str | None:
    """TERM, then KILL; a process that got the number later is left alone."""
    identity = ProcessIdentity(int(entry.undo["pid"]), str(entry.undo["start"]))
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not identity.alive:
            return None
        with suppress(ProcessLookupError):
            os.kill(identity.pid, number)
        with suppress(DeadlineExceeded):
            poll(
                lambda: None if identity.alive else True,
                what=f"process {identity.pid} to end",
                deadline_seconds=GRACE_SECONDS,
            )
    return f"process {identity.pid} does not end" if identity.alive else None


def await_process(entry: Entry) -> str | None:
    """Wait for a process that ends by itself when its run is dead, as a supervisor does; one that hangs is stopped."""
    identity = ProcessIdentity(int(entry.undo["pid"]), str(entry.undo["start"]))
    with suppress(DeadlineExceeded):
        poll(
            lambda: None if identity.alive else True,
            what=f"process {identity.pid} to end by itself",
            deadline_seconds=SUPERVISOR_SECONDS,
        )
    return stop_process(entry)


def remove_folder(entry: Entry) -> str | None:
    """Remove a run's temporary folder; refuses what does not look like one."""
    folder = Path(str(entry.undo["path"]))
    temporary = Path(tempfile.gettempdir()).resolve()
    if folder.is_symlink() or temporary not in folder.resolve().parents or "vnode-suite" not in folder.name:
        return f"{folder} does not look like a run's folder under {temporary}"
    shutil.rmtree(folder, ignore_errors=True)
    return f"{folder} could not be removed" if folder.exists() else None


def remove_network(entry: Entry) -> str | None:
    """Remove a simulated VPC, through the process that knows how."""
    removing = command("vnode_suite.simulated.vpc", "remove", str(entry.undo["run"]))
    try:
        answer = subprocess.run(
            removing, env=environment(), capture_output=True, text=True, timeout=NETWORK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"removing it took more than {NETWORK_SECONDS:g} s"
    if answer.returncode != 0:
        return answer.stderr.strip()[-300:] or f"exit {answer.returncode}"
    interface = interface_of(str(entry.undo["run"]))
    return f"{interface.name} is there and does not carry the suite's mark" if interface.exists() else None


def remove_kind_cluster(entry: Entry) -> str | None:
    """Remove the containers and the network of a kind cluster."""
    Docker.find().remove_cluster(str(entry.undo["cluster"]))
    return None


def delete_object(entry: Entry, clusters: ClusterAccess) -> str | None:
    """Delete an object of a cluster, if it is still the one that the run made."""
    kube = clusters.client(str(entry.undo["cluster"]))
    if kube is None:
        return None  # The cluster was the run's own, and is gone with its processes.
    path, uid = str(entry.undo["path"]), entry.fact.get("uid")
    try:
        there = kube.get(path)["metadata"]
        if uid and there.get("uid") != uid:
            return None  # Somebody made another of that name: ours is gone.
        # The uid goes along, so that nothing can slip in between looking and deleting.
        kube.delete(path, {"preconditions": {"uid": there["uid"]}, **_DELETE_OPTIONS})
    except KubeError as problem:
        return None if problem.status in (404, 409) else problem.message or str(problem)
    return None


_DELETE_OPTIONS = {"apiVersion": "v1", "kind": "DeleteOptions"}


def patch_object(entry: Entry, clusters: ClusterAccess) -> str | None:
    """Put back what a run changed in an object that is not its own (a JSON merge patch)."""
    kube = clusters.client(str(entry.undo["cluster"]))
    if kube is None:
        return None
    try:
        kube.patch(str(entry.undo["path"]), entry.undo["patch"])
    except KubeError as problem:
        return None if problem.status == 404 else problem.message or str(problem)
    return None


#: A VNode may not delete its own Node.
_NODES = "/api/v1/nodes"
#: Its requests are told by who asked; a server has one of these API versions or both.
_ASKED_BY_IT = (
    "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "/apis/certificates.k8s.io/v1beta1/certificatesigningrequests",
)


def forget_vnode(entry: Entry, clusters: ClusterAccess) -> str | None:
    """Delete what a VNode that is gone left in a cluster; nothing of it carries a label.

    `undo` holds `id`, the VirtualNodeId; `beside`, the collections where objects have that id in their names, beside
    the nodes; and `requesters`, the users in whose name it asked for certificates.
    """
    kube = clusters.client(str(entry.undo["cluster"]))
    if kube is None:
        return None
    virtual_node_id, requesters = str(entry.undo["id"]), frozenset(entry.undo.get("requesters") or ())
    problems: list[str] = []
    for collection in (_NODES, *(entry.undo.get("beside") or ()), *_ASKED_BY_IT):
        try:
            for item in kube.list(collection):
                name = str(item["metadata"]["name"])
                asked = (item.get("spec") or {}).get("username") in requesters
                if virtual_node_id in name or (collection in _ASKED_BY_IT and asked):
                    kube.delete(f"{collection}/{name}")
        except KubeError as problem:
            # 404: that API version is not served, or the garbage collector was quicker.
            if problem.status != 404:
                problems.append(problem.message or str(problem))
    return "; ".join(problems) or None
