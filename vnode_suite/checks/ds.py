"""DS: keeping kube-proxy, and every other DaemonSet, off the VNode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports

_LABEL = "type"
_VALUE = "virtual-kubelet"
#: The patch of the page, for a DaemonSet without affinity of its own.
EXCLUSION_TERM: Mapping[str, Any] = {
    "matchExpressions": [{"key": _LABEL, "operator": "NotIn", "values": [_VALUE]}]
}


@dataclass(frozen=True, slots=True)
class Terms:
    """A DaemonSet's required node affinity: its ``nodeSelectorTerms``, ORed by the scheduler."""

    daemonset: str
    terms: tuple[Mapping[str, Any], ...]


def excludes_vnodes(term: Mapping[str, Any]) -> bool:
    """Whether a nodeSelectorTerm keeps every VNode out."""
    expressions: Sequence[Mapping[str, Any]] = term.get("matchExpressions") or ()
    return any(
        e.get("key") == _LABEL
        and (
            (e.get("operator") == "NotIn" and _VALUE in (e.get("values") or ()))
            or (e.get("operator") == "In" and _VALUE not in (e.get("values") or ()))
            or e.get("operator") == "DoesNotExist"
        )
        for e in expressions
    )


@check("DS-01")
def template_excludes_vnodes_in_every_term(affinity: Terms) -> Judgement:
    """Each of the ORed terms keeps VNodes out."""
    expected = Text(
        f"{affinity.daemonset}: every nodeSelectorTerm has {_LABEL} NotIn [{_VALUE}]",
        f"{affinity.daemonset}:每个 nodeSelectorTerm 均含 {_LABEL} NotIn [{_VALUE}]",
    )
    if not affinity.terms:
        return fails(
            "no-exclusion", expected, Text("no required node affinity at all", "没有 required 节点亲和性")
        )
    open_terms = [term for term in affinity.terms if not excludes_vnodes(term)]
    if not open_terms:
        return holds(
            expected, Text(f"all {len(affinity.terms)} terms do", f"{len(affinity.terms)} 个条件均满足")
        )
    return fails(
        "term-without-exclusion" if len(open_terms) < len(affinity.terms) else "no-exclusion",
        expected,
        Text(
            f"{len(open_terms)} of {len(affinity.terms)} terms do not, and terms are ORed",
            f"{len(affinity.terms)} 个条件中有 {len(open_terms)} 个不满足,而各条件为“或”关系",
        ),
    )


@dataclass(frozen=True, slots=True)
class Bound:
    """Pods of a DaemonSet on a VNode."""

    daemonset: str
    node: str
    pods: tuple[str, ...]


@check("DS-02")
def no_pod_on_the_vnode(bound: Bound) -> Judgement:
    """No kube-proxy Pod is bound to the VNode."""
    expected = Text(
        f"no Pod of {bound.daemonset} is bound to {bound.node}",
        f"{bound.daemonset} 没有 Pod 绑定到 {bound.node}",
    )
    if not bound.pods:
        return holds(expected, Text("there is none", "没有"))
    return fails(
        "pod-bound", expected, Text(f"bound: {', '.join(bound.pods)}", f"已绑定:{', '.join(bound.pods)}")
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """Nodes that are no VNodes, and which of them have a Pod of the DaemonSet."""

    daemonset: str
    nodes: tuple[str, ...]
    covered: tuple[str, ...]
    #: ``bound`` on stand-in nodes, ``running`` on real ones.
    kind: str


@check("DS-03")
def other_nodes_keep_kube_proxy(coverage: Coverage) -> Judgement:
    """Nodes that are no VNodes still have kube-proxy."""
    names = ", ".join(coverage.nodes)
    expected = Text(
        f"{coverage.daemonset} {coverage.kind} on {names}",
        f"{coverage.daemonset} 在 {names} 上({coverage.kind})",
    )
    if not coverage.nodes:
        return fails(
            "no-other-node",
            expected,
            Text("the cluster has no other node to look at", "集群中没有其他节点可供观察"),
        )
    bare = [node for node in coverage.nodes if node not in coverage.covered]
    if not bare:
        return holds(
            expected,
            Text(
                f"{coverage.kind} on {len(coverage.covered)} nodes",
                f"{len(coverage.covered)} 个节点上为 {coverage.kind}",
            ),
        )
    return fails(
        "no-pod-on-ordinary-node",
        expected,
        Text(f"missing on {', '.join(bare)}", f"缺失于 {', '.join(bare)}"),
    )


@dataclass(frozen=True, slots=True)
class Strays:
    """Other DaemonSets with a Pod bound to the VNode: name to the patch that keeps it off."""

    node: str
    bound: tuple[tuple[str, str], ...]
    looked_at: int


@check("DS-04")
def no_other_daemonset_on_the_vnode(strays: Strays) -> Judgement:
    """No other DaemonSet has a Pod bound to the VNode; each that has is named with its patch."""
    expected = Text(
        f"no Pod of any other DaemonSet on {strays.node}", f"{strays.node} 上没有其他 DaemonSet 的 Pod"
    )
    if not strays.bound:
        return holds(
            expected,
            Text(
                f"none ({strays.looked_at} DaemonSets looked at)",
                f"没有(已检查 {strays.looked_at} 个 DaemonSet)",
            ),
        )
    names = ", ".join(name for name, _ in strays.bound)
    patches = "\n".join(patch for _, patch in strays.bound)
    return fails(
        "daemonset-pod-bound", expected, Text(f"bound: {names}", f"已绑定:{names}"), Text(patches, patches)
    )


@dataclass(frozen=True, slots=True)
class Reapplied:
    """Affinity terms before, after the exclusion was applied, and after it was applied again."""

    before: tuple[Mapping[str, Any], ...]
    once: tuple[Mapping[str, Any], ...]
    twice: tuple[Mapping[str, Any], ...]


@check("DS-05")
def exclusion_keeps_what_was_there(applied: Reapplied) -> Judgement:
    """The exclusion keeps affinity that was there, and applying it again changes nothing."""
    expected = Text(
        "every term that was there is kept, and a second time changes nothing",
        "保留原有条件,且重复应用不再改变",
    )
    lost = [term for term in applied.before if not any(_contains(new, term) for new in applied.once)]
    if lost:
        return fails(
            "earlier-terms-lost",
            expected,
            Text(
                f"{len(lost)} of {len(applied.before)} terms are gone",
                f"{len(applied.before)} 个条件中丢失 {len(lost)} 个",
            ),
        )
    if applied.once != applied.twice:
        return fails(
            "second-patch-changes", expected, Text("the second time changed it", "第二次应用产生了变化")
        )
    return holds(
        expected,
        Text(
            f"{len(applied.before)} terms kept, unchanged the second time",
            f"保留 {len(applied.before)} 个条件,第二次无变化",
        ),
    )


def _contains(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    kept = all(e in (new.get("matchExpressions") or ()) for e in old.get("matchExpressions") or ())
    return kept and all(f in (new.get("matchFields") or ()) for f in old.get("matchFields") or ())


@check("DS-06")
def daemonset_pod_does_not_run(phases: tuple[tuple[str, str], ...]) -> Judgement:
    """A DaemonSet Pod that is bound to a VNode does not run: said, not judged."""
    said = "; ".join(f"{pod}: {phase}" for pod, phase in phases) or "none was bound"
    return reports(
        Text("it stays Pending: a VNode is no real node", "保持 Pending:VNode 并非真实节点"), Text(said, said)
    )


@dataclass(frozen=True, slots=True)
class Order:
    """When the exclusion was in place, against when the VNode joined, in seconds (negative: before)."""

    exclusion_after_join: float | None


@check("DS-07")
def exclusion_came_before_the_vnode(order: Order) -> Judgement:
    """Whether the exclusion was in place before the VNode joined: said, not judged."""
    if order.exclusion_after_join is None:
        return reports(
            Text("in place before the VNode joins", "在 VNode 接入之前完成"),
            Text("no exclusion was applied by this run", "本次运行未应用排除"),
        )
    early = order.exclusion_after_join <= 0
    seconds = abs(order.exclusion_after_join)
    return reports(
        Text("in place before the VNode joins", "在 VNode 接入之前完成"),
        Text(
            f"{seconds:.1f} s {'before' if early else 'after'} the Node appeared",
            f"节点出现{'前' if early else '后'} {seconds:.1f} 秒",
        ),
        "before" if early else "after",
    )
