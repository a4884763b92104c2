"""Which addresses a run takes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnode_suite.simulated.vpc.addresses import (
    AddressPool,
    choose_vpc_network,
    dns_address,
    host_address,
    mac_address,
    outside_network,
    vswitch_networks,
)
from vnode_suite.simulated.vpc.errors import NetworkRefused


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(9, 32)), max_size=30))
def test_the_network_chosen_overlaps_nothing_in_use(used: list[tuple[int, int, int]]) -> None:
    """Whatever is routed already, the VPC keeps clear of it, and of the default route it takes no notice."""
    taken = [IPv4Network(f"10.{a}.{b}.0/{length}", strict=False) for a, b, length in used]
    chosen = choose_vpc_network("run", [*taken, IPv4Network("0.0.0.0/0")])
    assert chosen.prefixlen == 16
    assert chosen.is_private
    assert not any(chosen.overlaps(network) for network in taken)


def test_the_second_run_of_an_id_gets_another_network() -> None:
    """The search starts at a place of the run's own, and goes on from what is taken."""
    first = choose_vpc_network("abc", [])
    assert choose_vpc_network("abc", []) == first
    assert choose_vpc_network("abc", [first]) != first


def test_a_machine_with_everything_routed_is_refused_by_name() -> None:
    """No candidate is left: the refusal says so."""
    everything = [IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "198.18.0.0/15")]
    with pytest.raises(NetworkRefused, match="no free private /16"):
        choose_vpc_network("run", everything)


def test_the_parts_of_a_vpc_do_not_overlap() -> None:
    """vSwitches, the outside, and the addresses of host and name server are apart."""
    vpc = IPv4Network("10.99.0.0/16")
    parts = [*vswitch_networks(vpc, 3), outside_network(vpc)]
    assert all(not a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1 :])
    for address in (host_address(vpc), dns_address(vpc)):
        assert address in vpc
        assert not any(address in part for part in parts)


def test_an_address_given_back_rests_before_it_is_taken_again() -> None:
    """The pool goes round: what was just freed comes last."""
    pool = AddressPool(IPv4Network("10.99.1.0/24"))
    first = pool.take()
    pool.give_back(first)
    others = [pool.take() for _ in range(pool.free)]
    assert first not in others[:-1]
    assert others[-1] == first


def test_a_full_vswitch_is_refused_by_name() -> None:
    """As many are handed out as are said to be free, each once, none the broadcast address."""
    pool = AddressPool(IPv4Network("10.99.1.0/24"))
    taken = [pool.take() for _ in range(pool.free)]
    assert len(set(taken)) == len(taken) > 200
    assert IPv4Address("10.99.1.255") not in taken
    with pytest.raises(NetworkRefused, match=r"no free address in 10\.99\.1\.0/24"):
        pool.take()


def test_a_mac_is_unicast_local_and_of_its_address() -> None:
    """Two addresses never share one."""
    one, other = (mac_address(IPv4Address(a)) for a in ("10.99.1.10", "10.99.1.11"))
    assert one != other
    assert int(one[:2], 16) & 0b11 == 0b10
