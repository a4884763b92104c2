"""SCHED: putting Pods on the VNode."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a Pod that was to run on the VNode."""

    pod: str
    node: str
    #: Where it was bound; empty: nowhere.
    bound_to: str
    phase: str
    detail: str = ""


def _runs_there(placed: Placed, how: Text, elsewhere: str = "pod-not-bound") -> Judgement:
    expected = Text(f"{how.en} runs on {placed.node}", f"{how.zh}在 {placed.node} 上运行")
    actual = Text(
        f"{placed.pod} is {placed.phase} on {placed.bound_to or 'no node'} {placed.detail}".strip(),
        f"{placed.pod} 状态 {placed.phase},节点 {placed.bound_to or '无'} {placed.detail}".strip(),
    )
    if placed.bound_to != placed.node:
        return fails(elsewhere, expected, actual)
    return (
        holds(expected, actual) if placed.phase == "Running" else fails("pod-not-running", expected, actual)
    )


@check("SCHED-01")
def selector_and_toleration_put_a_pod_there(placed: Placed) -> Judgement:
    """nodeSelector ``k8s.aliyun.com/vnode=true`` and the toleration put a Pod on the VNode, and it runs."""
    return _runs_there(
        placed, Text("a Pod with the nodeSelector and the toleration", "带有 nodeSelector 与容忍的 Pod ")
    )


@check("SCHED-02")
def node_name_puts_a_pod_there(placed: Placed) -> Judgement:
    """nodeName puts a Pod on the VNode, and it runs."""
    return _runs_there(placed, Text("a Pod with nodeName", "指定 nodeName 的 Pod "), "pod-not-running")


@check("SCHED-03")
def selector_policy_puts_a_pod_there(placed: Placed) -> Judgement:
    """A Pod that matches an eci-profile Selector lands on the VNode."""
    return _runs_there(
        placed, Text("a Pod that matches the Selector", "匹配 Selector 的 Pod "), "pod-not-on-vnode"
    )


@dataclass(frozen=True, slots=True)
class Annotated:
    """The annotation that the VNode writes on a Pod it runs."""

    pod: str
    phase: str
    instance_id: str
    #: How long after the Pod was seen to run it was written, or looked for in vain; 0 where it was there before.
    seconds_after_running: float = 0.0


@check("SCHED-04")
def vnode_writes_the_instance_id(annotated: Annotated) -> Judgement:
    """The VNode itself writes ``k8s.aliyun.com/eci-instance-id`` on a Pod that it runs."""
    expected = Text("annotation k8s.aliyun.com/eci-instance-id", "注解 k8s.aliyun.com/eci-instance-id")
    if annotated.instance_id:
        return holds(
            expected,
            Text(f"{annotated.pod}: {annotated.instance_id}", f"{annotated.pod}:{annotated.instance_id}"),
        )
    return fails(
        "annotation-absent",
        expected,
        Text(
            f"{annotated.pod} is {annotated.phase} without it",
            f"{annotated.pod} 状态 {annotated.phase},没有该注解",
        ),
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """A Pod's instance as the cloud has it."""

    instance_id: str
    status: str
    security_group: tuple[str, str]
    vswitch: tuple[str, str]


@check("SCHED-05")
def instance_exists_and_runs(instance: Instance) -> Judgement:
    """That instance exists, Running, in the given group and vSwitch."""
    expected = Text(
        f"{instance.instance_id} Running in {instance.security_group[0]} and {instance.vswitch[0]}",
        f"{instance.instance_id} 处于 Running,位于 {instance.security_group[0]} 与 {instance.vswitch[0]}",
    )
    actual = Text(
        f"{instance.status or 'unknown id'} in {instance.security_group[1]} and {instance.vswitch[1]}",
        f"{instance.status or '未知 ID'},{instance.security_group[1]},{instance.vswitch[1]}",
    )
    if not instance.status:
        return fails("instance-not-found", expected, actual)
    right = (
        instance.status == "Running"
        and len(set(instance.security_group)) == 1
        and len(set(instance.vswitch)) == 1
    )
    return holds(expected, actual) if right else fails("instance-differs", expected, actual)


@check("SCHED-06")
def what_a_pod_there_reaches(reached: tuple[tuple[str, bool], ...]) -> Judgement:
    """What a Pod on the VNode reaches: said, not judged."""
    said = "; ".join(f"{what}: {'yes' if ok else 'no'}" for what, ok in reached)
    return reports(
        Text(
            "cluster DNS, a ClusterIP, another Pod, an image registry",
            "集群 DNS、ClusterIP、其他 Pod、镜像仓库",
        ),
        Text(said, said),
    )
