"""The VPC's bridge in the root network namespace: made, used, listed and removed over netlink."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vnode_suite.simulated.vpc.addresses import choose_vpc_network, dns_address, host_address, mac_address
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import INTERFACE, LOOPBACK_INDEX

#: Written on each interface as its alias: how a run's interfaces are known as ours, whatever they are called.
_ALIAS = "vnode-suite run "
_PREFIX = "vs"
#: One a user: another's file could not be opened.
_LOCK = f"vnode-suite-vpc-{os.getuid()}.lock"
#: ``struct ifreq`` leaves 15 bytes for a name; ``vs`` + run id + ``-`` + four digits must fit.
_LONGEST_RUN_ID = 8


def bridge_name(run_id: str) -> str:
    """The name of a run's bridge. Raises `NetworkRefused` for a run id that makes no interface name."""
    if not (
        run_id.isascii() and run_id.isalnum() and run_id == run_id.lower() and len(run_id) <= _LONGEST_RUN_ID
    ):
        raise NetworkRefused(f"a run id is 1 to {_LONGEST_RUN_ID} of [a-z0-9], not {run_id!r}")
    return _PREFIX + run_id


class Bridge:
    """One run's bridge, owned: leaving the context removes it and every cable on it."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.name = bridge_name(run_id)
        self.network = IPv4Network("0.0.0.0/32")
        self._index = 0
        self._cables = 0
        self._ip: IPRoute

    def __enter__(self) -> Self:
        self._ip = IPRoute()
        try:
            with _one_run_at_a_time():
                self._make()
        except BaseException:
            self._ip.close()
            raise
        return self

    def _make(self) -> None:
        try:
            # In a user namespace of a run's own (unshare -Urn) even loopback is down.
            self._ip.link("set", index=LOOPBACK_INDEX, state="up")
            self._ip.link("add", ifname=self.name, kind="bridge")
        except NetlinkError as error:
            raise NetworkRefused(f"no bridge {self.name} can be made: {error}") from error
        try:
            self._set_up()
        except BaseException:
            remove_run(self.run_id, by_name=True)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ip.close()
        remove_run(self.run_id)

    def _set_up(self) -> None:
        ip = self._ip
        (self._index,) = ip.link_lookup(ifname=self.name)
        ip.link("set", index=self._index, ifalias=_ALIAS + self.run_id)
        self.network = choose_vpc_network(self.run_id, _networks_in_use(ip))
        ip.link("set", index=self._index, address=mac_address(host_address(self.network)))
        # The name server is on this machine too: between two ports of a bridge some hosts filter (Docker's
        # FORWARD policy), between a port and the machine they do not.
        for address in (host_address(self.network), dns_address(self.network)):
            ip.addr("add", index=self._index, address=str(address), prefixlen=self.network.prefixlen)
        ip.link("set", index=self._index, state="up")
        self._keep_carrier()

    def _keep_carrier(self) -> None:
        """Plug in a cable that ends nowhere: a bridge whose first one comes later loses its first second."""
        ip, near, far = self._ip, f"{self.name}-0", f"{self.name}-end"
        ip.link("add", ifname=near, kind="veth", peer={"ifname": far})
        for name, options in ((near, {"master": self._index}), (far, {})):
            (index,) = ip.link_lookup(ifname=name)
            ip.link("set", index=index, ifalias=_ALIAS + self.run_id, state="up", **options)

    def plug(self, pid: int, address: IPv4Address) -> str:
        """Lay a cable from the bridge into the namespace of process ``pid``; answers the near end's name.

        The kernel takes it away with the namespace.
        """
        self._cables += 1
        name = f"{self.name}-{self._cables % 10_000}"
        far_end = {"ifname": INTERFACE, "net_ns_pid": pid, "address": mac_address(address)}
        self._ip.link("add", ifname=name, kind="veth", peer=far_end)
        self._ip.link("set", ifname=name, ifalias=_ALIAS + self.run_id, master=self._index, state="up")
        return name


def list_runs() -> dict[str, list[str]]:
    """The interfaces of every run that has some in this namespace: run id to names, the bridge first."""
    found: dict[str, list[str]] = {}
    with IPRoute() as ip:
        for link in ip.get_links():
            alias = link.get_attr("IFLA_IFALIAS") or ""
            if alias.startswith(_ALIAS):
                found.setdefault(alias.removeprefix(_ALIAS), []).append(str(link.get_attr("IFLA_IFNAME")))
    return {run: sorted(names, key=lambda name: (len(name), name)) for run, names in found.items()}


def remove_run(run_id: str, *, by_name: bool = False) -> list[str]:
    """Remove a run's bridge and cables, and answer their names; ``by_name``: even without our alias."""
    names = list_runs().get(run_id, [])
    if by_name and bridge_name(run_id) not in names:
        names.append(bridge_name(run_id))
    with IPRoute() as ip:
        for name in reversed(names):
            _delete(ip, ip.link_lookup(ifname=name))
    return names


def _delete(ip: IPRoute, indices: list[int]) -> None:
    for index in indices:
        try:
            ip.link("del", index=index)
        except NetlinkError as error:
            # ENODEV: the other end's namespace went first and took the cable with it.
            if error.code != 19:
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
