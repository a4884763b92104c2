"""The VPCs, vSwitches and security groups that the emulated account has, and their reads."""

from __future__ import annotations

import hashlib
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

#: Addresses at the start and end of a vSwitch that nobody gets (VPC documentation: the first and the last
#: three).
RESERVED_ADDRESSES = 4
#: Of the VPC that is there to be the wrong one.
OTHER_VPC_CIDR = "172.31.0.0/16"
#: An API server outside the VPC, for rules that concern one (TEST-NET-2, RFC 5737).
OUTSIDE_ADDRESS = "198.51.100.10"


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC and its address blocks."""

    id: str
    cidr: str
    secondary_cidrs: tuple[str, ...] = ()


@dataclass(slots=True)
class VSwitch:
    """A vSwitch; ``used`` counts the addresses that VNodes have."""

    id: str
    cidr: str
    zone: str
    vpc_id: str
    used: int = 0
    #: Free addresses, where a test wants them scarce.
    capacity: int | None = None

    @property
    def available(self) -> int:
        """Free addresses."""
        size = ipaddress.ip_network(self.cidr).num_addresses - RESERVED_ADDRESSES
        return max(0, (size if self.capacity is None else self.capacity) - self.used)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a security group, in the words of the ECS API."""

    protocol: str = "TCP"
    #: ``first/last``; ``-1/-1`` is every port.
    ports: str = "1/65535"
    source: str = "0.0.0.0/0"
    direction: str = "ingress"
    policy: str = "Accept"
    #: 1 to 100, the smaller wins.
    priority: int = 1

    def to_api(self, number: int) -> dict[str, Any]:
        """The rule as ``DescribeSecurityGroupAttribute`` shows it."""
        inbound = self.direction == "ingress"
        is_ipv6, is_group = ":" in self.source, self.source.startswith("sg-")
        is_list = self.source.startswith("pl-")
        cidr = self.source if not (is_ipv6 or is_group or is_list) else ""
        return {
            "SecurityGroupRuleId": f"sgr-{number:020d}",
            "Direction": self.direction,
            "IpProtocol": self.protocol.upper(),
            "PortRange": self.ports,
            "SourceCidrIp": cidr if inbound else "",
            "DestCidrIp": "" if inbound else cidr,
            "Ipv6SourceCidrIp": self.source if inbound and is_ipv6 else "",
            "Ipv6DestCidrIp": self.source if not inbound and is_ipv6 else "",
            "SourceGroupId": self.source if inbound and is_group else "",
            "DestGroupId": self.source if not inbound and is_group else "",
            "SourcePrefixListId": self.source if inbound and is_list else "",
            "DestPrefixListId": self.source if not inbound and is_list else "",
            "Policy": self.policy,
            "Priority": str(self.priority),
            "NicType": "intranet",
            "Description": "",
            "CreateTime": "2024-01-01T00:00:00Z",
        }


@dataclass(slots=True)
class SecurityGroup:
    """A security group with its rules."""

    id: str
    name: str
    vpc_id: str
    #: ``enterprise`` (advanced) or ``normal`` (basic), as the ECS API writes it.
    type: str = "enterprise"
    rules: list[Rule] = field(default_factory=list)
    service_managed: bool = False


@dataclass(slots=True)
class Catalogue:
    """What one account has in one region."""

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    vswitches: dict[str, VSwitch] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)
    #: Resource groups; the first is the account's default one.
    resource_groups: tuple[str, ...] = ()


@cache
def zones() -> Mapping[str, tuple[str, ...]]:
    """Zones of every region that the emulator lists."""
    table = tomllib.loads(files(__package__).joinpath("regions.toml").read_text("utf-8"))
    return {region: tuple(names) for region, names in table["zones"].items()}


def make_id(prefix: str, *parts: str) -> str:
    """An id in the service's form (prefix, 20 lowercase letters and digits), a function of the parts."""
    number = int.from_bytes(hashlib.sha256("/".join((prefix, *parts)).encode()).digest()[:16], "big")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while len(text) < 17:
        number, digit = divmod(number, 36)
        text += digits[digit]
    return f"{prefix}-2ze{text}"


def main_vswitch_ids(account_id: str, region: str, run_id: str) -> tuple[str, ...]:
    """Ids of an account's three vSwitches; the same for the same run, so that state can be restored."""
    return tuple(make_id("vsw", account_id, region, run_id, str(number)) for number in range(3))


def build(
    account_id: str, region: str, run_id: str, vpc_cidr: str, vswitches: Mapping[str, str], host_address: str
) -> Catalogue:
    """An account's network: the real one of the fleet, and beside it what negative controls need.

    The first security group is as the manual page wants it (advanced; the VPC's own addresses on every port,
    the API server on 10250 and 10255). The others each differ in one thing; their names say which.
    """
    region_zones = zones().get(region) or (f"{region}-a", f"{region}-b", f"{region}-c")
    main = make_id("vpc", account_id, region, run_id, "main")
    other = make_id("vpc", account_id, region, run_id, "other")
    found = Catalogue(
        vpcs={main: Vpc(main, vpc_cidr), other: Vpc(other, OTHER_VPC_CIDR)},
        vswitches={
            name: VSwitch(name, cidr, region_zones[number % len(region_zones)], main)
            for number, (name, cidr) in enumerate(vswitches.items())
        },
        resource_groups=(make_id("rg", account_id, "default"), make_id("rg", account_id, run_id, "second")),
    )
    foreign = make_id("vsw", account_id, region, run_id, "other-vpc")
    found.vswitches[foreign] = VSwitch(foreign, "172.31.0.0/24", region_zones[0], other)
    host = f"{host_address}/32"
    inside = [Rule("TCP", "1/65535", vpc_cidr), Rule("UDP", "1/65535", vpc_cidr)]
    from_api_server = [Rule("TCP", "10250/10250", host), Rule("TCP", "10255/10255", host)]
    sound = inside + from_api_server
    drop = Rule("TCP", "8080/8080", vpc_cidr, policy="Drop")
    elsewhere = [Rule("TCP", "1/65535", OTHER_VPC_CIDR), Rule("UDP", "1/65535", OTHER_VPC_CIDR)]
    outside = Rule("TCP", "10250/10250", f"{OUTSIDE_ADDRESS}/32")
    for name, vpc, kind, rules, managed in (
        ("as-the-page-asks", main, "enterprise", sound, False),
        ("normal-type", main, "normal", sound, False),
        ("other-vpc", other, "enterprise", elsewhere + from_api_server, False),
        ("drop-of-equal-priority", main, "enterprise", [*sound, drop], False),
        ("10250-only", main, "enterprise", [*inside, outside], False),
        ("managed-by-a-product", main, "enterprise", sound, True),
    ):
        group = make_id("sg", account_id, region, run_id, name)
        found.groups[group] = SecurityGroup(group, name, vpc, kind, list(rules), managed)
    return found
