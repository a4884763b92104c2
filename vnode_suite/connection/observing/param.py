"""PARAM: reading region, VPC, vSwitches and security group from the cloud, before the call."""

from __future__ import annotations

import json
from itertools import cycle, islice

from vnode_suite.checks.param import Inbound, Membership, RegionServed, Rule
from vnode_suite.connection.looks import of_the_version
from vnode_suite.connection.recorded import API_SERVERS
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.eci.network import SecurityGroup, VSwitch
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached

#: A region that no cloud will ever list.
_UNSERVED = "cn-nowhere-1"


@of_the_version
def region(subject: Subject) -> Observation[RegionServed]:
    """The region in use, and what DescribeRegions lists."""
    cloud = subject.world.cloud
    served = tuple(sorted(found.id for found in cloud.client.describe_regions()))
    chosen = _UNSERVED if subject.has("unserved-region") else cloud.region
    return Observation(
        RegionServed(chosen, served), Source.CLOUD, evidence=(Evidence("DescribeRegions", "\n".join(served)),)
    )


@of_the_version
def vswitches(subject: Subject) -> Observation[tuple[str, ...]]:
    """The vSwitches that the call is to be given."""
    return Observation(given_vswitches(subject), Source.LOCAL)


def given_vswitches(subject: Subject) -> tuple[str, ...]:
    """The vSwitches asked for, with the subject's defects in them; of a VNode made elsewhere, its own."""
    if not subject.owns_vnode:
        return subject.vnode().request.vswitch_ids
    cloud = subject.world.cloud
    given = subject.cell.run.settings.cloud.vswitches or tuple(cloud.vswitches)[:1]
    if subject.has("zero-vswitches"):
        return ()
    if subject.has("eleven-vswitches"):
        # Real ones over and over: only their number is wrong.
        return tuple(islice(cycle(given), 11))
    if subject.has("vswitches-of-two-vpcs"):
        return (*given, cloud.for_controls["vswitch_of_another_vpc"])
    return tuple(given)


_GROUPS_BY_DEFECT = {
    "security-group-of-other-vpc": "other-vpc",
    "normal-security-group": "normal-type",
    "rule-dropped-by-equal-priority": "drop-of-equal-priority",
    "rule-10250-only": "10250-only",
}


def given_group(subject: Subject) -> str:
    """The security group asked for, with the subject's defects in it; of a VNode made elsewhere, its own."""
    if not subject.owns_vnode:
        return subject.vnode().request.security_group_id
    cloud = subject.world.cloud
    for defect, name in _GROUPS_BY_DEFECT.items():
        if subject.has(defect):
            return str(cloud.for_controls["security_groups"][name])
    return subject.cell.run.settings.cloud.security_group or str(cloud.security_group_id)


@of_the_version
def membership(subject: Subject) -> Observation[Membership]:
    """Which VPC each vSwitch and the group lie in."""
    wanted = given_vswitches(subject)
    _needs_some(wanted)
    found = {v.id: v.vpc_id for v in subject.observe(_shown_vswitches).value}
    name, group = given_group(subject), subject.observe(_shown_group).value
    value = Membership(tuple((v, found.get(v, "")) for v in wanted), name, group.vpc_id if group else "")
    return Observation(
        value, Source.CLOUD, evidence=(Evidence("DescribeVSwitches", json.dumps(found, indent=1), "json"),)
    )


def _needs_some(vswitches: tuple[str, ...]) -> None:
    if not vswitches:
        raise StepNotReached(Unreached("request", "no-vswitch", Text("no vSwitch was given", "未指定交换机")))


def _shown_group(subject: Subject) -> Observation[SecurityGroup | None]:
    """The security group as DescribeSecurityGroups has it, read once for all that is judged of it."""
    return Observation(subject.world.cloud.networks.security_group(given_group(subject)), Source.CLOUD)


def _shown_vswitches(subject: Subject) -> Observation[list[VSwitch]]:
    """The vSwitches as DescribeVSwitches has them, read once for all that is judged of them."""
    return Observation(subject.world.cloud.networks.vswitches(given_vswitches(subject)), Source.CLOUD)


def _group(subject: Subject) -> SecurityGroup:
    name, group = given_group(subject), subject.observe(_shown_group).value
    if group is None:
        raise StepNotReached(Unreached("request", "no-group", Text(f"{name} is not known", f"{name} 不存在")))
    return group


@of_the_version
def group_type(subject: Subject) -> Observation[str]:
    """SecurityGroupType as DescribeSecurityGroups has it."""
    group = _group(subject)
    return Observation(
        group.type, Source.CLOUD, evidence=(Evidence("DescribeSecurityGroups", f"{group.id}: {group.type}"),)
    )


@of_the_version
def from_vpc(subject: Subject) -> Observation[Inbound]:
    """The group's inbound rules against every block of the VPC."""
    group = _group(subject)
    found = subject.world.cloud.networks.vpcs([group.vpc_id]) if group.vpc_id else []
    if not found:
        detail = Text(f"the VPC of {group.id} is not shown", f"无法读取 {group.id} 所属的 VPC")
        raise StepNotReached(Unreached("request", "no-vpc", detail))
    return _inbound(subject, group, found[0].cidrs)


@of_the_version
def from_api_servers(subject: Subject) -> Observation[Inbound]:
    """The group's inbound rules against every API server: the ``default/kubernetes`` Endpoints.

    Or what a machine between it and the VPC gives its connections as their source.
    """
    addresses = list(subject.world.way.sources) or _api_servers(subject)
    if subject.has("rule-10250-only"):
        # In the VPC an API server is let in by the rule for the VPC: here it stands outside (TEST-NET-2, RFC 5737).
        addresses = ["198.51.100.10"]
    return _inbound(subject, _group(subject), tuple(f"{address}/32" for address in addresses))


def _api_servers(subject: Subject) -> list[str]:
    """Addresses of the cluster's API servers: of the recorded one, where the rules are those of a recording."""
    cloud = subject.world.cloud
    if cloud.replay is not None:
        known = cloud.replay.recording.facts.get(API_SERVERS)
        if known is None:
            detail = Text("the recording does not say where they were", "录制中没有 API Server 的地址")
            raise StepNotReached(Unreached("recording", "not-recorded", detail))
        return [str(address) for address in known]
    found = subject.world.kube.get("/api/v1/namespaces/default/endpoints/kubernetes")
    addresses = [a["ip"] for s in found.get("subsets") or () for a in s.get("addresses") or ()]
    if cloud.recorder is not None:
        cloud.recorder.note(API_SERVERS, addresses)
    return addresses


def _inbound(subject: Subject, group: SecurityGroup, sources: tuple[str, ...]) -> Observation[Inbound]:
    read = subject.world.cloud.networks.rules(group.id, "ingress")
    rules = tuple(
        Rule(r.protocol.upper(), r.ports, r.policy == "Accept", r.priority, r.peer_cidr)
        for r in read
        if r.peer_cidr and not r.port_list
    )
    lines = "\n".join(
        f"{r.priority:>3} {r.policy:<6} {r.protocol:<4} {r.ports or 'all'} "
        f"{r.peer_cidr or r.peer_group or r.peer_prefix_list}"
        for r in read
    )
    return Observation(
        Inbound(group.id, rules, sources, len(read) - len(rules)),
        Source.CLOUD,
        evidence=(Evidence(f"inbound rules of {group.id}", lines),),
    )


@of_the_version
def free_addresses(subject: Subject) -> Observation[tuple[tuple[str, int], ...]]:
    """AvailableIpAddressCount of each vSwitch."""
    _needs_some(given_vswitches(subject))
    found = subject.observe(_shown_vswitches).value
    return Observation(tuple((v.id, v.available) for v in found), Source.CLOUD)
