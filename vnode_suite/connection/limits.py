"""Which defects cannot be had where somebody else than the emulator answers for the ECI API."""

from __future__ import annotations

from vnode_suite.model import Cloud, Defect, Text

_ELSEWHERE = Text("nobody but the simulator can have this defect", "只有模拟器才能具有该缺陷")
_WOULD_BUY = Text(
    "a service that took the call would have sold a VNode", "若服务接受该调用,就会真的创建 VNode"
)
_NOT_THERE = Text("it needs networks that only the emulator's account has", "它需要只有模拟器账号才有的网络")
_NO_ANSWER = Text("a recording has no answer for it", "录制中没有相应的应答")

_OTHER_NETWORKS = frozenset(
    {
        "vswitches-of-two-vpcs",
        "security-group-of-other-vpc",
        "normal-security-group",
        "rule-dropped-by-equal-priority",
        "rule-10250-only",
    }
)
_OTHER_CALLS = frozenset(
    {
        "create-without-region",
        "create-without-vswitch",
        "create-without-security-group",
        "repeat-with-other-parameters",
    }
)
#: What is seen by a look from inside the VPC, or would be by a VNode that was bought to fail.
_LOOKS_INSIDE = frozenset({"api-server-routed-nowhere", "kubeconfig-server-name-unresolvable"})


def not_to_be_had(defect: Defect, cloud: Cloud) -> Text | None:
    """Why no twin can have *defect* with this ECI side; ``None`` where one can."""
    if cloud is Cloud.EMULATOR:
        return None
    live = cloud is Cloud.LIVE
    if defect.where in ("vnode", "eci") or (
        live and (defect.where == "server" or defect.name in _LOOKS_INSIDE)
    ):
        return _ELSEWHERE
    if defect.name in _OTHER_NETWORKS:
        return _NOT_THERE
    if defect.name in _OTHER_CALLS:
        return _WOULD_BUY if live else _NO_ANSWER
    return None
