"""A cell tells how its VNode joined: what happened in the cloud, in the cluster and on the way between them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.checks.port import Answer
from vnode_suite.connection.joining import tell_its_events, tell_the_join
from vnode_suite.connection.observing.port import of_10250, of_10255
from vnode_suite.connection.steps import Outcome
from vnode_suite.connection.subject import Created, Joined
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.models import VNodeEvent
from vnode_suite.model import Observation, Source
from vnode_suite.probes.nodes import Transition

NOW = datetime.now(UTC)
MONOTONIC = time.monotonic()


def cell(*, states: dict[str, float], changes: list[tuple[str, float]], created: bool = True) -> Any:
    """A cell whose VNode was created ten seconds ago; times in seconds since then."""
    called = MONOTONIC - 10
    products = {
        "vnode": Created("vnd-1", None, called, frozenset()) if created else None,  # type: ignore[arg-type]
        "node": Joined("region.vnd-1", "name", 1.5),
    }
    transitions = tuple(
        Transition("region.vnd-1", ready, "", called + after, NOW - timedelta(seconds=10 - after))
        for ready, after in changes
    )
    seen = {
        of_10250: Observation(
            Answer(10250, (("node proxy", ""),)), Source.NETWORK, NOW - timedelta(seconds=7)
        ),
        of_10255: Observation(
            Answer(10255, (("node proxy", "refused"),)), Source.NETWORK, NOW - timedelta(seconds=6)
        ),
    }
    told: list[dict[str, Any]] = []
    subject = SimpleNamespace(
        name="sound",
        world=SimpleNamespace(
            requests=SimpleNamespace(
                moments=lambda id_: {state: called + after for state, after in states.items()}
            ),
            nodes=SimpleNamespace(transitions=lambda name: transitions),
        ),
        steps=SimpleNamespace(known=lambda step: Outcome(step, products[step], None, 0.0)),
        seen=seen.get,
    )
    ledger = SimpleNamespace(write=lambda kind, **event: told.append(event))
    return SimpleNamespace(
        cell=SimpleNamespace(id="1.22-bootstrap"),
        sound=subject,
        run=SimpleNamespace(ledger=ledger),
        told=told,
    )


def test_the_whole_join_is_told_in_order_of_time() -> None:
    """From the call to the ports, each in its lane."""
    joining = cell(
        states={"pending": 0.4, "approved": 0.7, "issued": 0.9},
        changes=[("False", 1.5), ("True", 2.0), ("Deleted", 9.0)],
    )
    tell_the_join(joining)
    assert [(each["lane"], each["text"].en, each["step"]) for each in joining.told] == [
        ("cloud", "CreateVirtualNode called", ""),
        ("cluster", "certificate asked for", ""),
        ("cluster", "request approved", ""),
        ("cluster", "certificate issued", ""),
        ("cluster", "Node region.vnd-1 registered", "node"),
        ("cluster", "Node is Ready", "ready"),
        ("network", "TCP 10250 answers the API server", ""),
        ("network", "TCP 10255: refused", ""),
    ]
    first, ready = joining.told[0]["at"], joining.told[5]["at"]
    assert (ready - first).total_seconds() == pytest.approx(2.0, abs=0.2)


def test_what_went_wrong_is_a_warning() -> None:
    """A request that is denied, a port that does not answer, a Node that is lost after it was Ready."""
    joining = cell(states={"denied": 0.7}, changes=[("True", 2.0), ("Unknown", 5.0)])
    tell_the_join(joining)
    assert {each["text"].en for each in joining.told if each["severity"] == "warning"} == {
        "request denied",
        "Node is no longer heard of",
        "TCP 10255: refused",
    }


def test_where_no_vnode_was_created_nothing_is_told() -> None:
    """A cell that never came so far has no join."""
    joining = cell(states={}, changes=[], created=False)
    tell_the_join(joining)
    assert joining.told == []


def test_what_the_service_says_is_told_with_its_cause() -> None:
    """Each event as it came, and the diagnosis of all of them."""
    text = 'Get "https://10.0.0.1:6443/version": dial tcp 10.0.0.1:6443: i/o timeout'
    joining = cell(states={}, changes=[])
    event = VNodeEvent("Warning", "Failed", text, count=2)
    known = SimpleNamespace(id="vnd-1", events=(event,))
    client = SimpleNamespace(describe_virtual_nodes=lambda ids: [known])
    joining.world = SimpleNamespace(cloud=SimpleNamespace(client=client))
    tell_its_events(joining)
    raw, diagnosed = joining.told
    assert (raw["message"], raw["count"], raw["virtual_node_id"]) == (text, 2, "vnd-1")
    assert [cause["cause"] for cause in diagnosed["causes"]] == ["api-server-unreachable"]


def test_a_service_that_cannot_be_asked_disturbs_nothing() -> None:
    """The step says already that the VNode did not come."""

    def refuse(ids: list[str]) -> None:
        raise EciError("slow down", code="Throttling", http_status=429)

    joining = cell(states={}, changes=[])
    joining.world = SimpleNamespace(
        cloud=SimpleNamespace(client=SimpleNamespace(describe_virtual_nodes=refuse))
    )
    tell_its_events(joining)
    assert joining.told == []
