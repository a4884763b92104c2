"""``DescribeContainerGroups`` of ECI: the instances that run the Pods of VNodes, and those that were left behind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from vnode_suite.simulated.eci_api.errors import invalid
from vnode_suite.simulated.eci_api.parameters import Parameters
from vnode_suite.simulated.eci_api.service import Call, Service
from vnode_suite.simulated.eci_api.state import VirtualNode, utc
from vnode_suite.simulated.interface import Instance

#: Ids of one call, and instances of one page (META).
MOST_IDS, MOST_LISTED = 20, 20
STATUSES: Final = (
    "Pending", "Running", "Succeeded", "Failed", "Scheduling", "ScheduleFailed", "Restarting", "Updating",
    "Terminating", "Expired",
)  # fmt: skip
#: What an instance of a VNode's Pod is where its Pod says nothing else (behaviours.toml: container-groups).
CPU, MEMORY, CATEGORY = 2.0, 4.0, "general"


@dataclass(frozen=True, slots=True)
class _Group:
    """An instance and the VNode that it belongs, or belonged, to."""

    instance: Instance
    node: VirtualNode

    @property
    def key(self) -> str:
        """Oldest first; two of one moment by their id."""
        return f"{self.instance.began:017.6f}/{self.instance.id}"


async def describe(service: Service, call: Call) -> dict[str, Any]:
    """One page, oldest first; an unknown id is no error."""
    region = service.region(call)
    given = call.parameters
    ids = given.json_list("ContainerGroupIds", most=MOST_IDS)
    limit = given.integer("Limit", MOST_LISTED, least=1, most=MOST_LISTED)
    after = _read_token(given.text("NextToken", longest=256))
    with_events = given.boolean("WithEvent")
    matches = _filters(given)
    groups = [
        group
        for group in await _groups(service, call.account_id, region)
        if (ids is None or group.instance.id in ids) and all(match(group) for match in matches)
    ]
    groups.sort(key=lambda group: group.key)
    rest = [group for group in groups if group.key > after]
    page = rest[:limit]
    return {
        "TotalCount": len(groups),
        "NextToken": _make_token(page[-1].key) if len(rest) > limit else "",
        "ContainerGroups": [_to_api(group, with_events) for group in page],
    }


async def _groups(service: Service, account_id: str, region: str) -> list[_Group]:
    state = service.state
    found = [
        _Group(instance, node)
        for node in state.scope(account_id, region)
        if service.fleet is not None
        for instance in await service.fleet.instances(node.id)
    ]
    gone = {node.id: node for node in state.deleted if (node.account_id, node.region) == (account_id, region)}
    for name, owner in state.left_instances.items():
        node = gone.get(owner)
        if node is not None:
            found.append(_Group(Instance(name, name, node.intranet_ip, node.created), node))
    return found


def _filters(given: Parameters) -> list[Callable[[_Group], bool]]:
    found: list[Callable[[_Group], bool]] = []
    status = given.text("Status")
    if status and status not in STATUSES:
        raise invalid("Status", f"one of {', '.join(STATUSES)}")
    readers: dict[str, Callable[[_Group], str]] = {
        "ContainerGroupName": lambda group: group.instance.name,
        "Status": lambda group: "Running",
        "VSwitchId": lambda group: group.node.vswitch_id,
        "SecurityGroupId": lambda group: group.node.security_group_id,
        "ZoneId": lambda group: group.node.zone,
        "ResourceGroupId": lambda group: group.node.resource_group_id,
        "ComputeCategory": lambda group: CATEGORY,
    }
    for name, read in readers.items():
        wanted = given.text(name)
        if wanted:
            found.append(_equals(read, wanted))
    if given.tags():
        # The instances of a VNode's Pods carry no tags here.
        found.append(lambda group: False)
    return found


def _equals(read: Callable[[_Group], str], wanted: str) -> Callable[[_Group], bool]:
    return lambda group: read(group) == wanted


def _to_api(group: _Group, with_events: bool) -> dict[str, Any]:
    instance, node = group.instance, group.node
    began = utc(instance.began)
    event = {
        "Type": "Normal",
        "Reason": "Started",
        "Message": "Started the instance",
        "Name": instance.name,
        "Count": 1,
        "FirstTimestamp": began,
        "LastTimestamp": began,
    }
    return {
        "ContainerGroupId": instance.id,
        "ContainerGroupName": instance.name,
        "RegionId": node.region,
        "ZoneId": node.zone,
        "Status": "Running",
        "VpcId": node.vpc_id,
        "VSwitchId": node.vswitch_id,
        "SecurityGroupId": node.security_group_id,
        "ResourceGroupId": node.resource_group_id,
        "IntranetIp": instance.address,
        "InternetIp": "",
        "CreationTime": began,
        "Cpu": CPU,
        "Memory": MEMORY,
        "ComputeCategory": CATEGORY,
        "RestartPolicy": "Always",
        "Tags": [],
        "Containers": [],
        "Events": [event] if with_events else [],
    }


def _make_token(key: str) -> str:
    return base64.urlsafe_b64encode(f"c1:{key}".encode()).decode()


def _read_token(token: str) -> str:
    if not token:
        return ""
    try:
        version, _, key = (
            base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii").partition(":")
        )
    except ValueError:
        version, key = "", ""
    if version != "c1" or "/" not in key:
        raise invalid("NextToken", "it is none that this service gave")
    return key
