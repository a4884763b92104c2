"""What the two halves of the simulated side say to each other.

The ECI API (``eci_api``) takes orders from clients; the fleet (``vnode`` and ``vpc``) carries them out. An
order holds only what the API call gave (and where the VPC placed it): a simulated VNode knows nothing else of
the cluster that it is to join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast the simulated side lives, in seconds; a scaled wait is said so in the report."""

    #: client-go's time-out of one request, 32 s in the page's event texts; scaled for the simulator.
    client_timeout: float = 32.0
    #: Interval of node status and lease renewal (a kubelet: 10 s).
    heartbeat: float = 10.0
    #: Pause between two attempts of a failed join.
    retry: float = 2.0


@dataclass(frozen=True, slots=True)
class VNodeOrder:
    """One VNode to start: what CreateVirtualNode was given, and its place in the VPC."""

    virtual_node_id: str
    virtual_node_name: str
    region: str
    kubeconfig: str
    tls_bootstrap: bool
    vswitch_id: str
    security_group_id: str
    #: Taints as Kubernetes has them: ``{"key", "value", "effect"}``.
    taints: tuple[Mapping[str, str], ...] = ()
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    #: Extra capacity, resource name to count.
    custom_resources: Mapping[str, str] = field(default_factory=dict)
    #: Names of the simulator's defects that this VNode has (see ``data/defects.toml``).
    defects: frozenset[str] = frozenset()
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class VNodeReport:
    """What a VNode tells the ECI API: an event, or a change of its state."""

    kind: Literal["event", "state", "exited"]
    #: For ``event``: ``{"type": "Normal"|"Warning", "reason": ..., "message": ...}``;
    #: for ``state``: ``{"status": "Pending"|"Ready"|"Failed", "internal_ip": ...}``; for ``exited``: ``{"code": int}``.
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """A look from inside the VPC, as an instance in that vSwitch would have it."""

    vswitch_id: str
    host: str
    port: int
    #: Open TLS and answer the peer's certificate chain as PEM.
    tls: bool = False
    #: CA bundle to verify the peer with (PEM); empty: no verification.
    ca_pem: str = ""
    timeout: float = 5.0
    defects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Instance:
    """What runs a Pod of a VNode, as the cloud sees it."""

    #: ``eci-`` and 20 letters and digits: what the VNode writes on the Pod.
    id: str
    #: ``<namespace>-<Pod>``.
    name: str
    #: In the VPC.
    address: str
    #: When it began, in seconds since the epoch.
    began: float


class Fleet(Protocol):
    """Starts, watches and stops simulated VNodes."""

    async def launch(self, order: VNodeOrder, report: Callable[[VNodeReport], None]) -> str:
        """Start a VNode and answer its address in the VPC; ``report`` is called from the event loop."""

    async def stop(self, virtual_node_id: str) -> None:
        """Stop a VNode at once (as the service does: it leaves its Node object behind) and free its address."""

    async def instances(self, virtual_node_id: str) -> Sequence[Instance]:
        """The Pods' instances that run on it now; deletion is refused while there are any."""

    async def probe(self, order: ProbeOrder) -> Mapping[str, Any]:
        """What was seen: ``{"resolved": [ip...], "connected": bool, "error": str, "error_kind": str,
        "peer_certificates": [pem...], "seconds": float}``.
        """

    async def close(self) -> None:
        """Stop everything and remove the network."""
