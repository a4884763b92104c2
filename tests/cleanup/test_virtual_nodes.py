"""Deleting what a run bought, also where nobody knows whether it did: by name and tag, and only its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from vnode_suite.cleanup.journal import Entry
from vnode_suite.cleanup.virtual_nodes import delete_virtual_node, made_by
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.errors import WrongState
from vnode_suite.eci.exchange import ApiCall


def row(name: str, virtual_node_id: str, run: str) -> dict[str, Any]:
    """A VNode as the service lists it."""
    tags = [{"Key": "vnode-suite:run", "Value": run}]
    return {"VirtualNodeId": virtual_node_id, "VirtualNodeName": name, "Status": "Ready", "Tags": tags}


@dataclass
class Service:
    """Lists what it holds, filtered as the service does, and deletes after so many refusals."""

    rows: list[dict[str, Any]]
    refusals: int = 0
    deleted: list[str] = field(default_factory=list)

    def send(self, call: ApiCall, timeout: float) -> Mapping[str, Any]:
        """One call."""
        given = call.parameters
        if call.action == "DescribeVirtualNodes":
            ids, name = given.get("VirtualNodeIds"), given.get("VirtualNodeName")
            found = [r for r in self.rows if (not ids or r["VirtualNodeId"] in ids)]
            return {"VirtualNodes": [r for r in found if name in (None, r["VirtualNodeName"])]}
        if self.refusals:
            self.refusals -= 1
            raise WrongState("instances are on it")
        self.deleted.append(str(given["VirtualNodeId"]))
        self.rows = [r for r in self.rows if r["VirtualNodeId"] != given["VirtualNodeId"]]
        return {}


def entry(**fact: str) -> Entry:
    """An intent to make the VNode called ``mine``."""
    return Entry(1, "VirtualNode", "mine", "cloud", {"action": "delete-virtual-node"}, fact=fact)


def test_one_whose_answer_was_lost_is_found_by_name_and_tag() -> None:
    """Neither another VNode of the run, nor one of that name of another run."""
    service = Service([row("mine", "vnd-1", "r1"), row("mine", "vnd-2", "r2"), row("other", "vnd-3", "r1")])
    client = EciClient("cn-shanghai", service)
    assert [node.id for node in made_by(client, entry(), "r1")] == ["vnd-1"]
    assert delete_virtual_node(client, entry(), "r1") is None
    assert service.deleted == ["vnd-1"]


def test_one_that_was_never_bought_is_gone() -> None:
    """Nothing is listed: nothing to do."""
    service = Service([row("other", "vnd-3", "r1")])
    assert delete_virtual_node(EciClient("cn-shanghai", service), entry(), "r1") is None
    assert service.deleted == []


def test_one_without_the_runs_tag_is_left_and_said() -> None:
    """Whatever the journal says, the tag decides."""
    service = Service([row("mine", "vnd-1", "r2")])
    said = delete_virtual_node(EciClient("cn-shanghai", service), entry(id="vnd-1"), "r1")
    assert said == "vnd-1 does not carry the tag vnode-suite:run=r1"
    assert service.deleted == []


def test_instances_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VNode whose Pods' instances are being released goes when they are."""
    monkeypatch.setattr("vnode_suite.cleanup.virtual_nodes._ASK_AGAIN", 0.01)
    service = Service([row("mine", "vnd-1", "r1")], refusals=2)
    assert delete_virtual_node(EciClient("cn-shanghai", service), entry(id="vnd-1"), "r1") is None
    assert service.deleted == ["vnd-1"]
