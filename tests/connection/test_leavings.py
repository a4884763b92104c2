"""What a VNode leaves unlabelled is found, and removed, by its name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.clusters.kube import KubeError
from vnode_suite.connection.leavings import leavings, remove_leavings

LEASES = "/apis/coordination.k8s.io/v1beta1/namespaces/kube-node-lease/leases"
LOCKS = "/api/v1/namespaces/kube-system/endpoints"


class Kube:
    """A server that holds the objects of two lists, by path."""

    def __init__(self, gone: int = 0) -> None:
        self.gone = gone
        self.deleted: list[str] = []
        self.objects = {
            LEASES: [_named("cn-shanghai.vnd-aa"), _named("stand-in-1")],
            LOCKS: [_named("vnd-aa"), _named("vnd-bb"), _named("kube-scheduler")],
        }

    def list(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection."""
        return self.objects[path]

    def delete(self, path: str) -> None:
        """Note it; answer with an error where one is wanted."""
        if self.gone:
            raise KubeError(self.gone, "Reason", "no", {})
        self.deleted.append(path)


def _named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"renewTime": "2021-01-01T00:00:00.000000Z"}}


def _world(kube: Kube) -> Any:
    facts = SimpleNamespace(lease_api="v1beta1", lease_for_vnode=True)
    return SimpleNamespace(kube=kube, version=SimpleNamespace(facts=facts))


def test_leases_and_locks_are_found_by_a_vnode_s_id() -> None:
    """Its own, and nobody else's: neither another VNode's nor the cluster's."""
    found = leavings(_world(Kube()), ["vnd-aa"])
    assert [str(each) for each in found] == ["Lease cn-shanghai.vnd-aa", "Endpoints vnd-aa"]


def test_an_empty_name_finds_nothing() -> None:
    """A VNode whose Node was never seen has no name, which every name would hold."""
    assert leavings(_world(Kube()), ["", ""]) == ()


def test_what_is_found_is_removed() -> None:
    """Each by its own path."""
    kube = Kube()
    remove_leavings(_world(kube), ["vnd-aa"])
    assert kube.deleted == [f"{LEASES}/cn-shanghai.vnd-aa", f"{LOCKS}/vnd-aa"]


def test_one_that_went_in_the_meantime_is_no_error() -> None:
    """The garbage collector takes a Lease with its Node."""
    assert len(remove_leavings(_world(Kube(gone=404)), ["vnd-aa"])) == 2


def test_a_refusal_is_not_taken_for_absence() -> None:
    """Who may not delete it has left it behind."""
    with pytest.raises(KubeError):
        remove_leavings(_world(Kube(gone=403)), ["vnd-aa"])
