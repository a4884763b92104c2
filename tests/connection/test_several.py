"""Several VNodes in a cell: the worst of them decides, and the evidence says it of each."""

from __future__ import annotations

import pytest

from vnode_suite.checks.node import Labels, node_carries_the_virtual_kubelet_label
from vnode_suite.connection.several import PER_VNODE, Each, Seen, judge_each
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.model import Observation, Source, Text, Unreached


def _seen(vnode: str, kind: str) -> Seen[Labels]:
    return Seen(vnode, Observation(Labels(vnode, (("type", kind),)), Source.CLUSTER))


_MISSED: Seen[Labels] = Seen(
    "vnd-3", None, StepNotReached(Unreached("node", "not-listed", Text("no Node", "无节点")))
)


def test_one_that_fails_fails_the_clause_and_is_named() -> None:
    """The other is in the evidence."""
    each = Each((_seen("vnd-1", "virtual-kubelet"), _seen("vnd-2", "worker"), _MISSED))
    judgement, observation = judge_each(node_carries_the_virtual_kubelet_label, each)
    assert judgement.holds is False
    assert judgement.actual.en.startswith("1/3: vnd-2: ")
    assert "vnd-1" not in judgement.actual.en
    summary = observation.evidence[0].text
    assert [line.partition(":")[0] for line in summary.splitlines()] == ["vnd-1", "vnd-2", "vnd-3"]


def test_all_that_hold_are_named() -> None:
    """The row tells of each."""
    each = Each((_seen("vnd-1", "virtual-kubelet"), _seen("vnd-2", "virtual-kubelet")))
    judgement, _ = judge_each(node_carries_the_virtual_kubelet_label, each)
    assert judgement.holds
    assert "vnd-1" in judgement.actual.en
    assert "vnd-2" in judgement.actual.en


def test_one_that_was_not_reached_makes_the_clause_could_not_run() -> None:
    """Unless another fails: what could not be seen of one says nothing good of it."""
    with pytest.raises(StepNotReached) as missed:
        judge_each(node_carries_the_virtual_kubelet_label, Each((_seen("vnd-1", "virtual-kubelet"), _MISSED)))
    assert missed.value.unreached.detail.en == "vnd-3: no Node"


def test_clauses_of_each_vnode_are_in_the_catalogue() -> None:
    """A renamed clause would silently be judged once."""
    from vnode_suite.connection.observing.registry import LOOKS

    assert LOOKS.keys() >= PER_VNODE
