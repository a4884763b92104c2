"""The few rtnetlink requests that each member of the VPC costs, in a tenth of the time that the library needs for them.

Messages are as include/uapi/linux/rtnetlink.h has them; numbers are in the machine's own byte order.
"""

from __future__ import annotations

import os
import socket
import struct
from types import TracebackType
from typing import Self

from vnode_suite.simulated.vpc.errors import NetworkRefused

# include/uapi/linux/netlink.h, rtnetlink.h
_NETLINK_ROUTE = 0
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _NEWNEIGH = 16, 17, 20, 24, 28
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
# include/uapi/linux/if_link.h, if_addr.h, neighbour.h
_ADDRESS, _IFNAME, _MTU, _MASTER, _LINKINFO, _PID, _IFALIAS = 1, 3, 4, 10, 18, 19, 20
_KIND, _DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_PERMANENT = 0x80
_RTA_DST, _RTA_GATEWAY = 1, 5
_MAIN_TABLE, _BOOT, _EVERYWHERE, _UNICAST = 254, 3, 0, 1
_UP = 1

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")


class RequestRefused(NetworkRefused):
    """The kernel's answer to a request."""

    def __init__(self, errno: int) -> None:
        super().__init__(f"the kernel refuses a network request: {os.strerror(errno)}")
        self.errno = errno


class RtNetlink:
    """A socket to the network namespace in which it is opened. Every request raises `RequestRefused`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def add_veth(self, name: str, peer: str, pid: int, peer_mac: str) -> None:
        """A cable: one end called *name* here, the other in the namespace of process *pid*."""
        far = _link() + _text(_IFNAME, peer) + _attribute(_ADDRESS, _mac(peer_mac)) + _number(_PID, pid)
        kind = _text(_KIND, "veth") + _attribute(_DATA, _attribute(_VETH_PEER, far))
        body = _link() + _text(_IFNAME, name) + _attribute(_LINKINFO, kind)
        self._ask(_NEWLINK, _CREATE | _EXCLUSIVE, body)

    def set_up(self, name: str, *, mtu: int = 0, master: int = 0, alias: str = "") -> None:
        """Let a link carry packets, as a port of the bridge *master* where one is given."""
        body = _link(flags=_UP) + _text(_IFNAME, name)
        if mtu:
            body += _number(_MTU, mtu)
        if master:
            body += _number(_MASTER, master)
        if alias:
            body += _text(_IFALIAS, alias)
        self._ask(_NEWLINK, 0, body)

    def delete(self, name: str) -> None:
        """Take a link away, and its other end with it."""
        self._ask(_DELLINK, 0, _link() + _text(_IFNAME, name))

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """Give a link an IPv4 address."""
        packed = socket.inet_aton(address)
        body = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, _EVERYWHERE, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_NEWADDR, _CREATE | _EXCLUSIVE, body)

    def add_neighbour(self, index: int, address: str, mac: str) -> None:
        """Let an IPv4 address have that MAC for ever."""
        body = struct.pack("=BxxxiHBB", socket.AF_INET, index, _PERMANENT, 0, 0)
        body += _attribute(_NDA_DST, socket.inet_aton(address)) + _attribute(_NDA_LLADDR, _mac(mac))
        self._ask(_NEWNEIGH, _CREATE | _EXCLUSIVE, body)

    def add_route(self, gateway: str, network: str = "", prefix: int = 0) -> None:
        """Send what is for an IPv4 network, for all others if none is given, by way of a gateway."""
        body = struct.pack(
            "=BBBBBBBBI", socket.AF_INET, prefix, 0, 0, _MAIN_TABLE, _BOOT, _EVERYWHERE, _UNICAST, 0
        )
        body += _attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        if network:
            body += _attribute(_RTA_DST, socket.inet_aton(network))
        self._ask(_NEWROUTE, _CREATE | _EXCLUSIVE, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, _REQUEST | _ACK | flags, self._sequence, 0) + body)
        answer = self._socket.recv(1 << 16)
        _, verdict, _, _, _ = _HEADER.unpack_from(answer)
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if verdict != _ERROR or code:
            raise RequestRefused(-code)


def _link(flags: int = 0) -> bytes:
    """``struct ifinfomsg``; the link is named by an attribute."""
    return _LINK.pack(socket.AF_UNSPEC, 0, 0, flags, flags)


def _attribute(kind: int, value: bytes) -> bytes:
    """``struct rtattr`` and its value, filled up to four bytes."""
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
