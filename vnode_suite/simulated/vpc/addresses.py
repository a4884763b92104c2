"""Which addresses the VPC takes, and who in it has which: pure arithmetic, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from vnode_suite.simulated.vpc.errors import NetworkRefused

#: Private ranges (RFC 1918), and the benchmarking range (RFC 2544) for machines that route all of those away.
_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "198.18.0.0/15")
#: Docker's and most home routers' favourites, left free even while nothing routes them.
_AVOIDED = tuple(IPv4Network(cidr) for cidr in ("10.0.0.0/14", "172.17.0.0/16", "172.18.0.0/16"))
#: First host number handed out in a vSwitch: the service keeps the lowest addresses of each for itself.
_FIRST_HOST = 10


def choose_vpc_network(run_id: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """A /16 that overlaps nothing in ``taken``; the search begins at a place that depends on ``run_id``.

    Raises `NetworkRefused` when every candidate overlaps something.
    """
    occupied = [network for network in taken if network.prefixlen > 0]
    occupied.extend(_AVOIDED)
    for whole in _RANGES:
        candidates = list(IPv4Network(whole).subnets(new_prefix=16))
        start = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4]) % len(candidates)
        for candidate in candidates[start:] + candidates[:start]:
            if not any(candidate.overlaps(network) for network in occupied):
                return candidate
    raise NetworkRefused(
        f"no free private /16 on this machine: {len(occupied)} networks are routed or in use"
    )


def choose_loopback_network(run_id: str, attempt: int) -> IPv4Network:
    """The ``attempt``-th candidate /16 of 127.0.0.0/8 for a run; the lowest 32 are left to the host."""
    start = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])
    return IPv4Network(f"127.{32 + (start + attempt) % 200}.0.0/16")


def vswitch_networks(vpc: IPv4Network, count: int) -> list[IPv4Network]:
    """The first ``count`` /24 of the VPC after its lowest, which holds the router, the DNS and the host."""
    return list(vpc.subnets(new_prefix=24))[1 : count + 1]


def host_address(vpc: IPv4Network) -> IPv4Address:
    """Where the machine that runs the control plane is in the VPC."""
    return vpc[1]


def router_address(vpc: IPv4Network) -> IPv4Address:
    """The VPC's router: it swallows what is addressed outside the VPC, as an unconnected VPC's does."""
    return vpc[2]


def dns_address(vpc: IPv4Network) -> IPv4Address:
    """The VPC's name server."""
    return vpc[53]


def outside_network(vpc: IPv4Network) -> IPv4Network:
    """A /24 of the VPC that belongs to no vSwitch."""
    return list(vpc.subnets(new_prefix=24))[-1]


def hosts_network(vpc: IPv4Network) -> IPv4Network:
    """A /24 of the VPC for machines that are no VNodes, such as those of a control plane."""
    return list(vpc.subnets(new_prefix=24))[-2]


def mac_address(address: IPv4Address) -> str:
    """A MAC that depends on the address alone: no neighbour's entry is stale when an address is reused."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x56, *address.packed))


class AddressPool:
    """The addresses of one vSwitch. Handed out round robin, so that a freed one rests as long as possible."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self._last = _FIRST_HOST - 1
        self._used: set[IPv4Address] = set()

    def take(self) -> IPv4Address:
        """A free address. Raises `NetworkRefused` when the vSwitch is full."""
        hosts = self.network.num_addresses - 1
        for _ in range(hosts):
            self._last = self._last + 1 if self._last + 1 < hosts else _FIRST_HOST
            address = self.network[self._last]
            if address not in self._used:
                self._used.add(address)
                return address
        raise NetworkRefused(f"no free address in {self.network}")

    def give_back(self, address: IPv4Address) -> None:
        """Free an address; one that is not of this pool is ignored."""
        self._used.discard(address)

    @property
    def free(self) -> int:
        """How many addresses can still be taken."""
        return self.network.num_addresses - 1 - _FIRST_HOST - len(self._used)
