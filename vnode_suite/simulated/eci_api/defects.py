"""Defects of the simulated service that a reserved tag asks for.

A twin VNode carries ``vnode-suite:defect=<name>[,<name>...]``. Some defects are the API's own, the others are
handed to the fleet with the order. An unknown name is refused: a control that does nothing must not look
caught.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vnode_suite.simulated.eci_api.errors import invalid

TAG: Final = "vnode-suite:defect"

#: What the API itself does wrong, name to meaning.
API_DEFECTS: Final[Mapping[str, str]] = {
    "placed-in-other-security-group": "the VNode is shown in a security group that was not asked for",
    "placed-in-third-vswitch": "the VNode lives in a vSwitch of the VPC that was not asked for",
    "placed-in-other-resource-group": "the VNode is shown in a resource group that was not asked for",
    "tag-lost": "the first tag that is not reserved is not stored",
    "options-of-another-request": "tag-lost, user-taint-missing and placed-in-other-resource-group at once",
    "events-empty": "DescribeVirtualNodes answers no events",
    "api-says-ready-without-node": "the status is Ready although no Node was registered",
    "internal-ip-mismatch": "IntranetIp is another address than the Node's",
    "delete-keeps-vnode": "DeleteVirtualNode answers 200 and the VNode stays listed",
    "instance-left": "a Pod's instance stays after the VNode was deleted",
}

#: What the simulated VNode or the VPC does wrong; carried out by the fleet.
FLEET_DEFECTS: Final = frozenset(
    {
        "vnode-never-registers", "heartbeat-stops", "wrong-type-label", "type-label-missing",
        "vnode-label-missing", "taint-effect-changed", "user-taint-missing",
        "kubelet-not-listening", "port-10250-closed", "port-10255-closed",
        "port-10250-dropped", "port-10255-dropped",
        "api-server-unreachable", "api-server-refused", "no-route", "dns-no-such-host", "dns-wrong-address",
        "return-path-dropped", "node-name-vnode1", "address-outside-vswitch", "pod-address-outside",
        "pods-stay-pending", "no-annotation", "renewal-stops", "clock-skew-ahead", "clock-skew-behind",
        "runs-daemonset-pods", "leaves-unlabelled-node", "node-not-ready",
    }
)  # fmt: skip

#: What else is wrong with a VNode that has one of these.
_TOGETHER_WITH: Final[Mapping[str, frozenset[str]]] = {
    "api-says-ready-without-node": frozenset({"vnode-never-registers"}),
    "options-of-another-request": frozenset(
        {"tag-lost", "user-taint-missing", "placed-in-other-resource-group"}
    ),
}


def asked_for(
    tags: Mapping[str, str],
    known_to_fleet: frozenset[str] = FLEET_DEFECTS,
    not_here: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """The defects named by the reserved tag, with what goes together with them; refuses unknown ones, and those that
    cannot be had here.

    :param not_here: defects that this machine does not allow, name to reason.
    """
    names = frozenset(name.strip() for name in tags.get(TAG, "").split(",") if name.strip())
    names = names.union(*(_TOGETHER_WITH.get(name, ()) for name in names))
    unknown = sorted(names - API_DEFECTS.keys() - known_to_fleet)
    if unknown:
        raise invalid(f"Tag {TAG}", f"no such defect: {', '.join(unknown)}")
    for name in sorted(names & (not_here or {}).keys()):
        raise invalid(f"Tag {TAG}", f"defect {name} cannot be had here: {(not_here or {})[name]}")
    return names


def for_fleet(names: frozenset[str]) -> frozenset[str]:
    """What of these the fleet has to carry out."""
    return names - API_DEFECTS.keys()
