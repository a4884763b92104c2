"""PRE: what must be so before anything is created."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """What ``GET /version`` says, and the window of the page's revision (minors, both ends included)."""

    git_version: str
    window: tuple[str, str]

    @property
    def minor(self) -> str:
        """``1.22`` of ``v1.22.15``."""
        return ".".join(self.git_version.lstrip("v").split(".")[:2])


@check("PRE-01")
def version_lies_in_the_window(server: ServerVersion) -> Judgement:
    """The server's own word for its version lies between the window's ends."""
    first, last = server.window
    expected = Text(f"a version from {first} to {last}", f"版本在 {first} 到 {last} 之间")
    actual = Text(f"the server says {server.git_version}", f"服务器自报版本 {server.git_version}")
    if _order(server.minor) < _order(first):
        return fails("version-below-window", expected, actual)
    if _order(server.minor) > _order(last):
        return fails("version-above-window", expected, actual)
    return holds(expected, actual)


def _order(minor: str) -> tuple[int, ...]:
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in minor.split("."))


@dataclass(frozen=True, slots=True)
class Reach:
    """A dial from the VNode's side to the API server."""

    host: str
    port: int
    #: Addresses that the name resolved to on that side; the literal address itself where it is one.
    resolved: tuple[str, ...]
    #: ``None`` where the address ruled itself out before anything was dialled.
    connected: bool | None
    #: How it failed: ``no-answer``, ``connection-refused``, ``no-route``, ``name-not-resolved``,
    #: ``name-resolves-elsewhere`` or ``tls-failed``.
    problem: str = ""
    error: str = ""


@check("PRE-02")
def api_server_can_be_reached(reach: Reach) -> Judgement:
    """A TCP and TLS dial from the VNode's side reaches the server that the kubeconfig names."""
    where = f"{reach.host}:{reach.port}"
    expected = Text(
        f"{where} answers a TLS dial from inside the VPC", f"从 VPC 内部可与 {where} 建立 TLS 连接"
    )
    unusable = _own_host_only(reach.host)
    if unusable:
        return fails(
            "address-loopback",
            expected,
            Text(
                f"{reach.host} is a {unusable[0]} address: no other host can reach it",
                f"{reach.host} 是{unusable[1]}地址,其他主机无法访问",
            ),
            Text(
                "put an address of the API server into the kubeconfig that the VPC can route to",
                "请在 kubeconfig 中使用 VPC 可以路由到的 API Server 地址",
            ),
        )
    if reach.connected:
        return holds(expected, Text(f"connected to {where}", f"已连接 {where}"))
    return fails(
        reach.problem or "no-answer",
        expected,
        Text(f"the dial failed: {reach.error}", f"连接失败:{reach.error}"),
    )


def _own_host_only(host: str) -> tuple[str, str] | None:
    if host == "localhost":
        return "loopback", "回环"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.is_loopback:
        return "loopback", "回环"
    if address.is_link_local:
        return "link-local", "链路本地"
    return None


def rules_itself_out(host: str) -> bool:
    """Whether *host* can only ever be reached from its own machine, so that dialling it from elsewhere is idle."""
    return _own_host_only(host) is not None


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds by which each clock is ahead of the runner's (negative: behind)."""

    api_server: float
    #: How far in the future the server certificate's notBefore lies; 0 where it has begun.
    certificate_ahead: float


@check("PRE-03")
def clocks_agree(clocks: Clocks) -> Judgement:
    """Clock skew between runner, API server and certificates; more than 60 s deserves a warning."""
    expected = Text("at most 60 s between the clocks", "时钟偏差不超过 60 秒")
    worst = max(abs(clocks.api_server), clocks.certificate_ahead)
    reason = "clock-skew" if worst > 60 else "clocks-agree"
    return reports(
        expected,
        Text(
            f"API server {clocks.api_server:+.0f} s, certificate begins {clocks.certificate_ahead:.0f} s ahead",
            f"API Server 偏差 {clocks.api_server:+.0f} 秒,证书生效时间超前 {clocks.certificate_ahead:.0f} 秒",
        ),
        reason,
    )


@dataclass(frozen=True, slots=True)
class BothWays:
    """Whether the cluster's network and the VPC reach each other."""

    vpc_to_cluster: bool
    cluster_to_vpc: bool
    detail: str = ""


@check("PRE-04")
def networks_reach_each_other(ways: BothWays) -> Judgement:
    """Both directions between a cluster outside the cloud and the VPC are open."""
    expected = Text("both networks reach each other", "两侧网络双向互通")
    if ways.vpc_to_cluster and ways.cluster_to_vpc:
        return holds(expected, Text("both directions answer", "两个方向均可连通"))
    closed = "VPC to cluster" if not ways.vpc_to_cluster else "cluster to VPC"
    closed_zh = "VPC 到集群" if not ways.vpc_to_cluster else "集群到 VPC"
    return fails(
        "no-return-path" if ways.vpc_to_cluster else "no-answer",
        expected,
        Text(f"{closed} does not answer: {ways.detail}", f"{closed_zh}方向不通:{ways.detail}"),
        Text(
            "connect both networks: Express Connect, Smart Access Gateway or VPN Gateway",
            "请打通两侧网络:高速通道、智能接入网关或 VPN 网关",
        ),
    )
