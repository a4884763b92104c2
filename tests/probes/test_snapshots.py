"""What a cluster holds, before and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vnode_suite.clusters.kube import KubeError
from vnode_suite.probes.snapshots import compare, dump, dump_again

VERBS = ["get", "list"]


class Cluster:
    """A server with a few resources, some of which may not be listed."""

    def __init__(self, **objects: dict[str, str]) -> None:
        #: Resource to object to a label's value.
        self.objects = objects
        self.forbidden: set[str] = set()
        self.lists: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        """The groups: none but the core."""
        assert path == "/apis"
        return {"groups": []}

    def raw(self, path: str) -> Any:
        """The core group's resources."""
        names = [*self.objects, "pods/status", "events"]
        resources = [{"name": name, "namespaced": False, "verbs": VERBS} for name in names]
        return type("Answer", (), {"status": 200, "text": json.dumps({"resources": resources})})

    def list(self, path: str) -> list[dict[str, Any]]:
        """The objects of one resource."""
        resource = path.rpartition("/")[2]
        self.lists.append(resource)
        if resource in self.forbidden:
            raise KubeError(403, "Forbidden", "no", f"GET {path}")
        return [
            {
                "kind": resource,
                "metadata": {"name": name, "uid": f"{resource}-{name}", "labels": {"x": value}},
            }
            for name, value in self.objects[resource].items()
        ]


@pytest.fixture
def cluster() -> Cluster:
    """Two nodes, a role, and no claim."""
    return Cluster(nodes={"a": "1", "b": "1"}, roles={"admin": "1"}, claims={})


def test_the_second_look_leaves_out_what_there_was_nothing_of(cluster: Cluster) -> None:
    """Nothing of it can be changed or gone; and events change by themselves."""
    before = dump(cluster)  # type: ignore[arg-type]
    assert sorted(cluster.lists) == ["claims", "nodes", "roles"]
    cluster.lists.clear()
    after = dump_again(cluster, before)  # type: ignore[arg-type]
    assert sorted(cluster.lists) == ["nodes", "roles"]
    assert compare(before, after).changes == ()


def test_a_change_and_a_loss_are_found(cluster: Cluster) -> None:
    """Whatever is new meanwhile is somebody else's question."""
    before = dump(cluster)  # type: ignore[arg-type]
    cluster.objects["nodes"] = {"a": "2", "c": "1"}
    cluster.objects["claims"] = {"new": "1"}
    difference = compare(before, dump_again(cluster, before))  # type: ignore[arg-type]
    assert difference.changes == ("nodes a: changed at metadata.labels.x", "nodes b: gone")


def test_what_may_not_be_listed_is_named_both_times(cluster: Cluster) -> None:
    """A reader must know of what nothing was compared."""
    cluster.forbidden = {"roles"}
    before = dump(cluster)  # type: ignore[arg-type]
    after = dump_again(cluster, before)  # type: ignore[arg-type]
    assert before.unseen == after.unseen == ("roles (v1)",)
