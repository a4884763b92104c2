"""What exists: VNodes per account and region, client tokens, the log of requests."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

#: How long a ClientToken is remembered, in seconds (behaviours.toml: token-lifetime).
TOKEN_LIFETIME = 24 * 3600.0
#: Events kept of one VNode; more of the same kind raise its count instead.
EVENTS_KEPT = 50
#: Requests and deleted VNodes remembered for the admin port.
HISTORY = 5000


def utc(moment: float) -> str:
    """RFC 3339 in UTC with whole seconds, as the API writes times."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Event:
    """One event of a VNode; equal ones are counted."""

    type: str
    reason: str
    message: str
    first: float
    last: float
    count: int = 1


@dataclass(slots=True)
class VirtualNode:
    """A VNode of the emulated service; times are seconds since the epoch."""

    id: str
    sequence: int
    account_id: str
    region: str
    name: str
    created: float
    vpc_id: str
    vswitch_id: str
    security_group_id: str
    resource_group_id: str
    zone: str
    tls_bootstrap: bool
    kubeconfig: str = field(repr=False, default="")
    status: str = "Pending"
    intranet_ip: str = ""
    internet_ip: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)
    cluster_dns: list[str] = field(default_factory=list)
    cluster_domain: str = ""
    custom_resources: dict[str, str] = field(default_factory=dict)
    defects: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    deleted: float | None = None
    #: Delete was answered with 200 although the VNode stays (defect delete-keeps-vnode).
    kept_after_delete: bool = False

    def note(self, kind: str, reason: str, message: str, now: float) -> None:
        """Add an event, or count it when the same one is there already."""
        for event in self.events:
            if (event.type, event.reason, event.message) == (kind, reason, message):
                event.count += 1
                event.last = now
                return
        self.events.append(Event(kind, reason, message, now, now))
        del self.events[:-EVENTS_KEPT]

    def billed_seconds(self, now: float) -> float:
        """How long the resident node (2 vCPU, 8 GiB) has been billed."""
        return max(0.0, (self.deleted if self.deleted is not None else now) - self.created)


class Scope:
    """The VNodes of one account in one region, oldest first."""

    def __init__(self) -> None:
        self._by_id: dict[str, VirtualNode] = {}
        self._sequences: list[int] = []
        self._nodes: list[VirtualNode] = []

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[VirtualNode]:
        return iter(self._nodes)

    def get(self, virtual_node_id: str) -> VirtualNode | None:
        """A VNode by its id."""
        return self._by_id.get(virtual_node_id)

    def add(self, node: VirtualNode) -> None:
        """Append a VNode; its sequence number must be larger than every other."""
        self._by_id[node.id] = node
        self._sequences.append(node.sequence)
        self._nodes.append(node)

    def remove(self, node: VirtualNode) -> None:
        """Take a VNode out."""
        index = bisect_right(self._sequences, node.sequence) - 1
        del self._sequences[index], self._nodes[index], self._by_id[node.id]

    def after(self, sequence: int) -> Iterator[VirtualNode]:
        """VNodes whose sequence number is larger, without a walk over those before."""
        for index in range(bisect_right(self._sequences, sequence), len(self._nodes)):
            yield self._nodes[index]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The result of a call made under a ClientToken."""

    fingerprint: str
    result: dict[str, Any]
    moment: float


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the admin port shows it; parameters hold no secret."""

    moment: float
    account_id: str
    action: str
    version: str
    signature: str
    parameters: dict[str, str]
    status: int
    code: str
    request_id: str
    fault: str = ""
    #: Parameters that nothing looked at.
    ignored: list[str] = field(default_factory=list)


class State:
    """Everything the emulator remembers; ``changed`` is called after each change."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.changed: Callable[[], None] = lambda: None
        self.next_sequence = 1
        self.scopes: dict[tuple[str, str], Scope] = {}
        self.deleted: deque[VirtualNode] = deque(maxlen=HISTORY)
        self.requests: deque[LoggedRequest] = deque(maxlen=HISTORY)
        #: Instances of Pods that were left behind: instance id to its VNode's id.
        self.left_instances: dict[str, str] = {}
        self._tokens: dict[tuple[str, str, str, str], Remembered] = {}

    def scope(self, account_id: str, region: str) -> Scope:
        """The VNodes of an account in a region."""
        return self.scopes.setdefault((account_id, region), Scope())

    def all_nodes(self) -> Iterator[VirtualNode]:
        """Every VNode that exists, of every account."""
        for scope in self.scopes.values():
            yield from scope

    def find(self, virtual_node_id: str) -> VirtualNode | None:
        """A VNode by its id, wherever it is."""
        return next((node for scope in self.scopes.values() if (node := scope.get(virtual_node_id))), None)

    def take_sequence(self) -> int:
        """A number larger than all before."""
        number = self.next_sequence
        self.next_sequence += 1
        return number

    def bury(self, node: VirtualNode) -> None:
        """Move a VNode to the deleted ones; its kubeconfig is forgotten."""
        self.scope(node.account_id, node.region).remove(node)
        node.deleted = self.clock()
        node.kubeconfig = ""
        self.deleted.append(node)
        self.changed()

    def forget(self) -> None:
        """Forget what was: VNodes deleted, calls and their tokens, instances left behind."""
        for past in (self.deleted, self.requests, self.left_instances, self._tokens):
            past.clear()
        self.changed()

    def remembered(self, key: tuple[str, str, str, str]) -> Remembered | None:
        """The result remembered under (account, region, action, token)."""
        found = self._tokens.get(key)
        return found if found and found.moment > self.clock() - TOKEN_LIFETIME else None

    def remember(self, key: tuple[str, str, str, str], fingerprint: str, result: dict[str, Any]) -> None:
        """Remember a result; what is too old goes, oldest first."""
        now = self.clock()
        for old in list(self._tokens):
            if self._tokens[old].moment > now - TOKEN_LIFETIME:
                break
            del self._tokens[old]
        self._tokens[key] = Remembered(fingerprint, result, now)
        self.changed()

    def tokens(self) -> dict[tuple[str, str, str, str], Remembered]:
        """Every token remembered, oldest first."""
        return self._tokens
