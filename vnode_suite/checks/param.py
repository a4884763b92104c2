"""PARAM: region, VPC, vSwitches and security group, as the cloud itself has them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports

#: What the page admits from the VPC's own addresses; protocols are inferred.
ALL_PORTS = (1, 65535)
#: Ports of a VNode that the API server must reach.
VNODE_PORTS = (10250, 10255)


@dataclass(frozen=True, slots=True)
class RegionServed:
    """The region in use and those that the endpoint lists."""

    region: str
    served: tuple[str, ...]


@check("PARAM-01")
def region_is_served(region: RegionServed) -> Judgement:
    """ECI serves the region."""
    expected = Text(f"DescribeRegions lists {region.region}", f"DescribeRegions 列出 {region.region}")
    if region.region in region.served:
        return holds(expected, Text("it is listed", "已列出"))
    few = ", ".join(region.served[:5]) or "-"
    return fails(
        "region-not-served",
        expected,
        Text(f"it lists {len(region.served)}: {few}...", f"列出 {len(region.served)} 个:{few}……"),
    )


@check("PARAM-02")
def number_of_vswitches_is_right(vswitches: tuple[str, ...]) -> Judgement:
    """1 to 10 vSwitches."""
    expected = Text("1 to 10 vSwitches", "1 至 10 个交换机")
    actual = Text(f"{len(vswitches)} given", f"指定了 {len(vswitches)} 个")
    if not vswitches:
        return fails("no-vswitch", expected, actual)
    return fails("too-many-vswitches", expected, actual) if len(vswitches) > 10 else holds(expected, actual)


@dataclass(frozen=True, slots=True)
class Membership:
    """Which VPC each vSwitch, and the security group, lies in."""

    #: ``(vSwitch, VPC)``; an empty VPC: the cloud knows no such vSwitch.
    vswitches: tuple[tuple[str, str], ...]
    group: str = ""
    group_vpc: str = ""


@check("PARAM-03")
def vswitches_lie_in_one_vpc(membership: Membership) -> Judgement:
    """All vSwitches lie in one VPC."""
    expected = Text("all vSwitches in one VPC", "所有交换机属于同一 VPC")
    said = ", ".join(f"{name} in {vpc or 'no VPC'}" for name, vpc in membership.vswitches)
    vpcs = {vpc for _, vpc in membership.vswitches}
    if "" in vpcs:
        return fails("vswitch-not-found", expected, Text(said, said))
    return (
        holds(expected, Text(said, said))
        if len(vpcs) == 1
        else fails("several-vpcs", expected, Text(said, said))
    )


@check("PARAM-04")
def group_lies_in_the_same_vpc(membership: Membership) -> Judgement:
    """The security group lies in the vSwitches' VPC."""
    vpcs = {vpc for _, vpc in membership.vswitches}
    where = ", ".join(sorted(vpcs))
    expected = Text(f"{membership.group} in {where}", f"{membership.group} 位于 {where}")
    actual = Text(f"it is in {membership.group_vpc or 'no VPC'}", f"位于 {membership.group_vpc or '无'}")
    return (
        holds(expected, actual)
        if {membership.group_vpc} == vpcs
        else fails("group-in-other-vpc", expected, actual)
    )


@check("PARAM-05")
def group_is_of_the_enterprise_type(group_type: str) -> Judgement:
    """The security group is of the enterprise (advanced) type."""
    expected = Text("an enterprise (advanced) security group", "企业级安全组")
    actual = Text(f"its type is {group_type or 'unknown'}", f"类型为 {group_type or '未知'}")
    return (
        holds(expected, actual) if group_type == "enterprise" else fails("group-is-basic", expected, actual)
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One inbound rule whose peer is an address block."""

    #: ``TCP``, ``UDP`` or ``ALL``.
    protocol: str
    #: First and last port; ``None`` for every port.
    ports: tuple[int, int] | None
    accepts: bool
    #: 1 to 100, the smaller wins; on a tie Drop wins.
    priority: int
    peer: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """Rules of a group and the sources that must get through, as CIDRs."""

    group: str
    rules: tuple[Rule, ...]
    sources: tuple[str, ...]
    #: Rules whose peer is a prefix list or a group: not looked into.
    unread: int = 0


@check("PARAM-06")
def vpc_may_reach_every_port(inbound: Inbound) -> Judgement:
    """Every block of the VPC may reach ports 1 to 65535, TCP and UDP."""
    expected = Text(
        f"inbound TCP and UDP 1/65535 from {', '.join(inbound.sources)}",
        f"入方向允许 {', '.join(inbound.sources)} 访问 TCP 与 UDP 1/65535",
    )
    return _admitted(inbound, [(p, ALL_PORTS) for p in ("TCP", "UDP")], "vpc-traffic-dropped", expected)


@check("PARAM-07")
def api_servers_may_reach_the_vnode_ports(inbound: Inbound) -> Judgement:
    """Every API server address may reach TCP 10250 and 10255."""
    expected = Text(
        f"inbound TCP 10250 and 10255 from {', '.join(inbound.sources)}",
        f"入方向允许 {', '.join(inbound.sources)} 访问 TCP 10250 与 10255",
    )
    return _admitted(
        inbound, [("TCP", (port, port)) for port in VNODE_PORTS], "api-server-not-admitted", expected
    )


def _admitted(
    inbound: Inbound, wanted: Sequence[tuple[str, tuple[int, int]]], reason: str, expected: Text
) -> Judgement:
    note = f" ({inbound.unread} rules with lists or groups were not looked into)" if inbound.unread else ""
    if not inbound.sources:
        return fails("no-source", expected, Text("no source address is known", "没有已知的源地址"))
    for source in inbound.sources:
        for protocol, ports in wanted:
            refused = first_refused(inbound.rules, protocol, ports, source)
            if refused is not None:
                port, by = refused
                said = f"{source} to {protocol} {port}: {by}{note}"
                return fails(reason, expected, Text(said, said))
    return holds(expected, Text(f"every winning rule accepts{note}", f"生效规则均为允许{note}"))


def first_refused(
    rules: Iterable[Rule], protocol: str, ports: tuple[int, int], source: str
) -> tuple[int, str] | None:
    """The first port of *ports* that *source* may not reach in full, and why; ``None`` if all are open.

    Ports are looked at by interval: between two ends of rules the winning rule cannot change. Within a source
    block the addresses are split where a rule's own block begins or ends.
    """
    applying = [rule for rule in rules if rule.protocol in (protocol, "ALL")]
    starts = sorted(
        {
            ports[0],
            *(
                p
                for r in applying
                if r.ports
                for p in (r.ports[0], r.ports[1] + 1)
                if ports[0] < p <= ports[1]
            ),
        }
    )
    for block in _pieces(ipaddress.ip_network(source, strict=False), [r.peer for r in applying]):
        for port in starts:
            winner = _winner(applying, port, block)
            if winner is None:
                return port, "no rule (inbound is denied by default)"
            if not winner.accepts:
                return port, f"Drop of priority {winner.priority} for {winner.peer}"
    return None


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _pieces(block: _Network, peers: Iterable[str]) -> list[_Network]:
    """*block* cut into pieces that each rule's peer holds in whole or not at all."""
    pieces: list[_Network] = [block]
    for peer in peers:
        inner = ipaddress.ip_network(peer, strict=False)
        cut: list[_Network] = []
        for piece in pieces:
            if inner.version == piece.version and inner != piece and inner.subnet_of(piece):  # type: ignore[arg-type]
                cut += [inner, *piece.address_exclude(inner)]  # type: ignore[arg-type]
            else:
                cut.append(piece)
        pieces = cut
    return pieces


def _winner(rules: Iterable[Rule], port: int, block: _Network) -> Rule | None:
    matching = [
        rule
        for rule in rules
        if (rule.ports is None or rule.ports[0] <= port <= rule.ports[1]) and _holds_all(rule.peer, block)
    ]
    return min(matching, key=lambda rule: (rule.priority, rule.accepts), default=None)


def _holds_all(peer: str, block: _Network) -> bool:
    outer = ipaddress.ip_network(peer, strict=False)
    return outer.version == block.version and block.subnet_of(outer)  # type: ignore[arg-type]


@check("PARAM-08")
def vswitches_have_free_addresses(free: tuple[tuple[str, int], ...]) -> Judgement:
    """Free addresses of each vSwitch: said, not judged."""
    said = ", ".join(f"{name}: {count}" for name, count in free)
    reason = "no-free-address" if any(count == 0 for _, count in free) else "reported"
    return reports(
        Text("free addresses in every vSwitch", "每个交换机均有可用地址"), Text(said, said), reason
    )
