"""Which Node is the VNode: never told by a name's pattern alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vnode_suite.probes.nodes import find_vnode

_ID = "vnd-2ze0000000000000001"


def _node(address: str = "") -> Mapping[str, Any]:
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return {"status": {"addresses": addresses}}


def _find(
    nodes: Mapping[str, Mapping[str, Any]], told: tuple[str, bool] = ("", False), others: tuple[str, ...] = ()
) -> tuple[str, str] | None:
    return find_vnode(
        nodes,
        virtual_node_id=_ID,
        virtual_node_name="mine",
        told=lambda: told,
        before=frozenset({"worker-1"}),
        others=frozenset(others),
    )


@pytest.mark.parametrize(
    ("nodes", "told", "how"),
    [
        ({f"cn-shanghai.{_ID}": _node()}, ("", False), "name-holds-id"),
        ({"mine": _node()}, ("", False), "virtual-node-name"),
        ({"vnode1": _node("10.0.0.5"), "worker-2": _node("10.0.0.6")}, ("10.0.0.5", False), "address"),
        ({"vnode1": _node()}, ("", True), "new-since-the-call"),
        ({"vnode1": _node("10.0.0.5")}, ("", True), "new-since-the-call"),
        ({"vnode1": _node()}, ("10.0.0.5", True), "new-since-the-call"),
    ],
)
def test_found_by(nodes: dict[str, Any], told: tuple[str, bool], how: str) -> None:
    """By id, by VirtualNodeName, by address, and where there is no address to compare as the only new Node."""
    found = _find({"worker-1": _node("10.0.0.1"), **nodes}, told)
    assert found is not None
    assert found[1] == how
    assert found[0] != "worker-1"


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ({}, ("", True)),
        ({"vnode1": _node()}, ("", False)),
        ({"vnode1": _node("10.0.0.6")}, ("10.0.0.5", True)),
        ({"vnode1": _node(), "worker-2": _node()}, ("", True)),
        ({"vnode1": _node(), "worker-2": _node("10.0.0.6")}, ("10.0.0.5", True)),
    ],
)
def test_not_found(nodes: dict[str, Any], told: tuple[str, bool]) -> None:
    """Neither a Node from before, nor while the cloud may still tell, nor against an address, nor one of two."""
    assert _find({"worker-1": _node(), **nodes}, told) is None


def test_not_one_that_another_vnode_explains() -> None:
    """The only new Node is somebody else's where that is known."""
    assert _find({"vnode1": _node()}, ("", True), others=("vnode1",)) is None
