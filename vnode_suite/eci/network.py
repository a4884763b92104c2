"""Reads of VPCs, vSwitches and security groups, typed; what the PARAM clauses are judged on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vnode_suite.eci.client import EciClient
from vnode_suite.eci.errors import EciUnreachable
from vnode_suite.eci.exchange import Product

#: Most items of a page of VPC reads, of ECS security groups, and of rules (product documentation).
_PAGE, _RULES_PAGE = 50, 500


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC and every address block it has."""

    id: str
    cidr: str
    secondary_cidrs: tuple[str, ...] = ()
    user_cidrs: tuple[str, ...] = ()

    @property
    def cidrs(self) -> tuple[str, ...]:
        """Main and secondary blocks."""
        return (self.cidr, *self.secondary_cidrs)


@dataclass(frozen=True, slots=True)
class VSwitch:
    """A vSwitch; ``available`` counts its free addresses."""

    id: str
    vpc_id: str
    zone_id: str
    cidr: str
    available: int
    status: str


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group; ``type`` is ``normal`` (basic) or ``enterprise`` (advanced)."""

    id: str
    name: str
    vpc_id: str
    type: str
    service_managed: bool = False


@dataclass(frozen=True, slots=True)
class SecurityGroupRule:
    """One rule; exactly one of the four kinds of peer is set.

    ``peer_group``, ``peer_prefix_list`` and ``port_list`` name objects that would need a further read.
    """

    direction: Literal["ingress", "egress"]
    #: ``TCP``, ``UDP``, ``ICMP``, ``ICMPv6``, ``GRE`` or ``ALL``.
    protocol: str
    #: First and last port; ``None`` for every port (``-1/-1``).
    ports: tuple[int, int] | None
    policy: Literal["Accept", "Drop"]
    #: 1 to 100, the smaller wins; on a tie Drop wins.
    priority: int
    peer_cidr: str = ""
    peer_group: str = ""
    peer_prefix_list: str = ""
    port_list: str = ""
    id: str = ""


class NetworkReader:
    """Reads of one region through a client's transport and retries."""

    def __init__(self, client: EciClient) -> None:
        self._client = client

    def vpcs(self, ids: Sequence[str] = ()) -> list[Vpc]:
        """VPCs by id, or every one."""
        return [
            Vpc(
                id=_text(row, "VpcId"),
                cidr=_text(row, "CidrBlock"),
                secondary_cidrs=_nested(row, "SecondaryCidrBlocks", "SecondaryCidrBlock"),
                user_cidrs=_nested(row, "UserCidrs", "UserCidr"),
            )
            for row in self._numbered("vpc", "DescribeVpcs", {"VpcId": ",".join(ids)}, "Vpcs", "Vpc")
        ]

    def vswitches(self, ids: Sequence[str]) -> list[VSwitch]:
        """vSwitches by id, one call each (the API's filter takes one id); unknown ones are missing."""
        rows = (
            row
            for name in dict.fromkeys(ids)
            for row in self._numbered("vpc", "DescribeVSwitches", {"VSwitchId": name}, "VSwitches", "VSwitch")
        )
        return [
            VSwitch(
                id=_text(row, "VSwitchId"),
                vpc_id=_text(row, "VpcId"),
                zone_id=_text(row, "ZoneId"),
                cidr=_text(row, "CidrBlock"),
                available=int(row.get("AvailableIpAddressCount") or 0),
                status=_text(row, "Status"),
            )
            for row in rows
        ]

    def security_group(self, security_group_id: str) -> SecurityGroup | None:
        """A security group with its type, or ``None`` if there is none of that id."""
        wanted = {"SecurityGroupId": security_group_id}
        for row in self._numbered("ecs", "DescribeSecurityGroups", wanted, "SecurityGroups", "SecurityGroup"):
            if _text(row, "SecurityGroupId") == security_group_id:
                return SecurityGroup(
                    id=security_group_id,
                    name=_text(row, "SecurityGroupName"),
                    vpc_id=_text(row, "VpcId"),
                    type=_text(row, "SecurityGroupType"),
                    service_managed=bool(row.get("ServiceManaged")),
                )
        return None

    def rules(
        self, security_group_id: str, direction: Literal["ingress", "egress", "all"] = "all"
    ) -> list[SecurityGroupRule]:
        """The rules of a group, all pages, in the order of the API."""
        parameters = {"SecurityGroupId": security_group_id, "Direction": direction, "MaxResults": _RULES_PAGE}
        found: list[SecurityGroupRule] = []
        seen: set[str] = set()
        token = ""
        while True:
            extra = {"NextToken": token} if token else {}
            body = self._read("ecs", "DescribeSecurityGroupAttribute", parameters | extra)
            found += [_rule(row) for row in (body.get("Permissions") or {}).get("Permission") or ()]
            token = str(body.get("NextToken") or "")
            if not token:
                return found
            if token in seen:
                raise EciUnreachable("DescribeSecurityGroupAttribute goes round in circles")
            seen.add(token)

    def _numbered(
        self, product: Product, action: str, parameters: Mapping[str, Any], outer: str, inner: str
    ) -> Iterator[Mapping[str, Any]]:
        number, got = 1, 0
        wanted = {name: value for name, value in parameters.items() if value}
        while True:
            body = self._read(product, action, wanted | {"PageNumber": number, "PageSize": _PAGE})
            rows = (body.get(outer) or {}).get(inner) or ()
            yield from rows
            got += len(rows)
            if not rows or got >= int(body.get("TotalCount") or 0):
                return
            number += 1

    def _read(self, product: Product, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._client.send(product, action, {"RegionId": self._client.region, **parameters})


def _rule(row: Mapping[str, Any]) -> SecurityGroupRule:
    outbound = _text(row, "Direction").lower() == "egress"
    side = "Dest" if outbound else "Source"
    return SecurityGroupRule(
        direction="egress" if outbound else "ingress",
        protocol=_text(row, "IpProtocol").upper(),
        ports=_ports(_text(row, "PortRange")),
        policy="Drop" if _text(row, "Policy").lower() == "drop" else "Accept",
        priority=int(row.get("Priority") or 1),
        peer_cidr=_text(row, f"{side}CidrIp") or _text(row, f"Ipv6{side}CidrIp"),
        peer_group=_text(row, f"{side}GroupId"),
        peer_prefix_list=_text(row, f"{side}PrefixListId"),
        port_list=_text(row, "PortRangeListId"),
        id=_text(row, "SecurityGroupRuleId"),
    )


def _ports(text: str) -> tuple[int, int] | None:
    first, _, last = text.partition("/")
    if not first.lstrip("-").isdigit() or int(first) < 0:
        return None
    return int(first), int(last or first)


def _nested(row: Mapping[str, Any], outer: str, inner: str) -> tuple[str, ...]:
    return tuple(str(item) for item in (row.get(outer) or {}).get(inner) or ())


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)
