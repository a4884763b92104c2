"""The four actions on virtual nodes, and DescribeRegions (API 2018-08-08)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from vnode_suite.simulated.eci_api import defects, kubeconfig, network
from vnode_suite.simulated.eci_api import virtual_node_fields as fields
from vnode_suite.simulated.eci_api.errors import ApiError, invalid
from vnode_suite.simulated.eci_api.parameters import Parameters
from vnode_suite.simulated.eci_api.service import Call, Service, new_virtual_node_id
from vnode_suite.simulated.eci_api.state import VirtualNode, utc

#: vSwitches of one VNode, items of VirtualNodeIds, VNodes of one page (all META).
MOST_VSWITCHES, MOST_IDS, MOST_LISTED = 10, 20, 20
STATUSES: Final = ("Pending", "Ready", "Failed", "Cleaned")


async def create(service: Service, call: Call) -> dict[str, Any]:
    """``CreateVirtualNode``: 200 and an id; what becomes of the VNode is seen in its status and events."""
    region = service.region(call)
    call.parameters.required("SecurityGroupId")
    call.parameters.required("VSwitchId")
    return await service.once(call, region, lambda: _create(service, call, region))


async def follow(service: Service, call: Call, virtual_node_id: str) -> dict[str, Any]:
    """A VNode under a given id: what a replay needs, whose ids come from its recording."""
    region = service.region(call)
    if service.state.find(virtual_node_id) is not None:
        raise invalid("VirtualNodeId", "there is a VNode of that id")
    return _create(service, call, region, virtual_node_id)


def _create(service: Service, call: Call, region: str, virtual_node_id: str = "") -> dict[str, Any]:
    given = call.parameters
    catalogue = service.catalogue(call.account_id, region)
    group, switch = _place(given, catalogue)
    tags = given.tags()
    asked = defects.asked_for(tags, service.fleet_defects, service.refused_defects)
    group_shown = group.id
    resource_group = fields.resource_group(given, catalogue)
    if "placed-in-other-security-group" in asked:
        group_shown = next(other.id for other in catalogue.groups.values() if other.id != group.id)
    if "placed-in-third-vswitch" in asked:
        wanted = given.comma_list("VSwitchId")
        switch = next(
            (s for s in catalogue.vswitches.values() if s.vpc_id == switch.vpc_id and s.id not in wanted),
            switch,
        )
    if "placed-in-other-resource-group" in asked:
        resource_group = next(name for name in catalogue.resource_groups if name != resource_group)
    if "tag-lost" in asked:
        lost = next((key for key in tags if key != defects.TAG), None)
        tags = {key: value for key, value in tags.items() if key != lost}
    state = service.state
    node = VirtualNode(
        id=virtual_node_id or new_virtual_node_id(),
        sequence=state.next_sequence,
        account_id=call.account_id,
        region=region,
        name=fields.name(given) or "",
        created=state.clock(),
        vpc_id=switch.vpc_id,
        vswitch_id=switch.id,
        security_group_id=group_shown,
        resource_group_id=resource_group,
        zone=switch.zone,
        tls_bootstrap=given.boolean("TlsBootstrapEnabled"),
        kubeconfig=kubeconfig.decode(encoded) if (encoded := given.raw("KubeConfig")) else "",
        internet_ip=fields.internet_address(given),
        tags=tags,
        taints=fields.taints(given),
        cluster_dns=fields.cluster_dns(given) or [],
        cluster_domain=fields.cluster_domain(given) or "",
        custom_resources=fields.custom_resources(given) or {},
        defects=sorted(asked),
    )
    state.take_sequence()
    switch.used += 1
    node.note("Normal", "Created", "Successfully", node.created)
    state.scope(node.account_id, region).add(node)
    state.changed()
    service.start(node)
    return {"VirtualNodeId": node.id}


def _place(given: Parameters, catalogue: network.Catalogue) -> tuple[network.SecurityGroup, network.VSwitch]:
    names = given.comma_list("VSwitchId")
    if len(names) > MOST_VSWITCHES or not all(names) or len(set(names)) < len(names):
        raise invalid("VSwitchId", f"it takes 1 to {MOST_VSWITCHES} different vSwitches")
    unknown = [name for name in names if name not in catalogue.vswitches]
    if unknown:
        raise ApiError("InvalidParameter.NotFound", detail=f"VSwitchId {unknown[0]}")
    switches = [catalogue.vswitches[name] for name in names]
    if len({switch.vpc_id for switch in switches}) > 1:
        raise invalid("VSwitchId", "the vSwitches lie in several VPCs")
    group = catalogue.groups.get(given.required("SecurityGroupId"))
    if group is None:
        raise ApiError(
            "InvalidParameter.NotFound", detail=f"SecurityGroupId {given.required('SecurityGroupId')}"
        )
    if group.vpc_id != switches[0].vpc_id:
        raise ApiError("OperationDenied.SecurityGroupMisMatch")
    if group.service_managed:
        raise ApiError("InvalidOperation.ResourceManagedByCloudProduct")
    zone = given.text("ZoneId")
    if zone and any(switch.zone != zone for switch in switches):
        raise ApiError("OperationDenied.VswZoneMisMatch")
    for switch in switches:
        if switch.available > 0:
            return group, switch
    raise ApiError("InvalidVSwitchId.IpNotEnough")


async def describe(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeVirtualNodes``: one page, oldest first; an unknown id is no error."""
    region = service.region(call)
    given = call.parameters
    limit = given.integer("Limit", MOST_LISTED, least=1, most=MOST_LISTED)
    after = _read_token(given.text("NextToken", longest=256))
    # A read needs no token; the reference lists it all the same.
    given.text("ClientToken", longest=64)
    matches = _filters(given)
    ids = given.json_list("VirtualNodeIds", most=MOST_IDS)
    scope, stale = service.state.scope(call.account_id, region), call.staleness
    whole = not matches and ids is None and not (stale.unseen or stale.lingering)
    nodes = scope.after(after) if whole else _visible(service, call, region, ids)
    page: list[VirtualNode] = []
    total, more = 0, False
    for node in nodes:
        if not all(match(node) for match in matches):
            continue
        total += 1
        if node.sequence <= after:
            continue
        if len(page) < limit:
            page.append(node)
            continue
        more = True
        if whole:
            break
    if whole:
        total = len(scope)
    shown = [to_api(node) for node in page]
    return {
        "TotalCount": total,
        "NextToken": _make_token(page[-1].sequence) if more else "",
        "VirtualNodes": shown,
    }


def _visible(service: Service, call: Call, region: str, ids: list[str] | None) -> Iterator[VirtualNode]:
    """What a list shows: with a staleness set, young VNodes not yet and deleted ones still."""
    state, stale, account_id = service.state, call.staleness, call.account_id
    now, scope = state.clock(), state.scope(account_id, region)
    chosen: Iterable[VirtualNode] = scope
    if ids is not None:
        chosen = [node for name in dict.fromkeys(ids) if (node := scope.get(name))]
    if stale.lingering:
        gone = [
            node
            for node in state.deleted
            if (node.account_id, node.region) == (account_id, region)
            and now - (node.deleted or 0) < stale.lingering
            and (ids is None or node.id in ids)
        ]
        chosen = sorted([*chosen, *gone], key=lambda node: node.sequence)
    return (node for node in chosen if now - node.created >= stale.unseen)


def _filters(given: Parameters) -> list[Callable[[VirtualNode], bool]]:
    found: list[Callable[[VirtualNode], bool]] = []
    for parameter, attribute in (
        ("VirtualNodeName", "name"),
        ("Status", "status"),
        ("ResourceGroupId", "resource_group_id"),
        ("SecurityGroupId", "security_group_id"),
        ("VSwitchId", "vswitch_id"),
    ):
        value = given.text(parameter)
        if not value:
            continue
        if parameter == "Status" and value not in STATUSES:
            raise invalid("Status", f"one of {', '.join(STATUSES)}")
        found.append(_equals(attribute, value))
    tags = given.tags()
    if tags:
        found.append(
            lambda node: all(
                key in node.tags and value in ("", node.tags[key]) for key, value in tags.items()
            )
        )
    return found


def _equals(attribute: str, value: str) -> Callable[[VirtualNode], bool]:
    return lambda node: bool(getattr(node, attribute) == value)


def to_api(node: VirtualNode) -> dict[str, Any]:
    """A VNode as DescribeVirtualNodes shows it; both spellings of the vSwitch and the group
    (behaviours.toml).
    """
    events = [] if "events-empty" in node.defects else node.events
    return {
        "VirtualNodeId": node.id,
        "VirtualNodeName": node.name,
        "RegionId": node.region,
        "ZoneId": node.zone,
        "Status": node.status,
        "CreationTime": utc(node.created),
        "VpcId": node.vpc_id,
        "VirtualNodeVSwitchId": node.vswitch_id,
        "VSwitchId": node.vswitch_id,
        "VirtualNodeSecurityGroupId": node.security_group_id,
        "SecurityGroupId": node.security_group_id,
        "ResourceGroupId": node.resource_group_id,
        "IntranetIp": node.intranet_ip,
        "InternetIp": node.internet_ip,
        "Tags": [{"Key": key, "Value": value} for key, value in node.tags.items()],
        "Events": [
            {
                "Type": event.type,
                "Reason": event.reason,
                "Message": event.message,
                "Name": node.id,
                "Count": event.count,
                "FirstTimestamp": utc(event.first),
                "LastTimestamp": utc(event.last),
            }
            for event in events
        ],
    }


async def update(service: Service, call: Call) -> dict[str, Any]:
    """``UpdateVirtualNode``: only in Ready; the kubeconfig cannot be replaced."""
    region = service.region(call)
    name = call.parameters.required("VirtualNodeId")
    return await service.once(call, region, lambda: _update(service, call, region, name))


def _update(service: Service, call: Call, region: str, virtual_node_id: str) -> dict[str, Any]:
    given = call.parameters
    node = service.state.scope(call.account_id, region).get(virtual_node_id)
    if node is None:
        raise ApiError("InvalidParameter.NotFound", detail=f"VirtualNodeId {virtual_node_id}")
    name, resources, dns = fields.name(given), fields.custom_resources(given), fields.cluster_dns(given)
    domain, tags = fields.cluster_domain(given), given.tags()
    if node.status != "Ready":
        raise ApiError(
            "IncorrectStatus", detail=f"The virtual node is {node.status}; only Ready can be updated."
        )
    node.name = name or node.name
    node.custom_resources = resources or node.custom_resources
    node.cluster_dns = dns or node.cluster_dns
    node.cluster_domain = domain or node.cluster_domain
    node.tags = tags or node.tags
    service.state.changed()
    return {}


async def delete(service: Service, call: Call) -> dict[str, Any]:
    """``DeleteVirtualNode``: refused while Pods' instances are on it; gone from the list at once."""
    region = service.region(call)
    name = call.parameters.required("VirtualNodeId")
    node = service.state.scope(call.account_id, region).get(name)
    if node is not None and service.fleet is not None and await service.fleet.instances(node.id):
        raise ApiError("VirtualNode.DELETE.FAILED")
    removed: list[VirtualNode] = []
    result = await service.once(call, region, lambda: _delete(service, call, region, name, removed))
    for gone in removed:
        await service.stop(gone)
    return result


def _delete(
    service: Service, call: Call, region: str, virtual_node_id: str, removed: list[VirtualNode]
) -> dict[str, Any]:
    node = service.state.scope(call.account_id, region).get(virtual_node_id)
    if node is None:
        raise ApiError("InvalidParameter.NotFound", detail=f"VirtualNodeId {virtual_node_id}")
    if "instance-left" in node.defects:
        service.state.left_instances[f"eci-{node.id.removeprefix('vnd-')}"] = node.id
    if "delete-keeps-vnode" in node.defects:
        node.kept_after_delete = True
        service.state.changed()
    else:
        service.state.bury(node)
        removed.append(node)
    return {}


async def regions(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeRegions``: plain lists, unlike the ECS action of that name."""
    wanted = service.region(call, required=False)
    return {
        "Regions": [
            {
                "RegionId": region,
                "RegionEndpoint": "eci.aliyuncs.com",
                "Zones": list(zones),
                "RecommendZones": list(zones[:1]),
            }
            for region, zones in service.regions().items()
            if wanted in ("", region)
        ]
    }


def _make_token(sequence: int) -> str:
    return base64.urlsafe_b64encode(f"v1:{sequence}".encode()).decode()


def _read_token(token: str) -> int:
    if not token:
        return 0
    try:
        version, _, number = (
            base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii").partition(":")
        )
        if version != "v1" or not re.fullmatch(r"[0-9]{1,18}", number, re.ASCII):
            raise ValueError(number)
        return int(number)
    except (ValueError, binascii.Error):
        raise invalid("NextToken", "it is none that this service gave") from None
