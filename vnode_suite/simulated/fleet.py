"""The fleet: starts, hears and stops the processes of one run's VPC, on behalf of the ECI API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from vnode_suite.simulated.interface import ProbeOrder, VNodeOrder, VNodeReport
from vnode_suite.simulated.vnode.channel import order_message
from vnode_suite.simulated.vnode.defects import FLEET_DEFECTS
from vnode_suite.simulated.vpc.addresses import (
    AddressPool,
    dns_address,
    host_address,
    outside_network,
    vswitch_networks,
)
from vnode_suite.simulated.vpc.errors import NetworkRefused

__all__ = ["FLEET_DEFECTS", "FleetConfig", "FleetRefused", "Network", "ProcessFleet", "open_fleet"]

#: Seconds that the zygote has to import, make the network and say so.
_OPEN_SECONDS = 30.0
#: Seconds that a process has to be forked, or to be gone after SIGKILL.
_PROCESS_SECONDS = 15.0
_VSWITCHES = 3
_DNS_PORT = 53
_ID_ALPHABET = string.ascii_lowercase + string.digits
#: Longest line of a member, in bytes: a probe's answer holds a certificate chain.
_LONGEST_LINE = 1 << 20
_LARGEST_MESSAGE = 1 << 16


class FleetRefused(Exception):
    """An order that cannot be carried out here; the text says what and why."""


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """What the run wants of its VPC."""

    #: 1 to 8 of [a-z0-9]; the bridge is called ``vs<run_id>``.
    run_id: str
    network: Literal["auto", "namespaces", "loopback"] = "auto"
    #: Ids of the vSwitches to make, each a /24 of the VPC; () for three with ids made up here.
    vswitch_ids: tuple[str, ...] = ()
    #: Names that the VPC's DNS knows: name to address, or to "host" for `Network.host_address`.
    dns_records: Mapping[str, str] = field(default_factory=dict)
    #: Networks (CIDR) outside the VPC that are connected to it through this machine.
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
    #: ``ip:port`` of the VPC's name server.
    dns_server: str
    #: Why packets cannot be dropped or refused here, and so some defects not be had; "" if they can.
    packet_rules_refusal: str = ""


@dataclass(slots=True)
class _Member:
    name: str
    address: IPv4Address
    vswitch_id: str
    end: socket.socket
    exited: asyncio.Future[int]
    pid: int = 0
    report: Callable[[VNodeReport], None] | None = None
    instances: int = 0
    instance_addresses: dict[str, IPv4Address] = field(default_factory=dict)
    listener: asyncio.Task[None] | None = None


class ProcessFleet:
    """`Fleet` with one process for each VNode, forked from a common one."""

    def __init__(
        self, config: FleetConfig, zygote: asyncio.subprocess.Process, control: socket.socket
    ) -> None:
        self._config = config
        self._zygote = zygote
        self._control = control
        self._members: dict[str, _Member] = {}
        self._starting: dict[str, asyncio.Future[int]] = {}
        self._opened: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._names_end: tuple[asyncio.StreamReader, asyncio.StreamWriter]
        self._names_turn = asyncio.Lock()
        self._records: dict[str, str] = {}
        self._views: dict[str, str] = {}
        self._probes = 0
        self.network: Network

    async def open(self) -> Network:
        """Wait for the zygote's network, and start the name server in it. Raises `FleetRefused`."""
        asyncio.get_running_loop().add_reader(self._control, self._hear_zygote)
        async with asyncio.timeout(_OPEN_SECONDS):
            told = await self._opened
        vpc = self._vpc = IPv4Network(told["vpc_cidr"])
        ids = self._config.vswitch_ids or tuple(_vswitch_id() for _ in range(_VSWITCHES))
        networks = vswitch_networks(vpc, len(ids))
        self._pools = {name: AddressPool(network) for name, network in zip(ids, networks, strict=True)}
        self._outside = AddressPool(outside_network(vpc))
        host = str(host_address(vpc))
        self._records = {
            name: host if address == "host" else address for name, address in self._config.dns_records.items()
        }
        # Port 53 of a loopback address is root's, and may be taken by the machine's own resolver.
        port = await self._start_name_server(_DNS_PORT if told["network"] == "namespaces" else 0)
        self._dns_port = port
        self.network = Network(
            kind=told["network"],
            reason=told["reason"],
            host_address=host,
            vpc_cidr=str(vpc),
            vswitches={name: str(network) for name, network in zip(ids, networks, strict=True)},
            dns_server=f"{dns_address(vpc)}:{port}",
            packet_rules_refusal=told["packet_rules_refusal"],
        )
        return self.network

    async def launch(self, order: VNodeOrder, report: Callable[[VNodeReport], None]) -> str:
        """Start a VNode; see `Fleet.launch`. Raises `FleetRefused` for what cannot be had here."""
        self._refuse_what_cannot_be(order.defects)
        if order.virtual_node_id in self._members:
            raise FleetRefused(f"VNode {order.virtual_node_id} is running already")
        pool = self._outside if "address-outside-vswitch" in order.defects else self._pool(order.vswitch_id)
        member = await self._start("vnode", order.virtual_node_id, pool, order.vswitch_id, order.defects)
        member.report = report
        self._send_line(member.end, order_message(order))
        member.listener = asyncio.create_task(self._listen(member))
        return str(member.address)

    async def stop(self, virtual_node_id: str) -> None:
        """Kill a VNode and wait until it is gone; one that is not there is no error."""
        member = self._members.get(virtual_node_id)
        if member is None:
            return
        member.report = None
        self._control.send(json.dumps({"verb": "stop", "name": virtual_node_id}).encode())
        async with asyncio.timeout(_PROCESS_SECONDS):
            await asyncio.shield(member.exited)

    async def pods_running(self, virtual_node_id: str) -> int:
        """How many instances run on a VNode; 0 for one that is not there."""
        member = self._members.get(virtual_node_id)
        return member.instances if member else 0

    async def probe(self, order: ProbeOrder) -> Mapping[str, Any]:
        """Look from inside the VPC; see `Fleet.probe`. Raises `FleetRefused`."""
        self._refuse_what_cannot_be(order.defects)
        self._probes += 1
        name = f"probe-{self._probes}"
        member = await self._start(
            "probe", name, self._pool(order.vswitch_id), order.vswitch_id, order.defects
        )
        reader, writer = await asyncio.open_connection(sock=member.end, limit=_LONGEST_LINE)
        try:
            writer.write(json.dumps(order_message(order)).encode() + b"\n")
            async with asyncio.timeout(order.timeout + _PROCESS_SECONDS):
                line = await reader.readline()
        finally:
            writer.close()
            await self.stop(name)
        if not line:
            raise FleetRefused(f"the probe to {order.host}:{order.port} ended without an answer")
        return dict(json.loads(line)["answer"])

    async def set_dns_record(self, name: str, address: str | None) -> None:
        """Let the VPC's DNS know a name, or forget it (None)."""
        if address is None:
            self._records.pop(name, None)
        else:
            self._records[name] = address
        await self._tell_name_server()

    def processes(self) -> Mapping[str, int]:
        """VNode id to process id, of those that run now: for measuring."""
        return {name: member.pid for name, member in self._members.items()}

    async def close(self) -> None:
        """Stop everything and remove the network."""
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        try:
            async with asyncio.timeout(_PROCESS_SECONDS):
                await self._zygote.wait()
        except TimeoutError:
            self._zygote.kill()
            await self._zygote.wait()
        for member in self._members.values():
            if member.listener is not None:
                member.listener.cancel()
            if not member.exited.done():
                member.exited.set_result(0)
        if hasattr(self, "_names_end"):
            self._names_end[1].close()
        self._members.clear()

    def _refuse_what_cannot_be(self, defects: frozenset[str]) -> None:
        for defect in sorted(defects):
            needs = FLEET_DEFECTS.get(defect)
            if needs is None:
                raise FleetRefused(f"unknown defect {defect!r}; known: {', '.join(sorted(FLEET_DEFECTS))}")
            if needs == "packets" and self.network.packet_rules_refusal:
                raise FleetRefused(f"defect {defect} needs packet rules: {self.network.packet_rules_refusal}")

    def _pool(self, vswitch_id: str) -> AddressPool:
        try:
            return self._pools[vswitch_id]
        except KeyError:
            raise FleetRefused(f"unknown vSwitch {vswitch_id!r}; known: {', '.join(self._pools)}") from None

    async def _start(
        self, kind: str, name: str, pool: AddressPool, vswitch_id: str, defects: frozenset[str]
    ) -> _Member:
        try:
            address = pool.take()
        except NetworkRefused as refused:
            raise FleetRefused(str(refused)) from refused
        try:
            await self._set_view(address, defects)
            return await self._fork(kind, name, address, vswitch_id)
        except BaseException:
            self._free(address)
            raise

    async def _fork(self, kind: str, name: str, address: IPv4Address, vswitch_id: str) -> _Member:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        member = _Member(name, address, vswitch_id, ours, loop.create_future())
        message = {
            "verb": "start",
            "kind": kind,
            "name": name,
            "place": {
                "address": str(address),
                "vpc_cidr": str(self._vpc),
                "connected": self._config.connected,
                "mtu": self._config.mtu,
            },
            "dns_server": str(dns_address(self._vpc)),
            "dns_port": self._dns_port,
        }
        started = self._starting[name] = loop.create_future()
        self._members[name] = member
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], [theirs.fileno()])
            async with asyncio.timeout(_PROCESS_SECONDS):
                member.pid = await started
        except BaseException:
            self._members.pop(name, None)
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return member

    @staticmethod
    def _send_line(end: socket.socket, message: Mapping[str, Any]) -> None:
        end.setblocking(True)
        end.sendall(json.dumps(message).encode() + b"\n")
        end.setblocking(False)

    async def _listen(self, member: _Member) -> None:
        reader, writer = await asyncio.open_connection(sock=member.end, limit=_LONGEST_LINE)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while line := await reader.readline():
                self._take(member, json.loads(line), writer)

    def _take(self, member: _Member, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        kind = message.pop("kind")
        if kind == "instances":
            member.instances = message["count"]
        elif kind == "take":
            pool = self._outside if message["outside"] else self._pools[member.vswitch_id]
            address = pool.take()
            member.instance_addresses[str(address)] = address
            answer = {"holder": message["holder"], "address": str(address)}
            writer.write(json.dumps(answer).encode() + b"\n")
        elif kind == "give-back":
            address = member.instance_addresses.pop(message["address"])
            self._free(address)
        elif kind in ("event", "state") and member.report is not None:
            member.report(VNodeReport(kind, message))

    def _free(self, address: IPv4Address) -> None:
        for pool in (*self._pools.values(), self._outside):
            pool.give_back(address) if address in pool.network else None
        self._views.pop(str(address), None)

    def _hear_zygote(self) -> None:
        try:
            data = self._control.recv(_LARGEST_MESSAGE)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._control)
            self._zygote_is_gone()
            return
        message = json.loads(data)
        match message["verb"]:
            case "open":
                self._opened.set_result(message)
            case "refused":
                self._opened.set_exception(FleetRefused(message["error"]))
            case "started":
                self._starting.pop(message["name"]).set_result(message["pid"])
            case "failed":
                self._starting.pop(message["name"]).set_exception(FleetRefused(message["error"]))
            case "exited":
                self._has_exited(message["name"], message["code"])

    def _has_exited(self, name: str, code: int) -> None:
        member = self._members.pop(name, None)
        if member is None:
            return
        if name != "names":
            for address in (member.address, *member.instance_addresses.values()):
                self._free(address)
        member.exited.set_result(code)
        if member.report is not None:
            member.report(VNodeReport("exited", {"code": code}))

    def _zygote_is_gone(self) -> None:
        gone = FleetRefused("the process that VNodes are forked from has ended")
        waiting: list[asyncio.Future[Any]] = [self._opened, *self._starting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(gone)
        for name in list(self._members):
            self._has_exited(name, -1)

    async def _start_name_server(self, port: int) -> int:
        """Start it on a port (0: any free one), and answer the port."""
        self._dns_port = port
        member = await self._fork("names", "names", dns_address(self._vpc), "")
        self._names_end = await asyncio.open_connection(sock=member.end)
        return await self._tell_name_server()

    async def _set_view(self, address: IPv4Address, defects: frozenset[str]) -> None:
        if "dns-no-such-host" in defects:
            self._views[str(address)] = ""
        elif "dns-wrong-address" in defects:
            # A machine that is there and does not serve: the name server's.
            self._views[str(address)] = str(dns_address(self._vpc))
        else:
            return
        await self._tell_name_server()

    async def _tell_name_server(self) -> int:
        """Hand the zone's contents over, wait until they are in force, and answer the port served on."""
        reader, writer = self._names_end
        async with self._names_turn, asyncio.timeout(_PROCESS_SECONDS):
            writer.write(json.dumps({"records": self._records, "views": self._views}).encode() + b"\n")
            line = await reader.readline()
        if not line:
            raise FleetRefused("the VPC's name server has ended")
        return int(json.loads(line)["port"])


async def open_fleet(config: FleetConfig) -> tuple[ProcessFleet, Network]:
    """Make a run's VPC, and what starts VNodes in it. Raises `FleetRefused` if the network cannot be had."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        zygote = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "vnode_suite.simulated.vnode.zygote",
            f"--run-id={config.run_id}",
            f"--network={config.network}",
            f"--control={theirs.fileno()}",
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    ours.setblocking(False)
    fleet = ProcessFleet(config, zygote, ours)
    try:
        return fleet, await fleet.open()
    except BaseException:
        await fleet.close()
        raise


def _vswitch_id() -> str:
    return "vsw-2ze" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(17))
