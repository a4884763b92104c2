"""Typed reads of VPCs, vSwitches and security groups."""

from __future__ import annotations

from typing import Any

import pytest

from vnode_suite.eci.client import EciClient
from vnode_suite.eci.network import NetworkReader, SecurityGroupRule


@pytest.fixture
def reader(client: EciClient) -> NetworkReader:
    """Reads through the client."""
    return NetworkReader(client)


def test_a_vpc_with_its_blocks(service: Any, reader: NetworkReader) -> None:
    """By id one, without ids all."""
    (vpc,) = reader.vpcs([service.ready["vpc_id"]])
    assert (vpc.id, vpc.cidrs) == (service.ready["vpc_id"], (service.ready["vpc_cidr"],))
    assert len(reader.vpcs()) == 2


def test_vswitches_by_id(service: Any, reader: NetworkReader) -> None:
    """Those asked for, in order; unknown ones are missing."""
    wanted = [*service.ready["vswitch_ids"], "vsw-unknown"]
    found = reader.vswitches(wanted)
    assert [switch.id for switch in found] == wanted[:-1]
    assert [switch.cidr for switch in found] == [row["cidr"] for row in service.ready["vswitches"]]
    assert {switch.vpc_id for switch in found} == {service.ready["vpc_id"]}
    (foreign,) = reader.vswitches([service.ready["for_controls"]["vswitch_of_another_vpc"]])
    assert foreign.vpc_id != service.ready["vpc_id"]


def test_a_security_group_with_its_type(service: Any, reader: NetworkReader) -> None:
    """Advanced, basic, of another VPC, absent."""
    groups = service.ready["for_controls"]["security_groups"]
    found = {name: reader.security_group(group) for name, group in groups.items()}
    assert {name: group.type for name, group in found.items() if group and group.type != "enterprise"} == {
        "normal-type": "normal"
    }
    assert [name for name, group in found.items() if group and group.vpc_id != service.ready["vpc_id"]] == [
        "other-vpc"
    ]
    assert reader.security_group("sg-unknown") is None


def test_rules_are_typed(service: Any, reader: NetworkReader) -> None:
    """Protocol, ports, peer, policy, priority; every port is None."""
    group = service.ready["for_controls"]["security_groups"]["10250-only"]
    rule = next(rule for rule in reader.rules(group, "ingress") if rule.ports == (10250, 10250))
    assert rule == SecurityGroupRule(
        "ingress",
        "TCP",
        (10250, 10250),
        "Accept",
        1,
        peer_cidr="198.51.100.10/32",
        id=rule.id,
    )
    rows = [
        {"protocol": "all", "ports": "-1/-1", "source": "0.0.0.0/0", "policy": "Drop", "priority": 100},
        {"protocol": "TCP", "ports": "1/2", "source": "sg-peer"},
        {"protocol": "TCP", "ports": "1/2", "source": "pl-list"},
        {"protocol": "UDP", "ports": "53/53", "source": "fd00::/8", "direction": "egress"},
    ]
    service.admin("POST", "/security-group-rules", {"security_group_id": group, "rules": rows})
    everything, cloud, prefix, outbound = reader.rules(group)
    assert (everything.ports, everything.policy, everything.priority, everything.protocol) == (
        None,
        "Drop",
        100,
        "ALL",
    )
    assert (cloud.peer_group, prefix.peer_prefix_list) == ("sg-peer", "pl-list")
    assert (outbound.direction, outbound.peer_cidr) == ("egress", "fd00::/8")


def test_many_rules_are_paged(service: Any, reader: NetworkReader) -> None:
    """More than one page of 500."""
    group = service.ready["for_controls"]["security_groups"]["normal-type"]
    rows = [{"ports": f"{port}/{port}", "source": "10.0.0.0/8"} for port in range(1, 1202)]
    service.admin("POST", "/security-group-rules", {"security_group_id": group, "rules": rows})
    assert [rule.ports for rule in reader.rules(group)] == [(port, port) for port in range(1, 1202)]
