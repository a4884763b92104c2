"""The cluster's nodes, watched from the first moment: what was so, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from vnode_suite.clusters.kube import KubeClient, KubeError, KubeUnreachable, WatchExpired
from vnode_suite.core.errors import DeadlineExceeded

T = TypeVar("T")
_NODES = "/api/v1/nodes"
#: Put on every new Node, and taken off some moments after it is Ready (TaintNodesByCondition).
NOT_READY_TAINT = "node.kubernetes.io/not-ready"
#: The server ends an idle watch after this; the history then watches on.
_WATCH_SECONDS = 60
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a Node's Ready condition."""

    node: str
    #: ``True``, ``False``, ``Unknown``, or ``Deleted``.
    ready: str
    reason: str
    #: On this machine's monotonic clock, in seconds.
    at: float
    seen: datetime


class NodeHistory:
    """Watches every Node in a thread of its own until :meth:`close`; remembers each change of Ready."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._changed = threading.Condition()
        self._nodes: dict[str, Mapping[str, Any]] = {}
        self._first_seen: dict[str, float] = {}
        self._transitions: list[Transition] = []
        self._closed = threading.Event()
        self._stream: Any = None
        items, version = kube.list_with_version(_NODES)
        for item in items:
            self._note("ADDED", item)
        self._thread = threading.Thread(target=self._watch, args=(version,), name="node-history", daemon=True)
        self._thread.start()

    def wait(self, seen: Callable[[NodeHistory], T | None], *, deadline_seconds: float, what: str) -> T:
        """The first answer of *seen* that is not ``None`` or false, asked anew at every change.

        :raises DeadlineExceeded: naming *what*.
        """
        deadline = time.monotonic() + deadline_seconds
        with self._changed:
            while True:
                found = seen(self)
                if found:
                    return found
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._closed.is_set():
                    raise DeadlineExceeded(f"waited {deadline_seconds:g} s for {what}", found=self.summary())
                self._changed.wait(remaining)

    def nodes(self) -> dict[str, Mapping[str, Any]]:
        """The Nodes that are there now, by name."""
        with self._changed:
            return dict(self._nodes)

    def first_seen(self, name: str) -> float | None:
        """When a Node was first seen, on the monotonic clock."""
        return self._first_seen.get(name)

    def transitions(self, name: str) -> tuple[Transition, ...]:
        """Changes of a Node's Ready condition, oldest first."""
        with self._changed:
            return tuple(t for t in self._transitions if t.node == name)

    def summary(self) -> str:
        """The Nodes and their Ready condition in one line."""
        nodes = self.nodes()
        return ", ".join(f"{name} Ready={ready_of(node)[0]}" for name, node in nodes.items()) or "no Node"

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join(timeout=5)

    def _watch(self, version: str) -> None:
        while not self._closed.is_set():
            try:
                with self._kube.open_watch(
                    _NODES, resource_version=version, timeout_seconds=_WATCH_SECONDS
                ) as stream:
                    self._stream = stream
                    for event in stream:
                        version = event.object.get("metadata", {}).get("resourceVersion", version)
                        self._note(event.type, event.object)
                        if self._closed.is_set():
                            return
            except WatchExpired:
                version = self._relist()
            except (KubeError, KubeUnreachable):
                self._closed.wait(_PAUSE_SECONDS)

    def _relist(self) -> str:
        items, version = self._kube.list_with_version(_NODES)
        names = {item["metadata"]["name"] for item in items}
        for gone in set(self.nodes()) - names:
            self._note("DELETED", self.nodes()[gone])
        for item in items:
            self._note("MODIFIED", item)
        return str(version)

    def _note(self, kind: str, node: Mapping[str, Any]) -> None:
        name = str(node["metadata"]["name"])
        ready, reason = ("Deleted", "") if kind == "DELETED" else ready_of(node)
        with self._changed:
            if kind == "DELETED":
                self._nodes.pop(name, None)
            else:
                self._nodes[name] = node
                self._first_seen.setdefault(name, time.monotonic())
            last = next((t for t in reversed(self._transitions) if t.node == name), None)
            if last is None or last.ready != ready:
                self._transitions.append(Transition(name, ready, reason, time.monotonic(), datetime.now(UTC)))
            self._changed.notify_all()


def ready_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """Status and reason of a Node's Ready condition; ``("absent", "")`` where it has none."""
    for condition in node.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return str(condition.get("status")), str(condition.get("reason", ""))
    return "absent", ""


def internal_ip(node: Mapping[str, Any]) -> str:
    """A Node's InternalIP, or empty."""
    for address in node.get("status", {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            return str(address.get("address"))
    return ""


def find_vnode(
    nodes: Mapping[str, Mapping[str, Any]],
    *,
    virtual_node_id: str,
    virtual_node_name: str,
    told: Callable[[], tuple[str, bool]],
    before: frozenset[str],
    others: frozenset[str] = frozenset(),
) -> tuple[str, str] | None:
    """Name of the Node that is this VNode, and by what it was found; ``None`` while there is none.

    Never by a name's pattern alone: by a name that holds the id, by the VirtualNodeName, or, among Nodes that are
    new since the call and that nobody else explains, by an address that both sides tell. Where the two have no
    address to compare, the only such Node is it: that is the last resort, since any cluster gets nodes of its own.

    :param told: asks the cloud for the VNode's address, and whether that is its last word; called only where a Node
        nobody explains has come.
    :param before: Nodes that were there before the call.
    :param others: Nodes known to be other VNodes.
    """
    candidates = {name: node for name, node in nodes.items() if name not in others}
    for name in candidates:
        if virtual_node_id in name:
            return name, "name-holds-id"
    if virtual_node_name in candidates:
        return virtual_node_name, "virtual-node-name"
    unexplained = {name: node for name, node in candidates.items() if name not in before}
    if not unexplained:
        return None
    address, final = told()
    for name, node in unexplained.items():
        if address and internal_ip(node) == address:
            return name, "address"
    silent = [name for name, node in unexplained.items() if not (address and internal_ip(node))]
    return (silent[0], "new-since-the-call") if final and silent and len(unexplained) == 1 else None
