"""How the network of simulated VNodes reaches an API server that was there before it.

A cluster of the run's own is bound to an address of that network, and there is nothing to find. A given cluster
listens where it listens: on an address of this machine, which the VPC's members reach over the machine as they
would over a router; on its loopback or somewhere behind it, where only a relay helps. A relay has another address
than the server's certificate is for, so the VNodes are told a *name* of that certificate, and the VPC's own DNS
answers it with the relay's address: what a PrivateZone record does in the cloud.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from vnode_suite.access.kubeconfig import AdminCluster
from vnode_suite.core.documents import dump_yaml, load_yaml
from vnode_suite.model import Text

#: What the VPC's DNS calls the machine that it is on.
HOST_RECORD = "host"
_DIAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the VPC must be told before it is made.

    :ivar connected: networks (CIDR) that it reaches over this machine.
    :ivar dns_records: names that its DNS knows, as the emulator's configuration takes them.
    :ivar relayed: host and port that a relay carries connections to; ``None`` where none is needed.
    :ivar name: what a relayed server is called in the VPC.
    :ivar problem: why there is no way at all; empty where there is one.
    """

    connected: tuple[str, ...] = ()
    dns_records: Mapping[str, str] = field(default_factory=dict)
    relayed: tuple[str, int] | None = None
    name: str = ""
    returns: bool = True
    problem: Text | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """The way that VNodes take.

    :ivar server: address that they are told instead of the admin's; empty for the same.
    :ivar addresses: what its host stands for in the VPC; empty where that is as everywhere.
    :ivar how: for the evidence; ``None`` where VNodes dial what everybody dials.
    :ivar returns: whether the API server reaches VNodes in turn.
    :ivar sources: addresses that its connections to VNodes come from; empty where those are its own, which it has
        in the Endpoints of ``default/kubernetes``.
    :ivar problem: why VNodes cannot reach it; ``None`` where they can.
    """

    here: str = ""
    server: str = ""
    addresses: tuple[str, ...] = ()
    how: Text | None = None
    returns: bool = True
    problem: Text | None = None
    sources: tuple[str, ...] = ()

    def told(self, kubeconfig: str) -> str:
        """*kubeconfig* as VNodes are handed it."""
        return _with_server(kubeconfig, self.here, self.server) if self.server else kubeconfig

    def from_here(self, kubeconfig: str) -> str:
        """*kubeconfig*, usable on this side again: a server that only the VPC knows is the admin's."""
        return _with_server(kubeconfig, self.server, self.here) if self.server else kubeconfig

    def expected(self, host: str) -> tuple[str, ...]:
        """What *host* must resolve to in the VPC, where the way says so; else empty."""
        return self.addresses if host == _host_and_port(self.server or self.here)[0] else ()

    def dialled_from_here(self, host: str, port: int) -> tuple[str, int]:
        """Where this side dials what the VPC calls *host* and *port*."""
        if self.server and _host_and_port(self.server) == (host, port):
            return _host_and_port(self.here)
        return host, port


def plan(admin: AdminCluster) -> Plan:
    """What it takes to reach the server of *admin* from a VPC on this machine."""
    host, port = _host_and_port(admin.server)
    address = _address_of(host)
    if address is None:
        return Plan(
            problem=Text(
                f"{host} has no IPv4 address on this side, and the simulated VPC is IPv4",
                f"{host} 在本机侧没有 IPv4 地址,而模拟 VPC 仅支持 IPv4",
            )
        )
    named = host != str(address)
    if not address.is_loopback and _is_of_this_machine(address):
        return Plan(connected=(f"{address}/32",), dns_records={host: str(address)} if named else {})
    name = host if named and host != "localhost" else _name_in_certificate(host, port, admin.ca_pem)
    if not name:
        return Plan(
            problem=Text(
                f"{host} can only be relayed, and the server's certificate has no DNS name to call the relay by",
                f"{host} 只能经由中继访问,但服务器证书中没有可用于中继的域名",
            )
        )
    # The server's packets to a VNode start on this machine if it runs here, else they find no way.
    return Plan(
        dns_records={name: HOST_RECORD}, relayed=(str(address), port), name=name, returns=address.is_loopback
    )


def resolve(admin: AdminCluster, planned: Plan, *, relay: tuple[str, int] | None, namespaces: bool) -> Way:
    """The way, once the VPC is there (and the relay, where one is needed).

    :param relay: address and port of the relay.
    :param namespaces: whether VNodes live in a network of their own; without, they dial what everybody dials.
    """
    if not namespaces:
        return Way(here=admin.server)
    if planned.problem is not None:
        return Way(here=admin.server, problem=planned.problem, returns=False)
    host, port = _host_and_port(admin.server)
    if relay is None:
        routed = ", ".join(planned.connected)
        how = Text(f"the simulated VPC reaches {routed} over this machine", f"模拟 VPC 经由本机访问 {routed}")
        return Way(here=admin.server, addresses=tuple(planned.dns_records.values()), how=how)
    server = f"https://{planned.name}:{relay[1]}"
    how = Text(
        f"VNodes are told {server}: the VPC's DNS answers {planned.name} with {relay[0]}, where a relay of the run "
        f"carries the bytes to {host}:{port}; TLS ends at the server, whose certificate holds that name",
        f"VNode 使用 {server}:VPC 内 DNS 将 {planned.name} 解析为 {relay[0]},由本次运行的中继将字节转发到 "
        f"{host}:{port};TLS 由服务器终结,其证书包含该域名",
    )
    return Way(admin.server, server, (relay[0],), how, planned.returns)


def published(server: str, address: str, *, namespaces: bool) -> Way:
    """The way to a server that Docker publishes: what it sends to VNodes comes from this machine's *address*.

    :param server: at that address, so that VNodes dial it as everybody does.
    """
    how = Text(
        f"Docker publishes the API server at {server}, this machine's address in the simulated VPC; what the node "
        f"sends to VNodes comes from {address}",
        f"Docker 将 API Server 发布在 {server}(本机在模拟 VPC 中的地址);节点发往 VNode 的流量来自 {address}",
    )
    return Way(here=server, how=how, returns=namespaces, sources=(address,) if namespaces else ())


def _with_server(kubeconfig: str, old: str, new: str) -> str:
    document: dict[str, Any] = load_yaml(kubeconfig)
    changed = False
    for entry in document.get("clusters") or ():
        cluster = entry.get("cluster") or {}
        if cluster.get("server") == old:
            cluster["server"], changed = new, True
    return dump_yaml(document) if changed else kubeconfig


def _host_and_port(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    return parts.hostname or "", parts.port or 443


def _address_of(host: str) -> IPv4Address | None:
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return None
    return IPv4Address(str(found[0][4][0])) if found else None


def _is_of_this_machine(address: IPv4Address) -> bool:
    """Whether a socket may be bound to it: only an address of this machine's own takes one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _name_in_certificate(host: str, port: int, ca_pem: str) -> str:
    """A DNS name that the server's certificate holds; empty where it has none, or no certificate is seen."""
    context = ssl.create_default_context(cadata=ca_pem)
    # The certificate must be the cluster's; that it covers the address is another question, asked elsewhere.
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with (
            socket.create_connection((host, port), timeout=_DIAL_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=None if _is_address(host) else host) as secure,
        ):
            shown: Mapping[str, Any] = secure.getpeercert() or {}
    except OSError:
        return ""
    names = [str(value) for kind, value in shown.get("subjectAltName") or () if kind == "DNS"]
    usable = [name for name in names if "*" not in name and name != "localhost"]
    # The longest says most clearly what is meant: kubernetes.default.svc.cluster.local.
    return max(usable, key=len, default="")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
