"""The VPC's bridge, and the machine's cable to it: made, used, listed and removed over netlink.

The bridge has a network namespace of its own. What passes between two of its ports is then no packet of the machine's,
whose firewall would filter it: where Docker runs, FORWARD drops what it did not ask for, bridged or routed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vnode_suite.simulated.vpc.addresses import choose_vpc_network, dns_address, host_address, mac_address
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import INTERFACE, LOOPBACK_INDEX, separate_namespace

#: Written on each interface as its alias: how a run's interfaces are known as ours, whatever they are called.
_ALIAS = "vnode-suite run "
_PREFIX = "vs"
#: What the bridge, and its port towards the machine, are called in the namespace that is theirs alone.
_BRIDGE, _UPLINK = "bridge", "uplink"
#: One a user: another's file could not be opened.
_LOCK = f"vnode-suite-vpc-{os.getuid()}.lock"
#: ``struct ifreq`` leaves 15 bytes for a name; ``vs`` and a run id must fit.
_LONGEST_RUN_ID = 8


def interface_name(run_id: str) -> str:
    """The name of the machine's interface in a run's VPC. Raises `NetworkRefused` if the run id makes none."""
    if not (
        run_id.isascii() and run_id.isalnum() and run_id == run_id.lower() and len(run_id) <= _LONGEST_RUN_ID
    ):
        raise NetworkRefused(f"a run id is 1 to {_LONGEST_RUN_ID} of [a-z0-9], not {run_id!r}")
    return _PREFIX + run_id


class Bridge:
    """One run's bridge, owned: leaving the context removes it and every cable on it.

    So does the end of the process: the kernel keeps a namespace no longer than somebody holds it.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.name = interface_name(run_id)
        self.network = IPv4Network("0.0.0.0/32")
        self._ports = 0
        self._open = ExitStack()
        #: Speaks with the kernel of the bridge's namespace.
        self._inside: IPRoute
        self._bridge: int

    def __enter__(self) -> Self:
        with ExitStack() as stack, _one_run_at_a_time():
            machine = stack.enter_context(IPRoute())
            self._make(machine, stack)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _make(self, machine: IPRoute, stack: ExitStack) -> None:
        try:
            # In a user namespace of a run's own (unshare -Urn) even loopback is down.
            machine.link("set", index=LOOPBACK_INDEX, state="up")
            with separate_namespace() as namespace:
                self._inside = stack.enter_context(IPRoute())
                self._inside.link("add", ifname=_BRIDGE, kind="bridge", state="up")
                (self._bridge,) = self._inside.link_lookup(ifname=_BRIDGE)
                uplink = {"ifname": _UPLINK, "net_ns_fd": namespace}
                machine.link("add", ifname=self.name, kind="veth", peer=uplink)
                (index,) = machine.link_lookup(ifname=self.name)
                stack.callback(_delete, machine, index)
        except NetlinkError as error:
            raise NetworkRefused(f"no bridge for {self.name} can be made: {error}") from error
        self._inside.link("set", ifname=_UPLINK, master=self._bridge, state="up")
        self.network = choose_vpc_network(self.run_id, _networks_in_use(machine))
        host = host_address(self.network)
        machine.link("set", index=index, ifalias=_ALIAS + self.run_id, address=mac_address(host))
        # The name server is the machine's too: it needs no member of its own.
        for address in (host, dns_address(self.network)):
            machine.addr("add", index=index, address=str(address), prefixlen=self.network.prefixlen)
        machine.link("set", index=index, state="up")

    def plug(self, pid: int, address: IPv4Address) -> None:
        """Lay a cable from the bridge into the namespace of process ``pid``; the kernel takes it away with that."""
        self._ports += 1
        far_end = {"ifname": INTERFACE, "net_ns_pid": pid, "address": mac_address(address)}
        port = f"port{self._ports}"
        self._inside.link("add", ifname=port, kind="veth", peer=far_end)
        self._inside.link("set", ifname=port, master=self._bridge, state="up")


def list_runs() -> dict[str, list[str]]:
    """The interfaces of every run that has one in this namespace: run id to names."""
    found: dict[str, list[str]] = {}
    with IPRoute() as ip:
        for link in ip.get_links():
            alias = link.get_attr("IFLA_IFALIAS") or ""
            if alias.startswith(_ALIAS):
                found.setdefault(alias.removeprefix(_ALIAS), []).append(str(link.get_attr("IFLA_IFNAME")))
    return found


def remove_run(run_id: str) -> list[str]:
    """Remove the interfaces that `list_runs` has of a run, and answer their names."""
    names = list_runs().get(run_id, [])
    with IPRoute() as ip:
        for name in names:
            for index in ip.link_lookup(ifname=name):
                _delete(ip, index)
    return names


def _delete(ip: IPRoute, index: int) -> None:
    try:
        ip.link("del", index=index)
    except NetlinkError as error:
        # ENODEV: the other end's namespace went first and took the cable with it.
        if error.code != errno.ENODEV:
            raise


def _networks_in_use(ip: IPRoute) -> Iterator[IPv4Network]:
    for route in ip.get_routes(family=2):
        destination = route.get_attr("RTA_DST")
        if destination is not None:
            yield IPv4Network(f"{destination}/{route['dst_len']}", strict=False)
    for address in ip.get_addr(family=2):
        yield IPv4Network(f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}", strict=False)
    yield from _name_servers()


def _name_servers() -> Iterator[IPv4Network]:
    """The machine's own name servers: a VPC over one of them would cut the machine off from it."""
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and ":" not in words[1]:
            try:
                yield IPv4Network(words[1])
            except ValueError:
                continue


@contextmanager
def _one_run_at_a_time() -> Iterator[None]:
    """Two runs that choose their networks at one moment must not choose the same."""
    path = Path(tempfile.gettempdir()) / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
