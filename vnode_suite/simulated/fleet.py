"""The fleet: starts, hears and stops the processes of one run's VPC, on behalf of the ECI API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from vnode_suite.simulated.interface import Instance, ProbeOrder, VNodeOrder, VNodeReport
from vnode_suite.simulated.vnode.channel import MemberKind, order_message
from vnode_suite.simulated.vnode.defects import FLEET_DEFECTS
from vnode_suite.simulated.vnode.names import Names
from vnode_suite.simulated.vnode.nursery import Member, Nursery
from vnode_suite.simulated.vpc.addresses import (
    AddressPool,
    dns_address,
    host_address,
    hosts_network,
    outside_network,
    vswitch_networks,
)
from vnode_suite.simulated.vpc.errors import NetworkRefused

__all__ = ["FLEET_DEFECTS", "FleetConfig", "FleetRefused", "Network", "ProcessFleet", "open_fleet"]

_VSWITCHES = 3
_DNS_PORT = 53
_ID_ALPHABET = string.ascii_lowercase + string.digits
#: Longest line of a member, in bytes: a probe's answer holds a certificate chain.
_LONGEST_LINE = 1 << 20
#: Seconds that a probe has beside its own time-out.
_PROBE_GRACE_SECONDS = 10.0


class FleetRefused(Exception):
    """An order that cannot be carried out here; the text says what and why."""


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """What the run wants of its VPC."""

    #: 1 to 8 of [a-z0-9]; the machine's interface is called ``vs<run_id>``.
    run_id: str
    network: Literal["auto", "namespaces", "loopback"] = "auto"
    #: Ids of the vSwitches to make, each a /24 of the VPC; () for three with ids made up here.
    vswitch_ids: tuple[str, ...] = ()
    #: Names that the VPC's DNS knows: name to address, or to "host" for `Network.host_address`.
    dns_records: Mapping[str, str] = field(default_factory=dict)
    #: Networks (CIDR) outside the VPC that this machine is the way to; it forwards only if it is set to.
    connected: tuple[str, ...] = ()
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Network:
    """The VPC that was made."""

    kind: Literal["namespaces", "loopback"]
    #: Why not namespaces; "" with namespaces.
    reason: str
    #: Where the control plane is to be bound.
    host_address: str
    vpc_cidr: str
    #: Id to CIDR, in order.
    vswitches: Mapping[str, str]
    #: Why packets cannot be dropped or refused here, and so some defects not be had; "" if they can.
    packet_rules_refusal: str = ""


@dataclass(slots=True)
class _VNode:
    """What the fleet knows of one VNode."""

    member: Member
    address: IPv4Address
    vswitch_id: str
    report: Callable[[VNodeReport], None]
    instances: dict[str, Instance] = field(default_factory=dict)
    instance_addresses: set[IPv4Address] = field(default_factory=set)
    watch: asyncio.Task[None] | None = None


class ProcessFleet:
    """`Fleet` with one process for each VNode, forked from a common one."""

    def __init__(self, config: FleetConfig, nursery: Nursery) -> None:
        vpc = IPv4Network(nursery.network["vpc_cidr"])
        ids = config.vswitch_ids or tuple(_vswitch_id() for _ in range(_VSWITCHES))
        host = str(host_address(vpc))
        records = {name: host if at == "host" else at for name, at in config.dns_records.items()}
        self._config = config
        self._nursery = nursery
        self._vpc = vpc
        self._pools = {
            name: AddressPool(cidr) for name, cidr in zip(ids, vswitch_networks(vpc, len(ids)), strict=True)
        }
        self._outside = AddressPool(outside_network(vpc))
        self._hosts = AddressPool(hosts_network(vpc))
        self._names = Names(dns_address(vpc), records)
        self._vnodes: dict[str, _VNode] = {}
        self._probes = 0
        self._hosts_made = 0
        #: Machines that are no VNodes, by name, with the socket by which each lives and its address.
        self._host_ends: dict[str, tuple[asyncio.StreamWriter, IPv4Address]] = {}
        #: Nobody but a member asks the name server, so the network can be told before it runs.
        self._opened = asyncio.create_task(self._open())

    async def dns_server(self) -> str:
        """``ip:port`` of the VPC's name server, once it runs."""
        await self._named()
        return f"{self._names.address}:{self._names.port}"

    async def _named(self) -> None:
        """Wait for the name server."""
        # Whoever waits may be cancelled, and the name server is not to end with them.
        await asyncio.shield(self._opened)

    async def _open(self) -> None:
        """Start the name server."""
        # Port 53 of a loopback address is root's, and may be taken by the machine's own resolver.
        port = _DNS_PORT if self._nursery.network["network"] == "namespaces" else 0
        post = self._post(self._names.address, port)
        await self._names.attach(await self._nursery.fork("names", "names", post))

    @property
    def network(self) -> Network:
        """The VPC."""
        told = self._nursery.network
        return Network(
            kind=told["network"],
            reason=told["reason"],
            host_address=str(host_address(self._vpc)),
            vpc_cidr=str(self._vpc),
            vswitches={name: str(pool.network) for name, pool in self._pools.items()},
            packet_rules_refusal=told["packet_rules_refusal"],
        )

    async def launch(self, order: VNodeOrder, report: Callable[[VNodeReport], None]) -> str:
        """Start a VNode; see `Fleet.launch`. Raises `FleetRefused` for what cannot be had here."""
        self._refuse_what_cannot_be(order.defects)
        if order.virtual_node_id in self._vnodes:
            raise FleetRefused(f"VNode {order.virtual_node_id} is running already")
        pool = self._pool(order.vswitch_id)
        if "address-outside-vswitch" in order.defects:
            pool = self._outside
        member, address = await self._fork("vnode", order.virtual_node_id, pool, order.defects)
        vnode = _VNode(member, address, order.vswitch_id, report)
        self._vnodes[order.virtual_node_id] = vnode
        vnode.watch = asyncio.create_task(self._watch(vnode, order))
        return str(address)

    async def stop(self, virtual_node_id: str) -> None:
        """Kill a VNode and wait until it is gone; one that is not there is no error."""
        vnode = self._vnodes.get(virtual_node_id)
        if vnode is None:
            return
        vnode.report = lambda report: None
        await self._nursery.stop(virtual_node_id)
        if vnode.watch is not None:
            await vnode.watch

    async def instances(self, virtual_node_id: str) -> Sequence[Instance]:
        """The instances that run on a VNode; none for one that is not there."""
        vnode = self._vnodes.get(virtual_node_id)
        return tuple(vnode.instances.values()) if vnode else ()

    async def probe(self, order: ProbeOrder) -> Mapping[str, Any]:
        """Look from inside the VPC; see `Fleet.probe`. Raises `FleetRefused`."""
        self._refuse_what_cannot_be(order.defects)
        self._probes += 1
        name = f"probe-{self._probes}"
        member, address = await self._fork("probe", name, self._pool(order.vswitch_id), order.defects)
        reader, writer = await asyncio.open_connection(sock=member.end, limit=_LONGEST_LINE)
        try:
            writer.write(json.dumps(order_message(order)).encode() + b"\n")
            async with asyncio.timeout(order.timeout + _PROBE_GRACE_SECONDS):
                line = await reader.readline()
        finally:
            writer.close()
            await self._nursery.stop(name)
            self._free(address)
        if not line:
            raise FleetRefused(f"the probe to {order.host}:{order.port} ended without an answer")
        return dict(json.loads(line)["answer"])

    async def add_host(self) -> tuple[int, str]:
        """A machine in the VPC that is no VNode: the process whose network it is, and its address.

        Raises `FleetRefused` where there are no namespaces: on loopback every process is on this machine's network.
        """
        if self._nursery.network["network"] != "namespaces":
            raise FleetRefused(f"a machine of its own needs a namespace: {self._nursery.network['reason']}")
        self._hosts_made += 1
        name = f"host-{self._hosts_made}"
        member, address = await self._fork("host", name, self._hosts, frozenset())
        reader, writer = await asyncio.open_connection(sock=member.end, limit=_LONGEST_LINE)
        self._host_ends[name] = writer, address
        writer.write(b"{}\n")
        if not await reader.readline():
            raise FleetRefused(f"{name} ended before it was there")
        return member.pid, str(address)

    async def remove_hosts(self) -> None:
        """End the machines that are no VNodes; their addresses are free again."""
        for name in list(self._host_ends):
            writer, address = self._host_ends.pop(name)
            writer.close()
            await self._nursery.stop(name)
            self._free(address)

    async def set_dns_record(self, name: str, address: str | None) -> None:
        """Let the VPC's DNS know a name, or forget it (None)."""
        await self._named()
        await self._names.set_record(name, address)

    def processes(self) -> Mapping[str, int]:
        """Process ids of the VNodes that run now, by id: for measuring."""
        return {name: vnode.member.pid for name, vnode in self._vnodes.items()}

    async def close(self) -> None:
        """Stop everything and remove the network."""
        for vnode in self._vnodes.values():
            vnode.report = lambda report: None
        self._opened.cancel()
        # However its start ended: whoever relied on the name server was told.
        await asyncio.gather(self._opened, return_exceptions=True)
        await self._nursery.close()
        self._names.close()
        for writer, _ in self._host_ends.values():
            writer.close()
        watches = [vnode.watch for vnode in self._vnodes.values() if vnode.watch is not None]
        await asyncio.gather(*watches)

    def _refuse_what_cannot_be(self, defects: frozenset[str]) -> None:
        refusal = self._nursery.network["packet_rules_refusal"]
        for defect in sorted(defects):
            needs = FLEET_DEFECTS.get(defect)
            if needs is None:
                raise FleetRefused(f"unknown defect {defect!r}; known: {', '.join(sorted(FLEET_DEFECTS))}")
            if needs == "packets" and refusal:
                raise FleetRefused(f"defect {defect} needs packet rules: {refusal}")

    def _pool(self, vswitch_id: str) -> AddressPool:
        try:
            return self._pools[vswitch_id]
        except KeyError:
            raise FleetRefused(f"unknown vSwitch {vswitch_id!r}; known: {', '.join(self._pools)}") from None

    async def _fork(
        self, kind: MemberKind, name: str, pool: AddressPool, defects: frozenset[str]
    ) -> tuple[Member, IPv4Address]:
        try:
            address = pool.take()
        except NetworkRefused as refused:
            raise FleetRefused(str(refused)) from refused
        try:
            await self._named()
            await self._names.set_view(address, defects)
            return await self._nursery.fork(kind, name, self._post(address, self._names.port)), address
        except NetworkRefused as refused:
            self._free(address)
            raise FleetRefused(str(refused)) from refused
        except BaseException:
            self._free(address)
            raise

    def _post(self, address: IPv4Address, dns_port: int) -> dict[str, Any]:
        place = {
            "address": str(address),
            "vpc_cidr": str(self._vpc),
            "connected": self._config.connected,
            "mtu": self._config.mtu,
        }
        return {"place": place, "dns_server": str(self._names.address), "dns_port": dns_port}

    async def _watch(self, vnode: _VNode, order: VNodeOrder) -> None:
        """Give a VNode its order, hear it until it ends, then free what it had."""
        reader, writer = await asyncio.open_connection(sock=vnode.member.end, limit=_LONGEST_LINE)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            writer.write(json.dumps(order_message(order)).encode() + b"\n")
            while line := await reader.readline():
                self._take(vnode, json.loads(line), writer)
        code = await vnode.member.exited
        del self._vnodes[vnode.member.name]
        for address in (vnode.address, *vnode.instance_addresses):
            self._free(address)
        vnode.report(VNodeReport("exited", {"code": code}))

    def _take(self, vnode: _VNode, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        kind = message.pop("kind")
        if kind == "instance-began":
            vnode.instances[message["id"]] = Instance(**message, began=time.time())
        elif kind == "instance-ended":
            vnode.instances.pop(message["id"], None)
        elif kind == "take":
            pool = self._outside if message["outside"] else self._pools[vnode.vswitch_id]
            address = pool.take()
            vnode.instance_addresses.add(address)
            answer = {"holder": message["holder"], "address": str(address)}
            writer.write(json.dumps(answer).encode() + b"\n")
        elif kind == "give-back":
            address = IPv4Address(message["address"])
            vnode.instance_addresses.discard(address)
            self._free(address)
        elif kind in ("event", "state"):
            vnode.report(VNodeReport(kind, message))

    def _free(self, address: IPv4Address) -> None:
        for pool in (*self._pools.values(), self._outside, self._hosts):
            if address in pool.network:
                pool.give_back(address)


async def open_fleet(config: FleetConfig) -> tuple[ProcessFleet, Network]:
    """Make a run's VPC, and what starts VNodes in it. Raises `FleetRefused` if the network cannot be had."""
    try:
        fleet = ProcessFleet(config, await Nursery.open(config.run_id, config.network))
    except NetworkRefused as refused:
        raise FleetRefused(str(refused)) from refused
    return fleet, fleet.network


def _vswitch_id() -> str:
    return "vsw-2ze" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(17))
