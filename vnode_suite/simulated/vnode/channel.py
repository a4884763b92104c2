"""What a VNode's process says to the fleet and hears from it: JSON lines on one socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any, Literal

from vnode_suite.simulated.interface import ProbeOrder, Timing, VNodeOrder

#: What runs in a forked process.
MemberKind = Literal["vnode", "probe", "names", "host"]


class Channel:
    """The process's end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._addresses: dict[str, asyncio.Future[str]] = {}

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        """Speak on a connected socket."""
        reader, writer = await asyncio.open_connection(sock=end)
        return cls(reader, writer)

    def say(self, kind: str, **body: Any) -> None:
        """Send one message."""
        self._writer.write(json.dumps({"kind": kind, **body}).encode() + b"\n")

    def event(self, severity: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Report an event of the VNode."""
        self.say("event", type=severity, reason=reason, message=message)

    async def address(self, holder: str, *, outside: bool) -> str:
        """Ask for an address for a Pod: of the vSwitch, or of none of the VPC's."""
        waiting = asyncio.get_running_loop().create_future()
        self._addresses[holder] = waiting
        self.say("take", holder=holder, outside=outside)
        return str(await waiting)

    def give_back(self, address: str) -> None:
        """Return a Pod's address."""
        self.say("give-back", address=address)

    async def listen(self) -> None:
        """Take the fleet's answers until it hangs up."""
        while line := await self._reader.readline():
            message = json.loads(line)
            waiting = self._addresses.pop(message.get("holder", ""), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message["address"])

    async def flush(self) -> None:
        """Wait until everything said has been handed to the kernel."""
        await self._writer.drain()


def read_line(end: socket.socket) -> dict[str, Any]:
    """The first message, read without an event loop. Raises `EOFError` when the fleet hung up before."""
    received = bytearray()
    while not received.endswith(b"\n"):
        part = end.recv(1 << 16)
        if not part:
            raise EOFError("the fleet hung up before it gave its order")
        received += part
    return dict(json.loads(received))


def vnode_order(message: Mapping[str, Any]) -> VNodeOrder:
    """An order as it came over the channel."""
    return VNodeOrder(
        **{
            **message,
            "taints": tuple(message["taints"]),
            "cluster_dns": tuple(message["cluster_dns"]),
            "defects": frozenset(message["defects"]),
            "timing": Timing(**message["timing"]),
        }
    )


def probe_order(message: Mapping[str, Any]) -> ProbeOrder:
    """A probe's order as it came over the channel."""
    return ProbeOrder(**{**message, "defects": frozenset(message["defects"])})


def order_message(order: VNodeOrder | ProbeOrder) -> dict[str, Any]:
    """An order as JSON: the inverse of the two above."""
    body: dict[str, Any] = {name: getattr(order, name) for name in order.__slots__}
    body["defects"] = sorted(order.defects)
    if isinstance(order, VNodeOrder):
        body["timing"] = {name: getattr(order.timing, name) for name in order.timing.__slots__}
        body["taints"] = [dict(taint) for taint in order.taints]
        body["custom_resources"] = dict(order.custom_resources)
    return body
