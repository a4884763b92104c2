"""A network namespace of a process's own, and what the process configures in it.

The namespace has no name: it lives as long as the process does, and the kernel takes it away after
``kill -9`` as well.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pyroute2 import IPRoute

from vnode_suite.simulated.vpc.addresses import host_address, router_address
from vnode_suite.simulated.vpc.errors import NetworkRefused

#: The member's end of its cable.
INTERFACE = "eth0"
#: Loopback is the first interface of every network namespace.
LOOPBACK_INDEX = 1
#: Of the thread that opens it.
_OWN_NAMESPACE = "/proc/thread-self/ns/net"

# include/uapi/linux/sched.h, include/uapi/linux/prctl.h
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
#: MAC that nobody has: what is sent to the VPC's router is swallowed without a word.
_NOBODY = "02:00:00:00:00:02"

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member of the VPC is."""

    address: str
    vpc_cidr: str
    #: Networks outside the VPC that are connected to it, reached over the machine that holds the bridge.
    connected: tuple[str, ...] = ()
    mtu: int = 1500


def die_with_parent(parent: int, name: str) -> None:
    """Let the kernel kill this process when ``parent`` ends; ``name`` is what ``ps`` shows."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    if os.getppid() != parent:
        # The parent died between the fork and the prctl: nobody would kill this process later.
        os._exit(1)


def leave_for_own_namespace() -> None:
    """Move this process into a new, empty network namespace. Raises `NetworkRefused` if not allowed to."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise NetworkRefused(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")


@contextmanager
def separate_namespace() -> Iterator[int]:
    """A new, empty network namespace, in which this thread is for the while of the block; gives its descriptor.

    What is opened in the block stays there, and keeps the namespace. Raises `NetworkRefused` if not allowed to.
    """
    here = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        leave_for_own_namespace()
        there = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield there
        finally:
            os.close(there)
            if _libc.setns(here, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back into the network that a thread came from")
    finally:
        os.close(here)


def enter(pid: int) -> None:
    """Move this process into the network namespace of process ``pid``. Raises `NetworkRefused` if not allowed to."""
    try:
        with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
            if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    except OSError as error:
        raise NetworkRefused(f"the network of process {pid} cannot be entered: {error}") from error


def configure_interface(place: Place) -> None:
    """Bring up the cable's end that was moved into this process's namespace, with address and routes."""
    vpc = IPv4Network(place.vpc_cidr)
    router = str(router_address(vpc))
    with IPRoute() as ip:
        ip.link("set", index=LOOPBACK_INDEX, state="up")
        # Looked up: where tunnel modules are loaded, a new namespace has interfaces of its own beside loopback.
        (index,) = ip.link_lookup(ifname=INTERFACE)
        ip.addr("add", index=index, address=place.address, prefixlen=vpc.prefixlen)
        ip.link("set", index=index, state="up", mtu=place.mtu)
        ip.neigh("add", dst=router, lladdr=_NOBODY, ifindex=index, state=0x80)
        ip.route("add", dst="default", gateway=router)
        for network in place.connected:
            ip.route("add", dst=network, gateway=str(host_address(vpc)))


def in_network(address: str, cidr: str) -> bool:
    """Whether an address lies in a network."""
    return IPv4Address(address) in IPv4Network(cidr)
