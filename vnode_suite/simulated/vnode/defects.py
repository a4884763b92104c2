"""The wrongs that a simulated VNode can have, and what of each the network has to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from vnode_suite.simulated.vpc.rules import Delay, PacketRule

#: What a defect needs of the machine: nothing, packet rules, or the VPC's name server.
Needs = Literal["nothing", "packets", "names"]

#: Every defect of this side: name to what it needs. The ECI API refuses names that neither side knows.
FLEET_DEFECTS: Mapping[str, Needs] = MappingProxyType(
    {
        "vnode-never-registers": "nothing",
        "heartbeat-stops": "nothing",
        "wrong-type-label": "nothing",
        "type-label-missing": "nothing",
        "vnode-label-missing": "nothing",
        "taint-effect-changed": "nothing",
        "user-taint-missing": "nothing",
        "kubelet-not-listening": "nothing",
        "port-10250-closed": "nothing",
        "port-10255-closed": "nothing",
        "port-10250-dropped": "packets",
        "port-10255-dropped": "packets",
        "port-10250-closed-to-api-server": "packets",
        "port-10255-closed-to-api-server": "packets",
        "api-server-unreachable": "packets",
        "api-server-slow": "packets",
        "api-server-refused": "packets",
        "no-route": "packets",
        "return-path-dropped": "packets",
        "dns-no-such-host": "names",
        "dns-wrong-address": "names",
        "node-name-vnode1": "nothing",
        "address-outside-vswitch": "nothing",
        "pod-address-outside": "nothing",
        "pods-stay-pending": "nothing",
        "no-annotation": "nothing",
        "renewal-stops": "nothing",
        "clock-skew-ahead": "nothing",
        "clock-skew-behind": "nothing",
        "runs-daemonset-pods": "nothing",
        "leaves-unlabelled-node": "nothing",
        "node-not-ready": "nothing",
    }
)

#: How far a skewed VNode's clock is off, in seconds: more than certificates are usually backdated by.
CLOCK_SKEW = 7200.0
#: The name that a VNode with ``node-name-vnode1`` registers under.
OTHER_NODE_NAME = "vnode1"
#: The value that ``wrong-type-label`` puts in the place of ``virtual-kubelet``.
OTHER_TYPE_LABEL = "ecs-instance"

#: How late each piece of data between a VNode and a slow API server is, each way, in seconds: several exchanges of one
#: request must fit into the scaled time-out of 2 s, and be far from instant.
API_DELAY = 0.25

_SWALLOWED_PORTS = {"port-10250-dropped": 10250, "port-10255-dropped": 10255}
_CLOSED_TO_API_SERVER = {"port-10250-closed-to-api-server": 10250, "port-10255-closed-to-api-server": 10255}


def packet_rules(defects: Iterable[str], api_port: int, api_address: str = "") -> tuple[PacketRule, ...]:
    """The packet rules of a member with these defects, for an API server on TCP ``api_port``.

    ``api_address`` is its IPv4 address, where the kubeconfig gives one.
    """
    rules: list[PacketRule] = []
    for defect in sorted(defects):
        if defect in _SWALLOWED_PORTS:
            rules.append(PacketRule("in", "drop", _SWALLOWED_PORTS[defect]))
        elif defect in _CLOSED_TO_API_SERVER:
            rules.append(PacketRule("in", "drop", _CLOSED_TO_API_SERVER[defect], source=api_address))
        elif defect == "api-server-unreachable":
            rules.append(PacketRule("out", "drop", api_port))
        elif defect == "api-server-refused":
            rules.append(PacketRule("out", "reset", api_port))
        elif defect == "no-route":
            rules.append(PacketRule("out", "host-unreachable", api_port))
        elif defect == "return-path-dropped":
            # Answers to the VNode's own connections pass, as a stateful firewall lets them: only what the
            # cluster's side opens is dropped.
            rules.append(PacketRule("in", "drop", opening_only=True))
    return tuple(rules)


def delays(defects: Iterable[str], api_port: int) -> tuple[Delay, ...]:
    """What comes late for a member with these defects."""
    return (Delay(api_port, API_DELAY),) if "api-server-slow" in defects else ()


def clock_offset(defects: Iterable[str]) -> float:
    """Seconds to add to the true time for a VNode with these defects."""
    return CLOCK_SKEW * (("clock-skew-ahead" in defects) - ("clock-skew-behind" in defects))
