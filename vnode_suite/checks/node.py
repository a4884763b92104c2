"""NODE: the VNode as the cluster sees it."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports

#: The label that the kube-proxy exclusion of the page matches on.
TYPE_LABEL = ("type", "virtual-kubelet")


@dataclass(frozen=True, slots=True)
class Listing:
    """Whether the VNode was found among the cluster's nodes."""

    virtual_node_id: str
    #: Name of its Node; empty where none came.
    node: str
    #: By what it was found: ``name-holds-id``, ``virtual-node-name``, ``address``, ``new-since-the-call``.
    found_by: str
    seconds: float
    deadline: float


@check("NODE-01")
def vnode_is_listed(listing: Listing) -> Judgement:
    """Within the deadline the VNode is listed by the cluster's nodes."""
    expected = Text(
        f"a Node for {listing.virtual_node_id} within {listing.deadline:g} s",
        f"{listing.deadline:g} 秒内出现 {listing.virtual_node_id} 对应的节点",
    )
    if listing.node:
        how = listing.found_by.replace("-", " ")
        return holds(
            expected,
            Text(
                f"{listing.node} after {listing.seconds:.1f} s (by {how})",
                f"{listing.seconds:.1f} 秒后出现 {listing.node}({how})",
            ),
        )
    return fails(
        "not-listed",
        expected,
        Text(f"none after {listing.seconds:.1f} s", f"{listing.seconds:.1f} 秒后仍未出现"),
    )


@dataclass(frozen=True, slots=True)
class Readiness:
    """The Node's Ready condition over time."""

    node: str
    #: Seconds from the call to the first Ready; ``None`` where it never was.
    ready_after: float | None
    #: How long it was watched after that, in seconds, and for how long it should be.
    watched: float
    window: float
    #: What it turned to when it was lost: ``Unknown (NodeStatusUnknown)``; empty while Ready.
    lost: str = ""
    lost_after: float = 0.0
    deadline: float = 0.0
    last: str = ""
    #: Kinds of the objects that it renews besides the Node's status: ``Lease``, ``Endpoints`` (a lock).
    heartbeat: tuple[str, ...] = ()


@check("NODE-02")
def node_becomes_and_stays_ready(readiness: Readiness) -> Judgement:
    """It becomes Ready and stays so for longer than a lost heartbeat could hide."""
    window = readiness.window
    expected = Text(
        f"Ready, and still Ready {window:g} s later", f"变为 Ready,并在 {window:g} 秒后仍为 Ready"
    )
    if readiness.ready_after is None:
        last = readiness.last or "no Ready condition"
        return fails(
            "never-ready",
            expected,
            Text(f"{readiness.node} is not Ready: {last}", f"{readiness.node} 未就绪:{last}"),
        )
    if readiness.lost:
        return fails(
            "ready-lost",
            expected,
            Text(
                f"Ready after {readiness.ready_after:.1f} s, then {readiness.lost} {readiness.lost_after:.1f} s later",
                f"{readiness.ready_after:.1f} 秒后就绪,又过 {readiness.lost_after:.1f} 秒变为 {readiness.lost}",
            ),
        )
    beside = ", ".join(readiness.heartbeat) or "nothing else"
    beside_zh = "、".join(readiness.heartbeat) or "无其他对象"
    return holds(
        expected,
        Text(
            f"Ready after {readiness.ready_after:.1f} s and for {readiness.watched:.1f} s since; "
            f"kept up besides the Node's status: {beside}",
            f"{readiness.ready_after:.1f} 秒后就绪,此后持续 {readiness.watched:.1f} 秒;除节点状态外还更新:{beside_zh}",
        ),
    )


@dataclass(frozen=True, slots=True)
class Labels:
    """A Node's labels."""

    node: str
    labels: tuple[tuple[str, str], ...]


@check("NODE-03")
def node_carries_the_virtual_kubelet_label(node: Labels) -> Judgement:
    """It carries ``type=virtual-kubelet``, which the exclusion rests on."""
    key, value = TYPE_LABEL
    expected = Text(f"label {key}={value}", f"标签 {key}={value}")
    found = dict(node.labels).get(key)
    if found == value:
        return holds(expected, Text("it has it", "已具备"))
    return fails(
        "type-label-absent" if found is None else "type-label-differs",
        expected,
        Text(
            f"{key}={found}" if found is not None else f"no label {key}",
            f"{key}={found}" if found is not None else f"没有标签 {key}",
        ),
    )


@dataclass(frozen=True, slots=True)
class BothSides:
    """What cloud and cluster say of the same VNode."""

    cloud_status: str
    cloud_address: str
    node: str
    node_ready: bool
    node_address: str
    cloud_seen: str
    cluster_seen: str


@check("NODE-04")
def cloud_and_cluster_agree(sides: BothSides) -> Judgement:
    """Ready on both sides, with the same internal address."""
    expected = Text("Ready on both sides, with one address", "云端与集群均为 Ready,且地址一致")
    actual = Text(
        f"cloud: {sides.cloud_status} {sides.cloud_address} ({sides.cloud_seen}); cluster: "
        f"{sides.node or 'no Node'} {'Ready' if sides.node_ready else 'not Ready'} "
        f"{sides.node_address} ({sides.cluster_seen})",
        f"云端:{sides.cloud_status} {sides.cloud_address}({sides.cloud_seen});集群:"
        f"{sides.node or '无节点'} {'Ready' if sides.node_ready else '未就绪'} "
        f"{sides.node_address}({sides.cluster_seen})",
    )
    cloud_ready = sides.cloud_status == "Ready"
    if cloud_ready and not sides.node:
        return fails("only-cloud-ready", expected, actual)
    if cloud_ready != sides.node_ready:
        return fails("only-cloud-ready" if cloud_ready else "only-cluster-ready", expected, actual)
    if not cloud_ready:
        return fails("neither-ready", expected, actual)
    if sides.cloud_address != sides.node_address:
        return fails("address-differs", expected, actual)
    return holds(expected, actual)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a Node says of itself."""

    name: str
    role: str
    kubelet_version: str
    server_version: str
    vnode_label: bool
    vnode_taint: bool
    pod_cidr: str
    excluded_from_load_balancers: bool


@check("NODE-05")
def what_the_node_says_of_itself(node: Identity) -> Judgement:
    """Name, role, version, label and taint as the linked pages show them."""
    parts = [
        f"name {node.name}",
        f"role {node.role or 'none'}",
        f"kubelet {node.kubelet_version} (server {node.server_version})",
        f"vnode label {'yes' if node.vnode_label else 'no'}",
        f"vnode taint {'yes' if node.vnode_taint else 'no'}",
        f"podCIDR {node.pod_cidr or 'none'}",
        f"kept from load balancers {'yes' if node.excluded_from_load_balancers else 'no'}",
    ]
    zh = [
        f"名称 {node.name}",
        f"角色 {node.role or '无'}",
        f"kubelet {node.kubelet_version}(服务器 {node.server_version})",
        f"vnode 标签{'有' if node.vnode_label else '无'}",
        f"vnode 污点{'有' if node.vnode_taint else '无'}",
        f"podCIDR {node.pod_cidr or '无'}",
        f"{'已' if node.excluded_from_load_balancers else '未'}排除于负载均衡之外",
    ]
    return reports(
        Text("<region>.<id>, role agent, the server's version", "<地域>.<ID>,角色 agent,与服务器同版本"),
        Text("; ".join(parts), ";".join(zh)),
    )


@check("NODE-06")
def time_to_ready(seconds: float) -> Judgement:
    """Time from the call to Node Ready, in seconds."""
    return reports(
        Text("as short as it can be", "尽可能短"),
        Text(f"{seconds:.2f} s from the call to Ready", f"从调用到 Ready 共 {seconds:.2f} 秒"),
    )
