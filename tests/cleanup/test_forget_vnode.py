"""What a VNode left in a cluster that outlives the run is found without a label."""

from __future__ import annotations

from typing import Any

from vnode_suite.cleanup.journal import Entry
from vnode_suite.cleanup.undo import ClusterAccess, standard_registry
from vnode_suite.clusters.kube import KubeError

_ID = "vnd-abc"
_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class _Cluster:
    """Objects by collection; a collection that is not there answers 404."""

    def __init__(self, **refused: int) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            "/api/v1/nodes": {"cn-x.vnd-abc": {}, "cn-x.vnd-other": {}, "worker-1": {}},
            "/api/v1/namespaces/kube-system/endpoints": {"kube-dns": {}, "vnd-abc-lock": {}},
            _REQUESTS: {
                "csr-1": {"username": "system:bootstrap:token1"},
                "csr-2": {"username": "system:vnode:vnd-abc"},
                "csr-3": {"username": "system:node:worker-1"},
            },
        }
        self.refused = refused.get("delete", 0)

    def list(self, path: str) -> list[dict[str, Any]]:
        if path not in self.objects:
            raise KubeError(404, "NotFound", "the server could not find the requested resource")
        return [{"metadata": {"name": name}, "spec": spec} for name, spec in self.objects[path].items()]

    def delete(self, path: str) -> None:
        if self.refused:
            raise KubeError(self.refused, "Forbidden", "may not delete")
        collection, _, name = path.rpartition("/")
        del self.objects[collection][name]


def _entry() -> Entry:
    undo = {
        "action": "forget-vnode",
        "cluster": "it",
        "id": _ID,
        "beside": ["/api/v1/namespaces/kube-system/endpoints"],
        "requesters": ["system:bootstrap:token1", f"system:vnode:{_ID}"],
    }
    return Entry(1, "VNode's traces", _ID, "cluster", undo)


def test_node_lock_and_requests_of_the_vnode_go_and_nothing_else() -> None:
    """By its id in a name, or by who asked; other VNodes, nodes and requests stay."""
    cluster = _Cluster()
    registry = standard_registry(ClusterAccess({}, {"it": cluster}))  # type: ignore[dict-item]
    assert registry.undo(_entry()) is None
    left = {name for collection in cluster.objects.values() for name in collection}
    assert left == {"cn-x.vnd-other", "worker-1", "kube-dns", "csr-3"}


def test_what_may_not_be_deleted_is_said() -> None:
    """A refusal is a reason why something is left, not silence."""
    cluster = _Cluster(delete=403)
    registry = standard_registry(ClusterAccess({}, {"it": cluster}))  # type: ignore[dict-item]
    left = registry.undo(_entry())
    assert left is not None
    assert "may not delete" in left.reason
