"""What runs in a forked process: one member of the VPC: a VNode, a probe, the name server or a host.

A host is a namespace for others: whoever enters it (an API server) is at its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from vnode_suite.simulated.interface import VNodeOrder
from vnode_suite.simulated.vnode.api import Dialling
from vnode_suite.simulated.vnode.channel import Channel, MemberKind, probe_order, read_line, vnode_order
from vnode_suite.simulated.vnode.defects import delays, packet_rules
from vnode_suite.simulated.vnode.kubeconfig import KubeconfigRefused, parse_kubeconfig
from vnode_suite.simulated.vnode.probe import look
from vnode_suite.simulated.vnode.vnode import VNode
from vnode_suite.simulated.vpc.delay import DelayingRelay
from vnode_suite.simulated.vpc.dns import NameServer, StubResolver, Zone
from vnode_suite.simulated.vpc.namespace import Place, configure_interface
from vnode_suite.simulated.vpc.nftables import apply_rules
from vnode_suite.simulated.vpc.rules import PacketRule

_DNS_PORT = 53
#: The API server's port when a kubeconfig that cannot be read leaves it open; no packet will be sent to it.
_USUAL_API_PORT = 6443


@dataclass(frozen=True, slots=True)
class Post:
    """Where and as what a member serves: told by the fleet through the zygote."""

    kind: MemberKind
    place: Place
    #: Own network namespace, or a loopback address in the machine's.
    namespaced: bool
    dns_server: str
    dns_port: int = _DNS_PORT


def serve(post: Post, end: socket.socket) -> None:
    """Run a member, in its own namespace already, until its work is done or the fleet hangs up."""
    message = read_line(end)
    if post.namespaced:
        configure_interface(post.place)
        apply_rules(_rules(post, message))
    asyncio.run(_serve(post, end, message))


def _rules(post: Post, message: Mapping[str, Any]) -> tuple[PacketRule, ...]:
    address, port = _api_server(post, message)
    return packet_rules(message.get("defects", ()), port, address)


def _api_server(post: Post, message: Mapping[str, Any]) -> tuple[str, int]:
    """Address (empty if it goes by a name) and port of the server that the member is to reach."""
    host, port = "", _USUAL_API_PORT
    if post.kind == "probe":
        host, port = str(message["host"]), int(message["port"])
    elif post.kind == "vnode":
        with contextlib.suppress(KubeconfigRefused):
            access = parse_kubeconfig(message["kubeconfig"])
            host, port = access.host, access.port
    try:
        return str(IPv4Address(host)), port
    except ValueError:
        return "", port


async def _serve(post: Post, end: socket.socket, message: Mapping[str, Any]) -> None:
    if post.kind == "names":
        await _serve_names(post, end, message)
        return
    channel = await Channel.open(end)
    if post.kind == "host":
        channel.say("ready")
        await channel.listen()
        return
    late = delays(message.get("defects", ()), _api_server(post, message)[1])
    if post.namespaced and late:
        await DelayingRelay(late).open()
    source = "" if post.namespaced else post.place.address
    dialling = Dialling(StubResolver(post.dns_server, post.dns_port, source or post.place.address), source)
    if post.kind == "probe":
        channel.say("answer", answer=await look(probe_order(message), dialling))
        await channel.flush()
        return
    await _live(vnode_order(message), post, dialling, channel)


async def _live(order: VNodeOrder, post: Post, dialling: Dialling, channel: Channel) -> None:
    vnode = VNode(order, post.place.address, dialling, channel)
    life = asyncio.create_task(vnode.run())
    hung_up = asyncio.create_task(channel.listen())
    await asyncio.wait({life, hung_up}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        # Joining has ended for good, or there is a bug here: a bug must be seen, and ends the process.
        life.result()
        await hung_up
    life.cancel()


async def _serve_names(post: Post, end: socket.socket, message: Mapping[str, Any]) -> None:
    """Answer questions; each line ``{"records": {...}, "views": {...}}`` is answered with ``{"port": n}``."""
    zone = Zone()
    zone.replace(message["records"], message["views"])
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: NameServer(zone), local_addr=(post.place.address, post.dns_port)
        )
    except OSError:
        # Port 53 of every address is taken by a server of the machine's own: any other does, and is said.
        transport, _ = await loop.create_datagram_endpoint(
            lambda: NameServer(zone), local_addr=(post.place.address, 0)
        )
    port = transport.get_extra_info("sockname")[1]
    reader, writer = await asyncio.open_connection(sock=end)
    try:
        writer.write(json.dumps({"port": port}).encode() + b"\n")
        while line := await reader.readline():
            contents = json.loads(line)
            zone.replace(contents["records"], contents["views"])
            writer.write(json.dumps({"port": port}).encode() + b"\n")
    finally:
        transport.close()
