"""Which Nodes go with a VNode, and so stay with one that is kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.connection.closing import nodes_of


def subject(node_name: str, virtual_node_id: str, *nodes: str) -> Any:
    """One whose VNode has that id, in a cluster with these Nodes."""
    product = SimpleNamespace(id=virtual_node_id) if virtual_node_id else None
    outcome = SimpleNamespace(product=product)
    return SimpleNamespace(
        node_name=node_name,
        steps=SimpleNamespace(known=lambda _: outcome),
        world=SimpleNamespace(nodes=SimpleNamespace(nodes=lambda: dict.fromkeys(nodes))),
    )


@pytest.mark.parametrize(
    ("found", "there", "expected"),
    [
        ("vnode1", ("vnode1", "other"), {"vnode1"}),
        # It came when nobody waited for it any longer.
        ("", ("cn-shanghai.vnd-1", "other"), {"cn-shanghai.vnd-1"}),
        ("", ("other",), set()),
    ],
)
def test_a_node_that_came_late_is_the_vnodes_all_the_same(
    found: str, there: tuple[str, ...], expected: set[str]
) -> None:
    """Found in time by whatever, or with the VNode's id in its name."""
    assert nodes_of(subject(found, "vnd-1", *there)) == expected


def test_without_a_vnode_there_are_no_nodes() -> None:
    """An id that is empty is in every name."""
    assert nodes_of(subject("", "", "other")) == set()
