"""What an API server serves: every resource of every group, in the version that the group prefers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vnode_suite.clusters.kube import KubeClient

#: Groups asked about side by side.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Served:
    """One resource, or a subresource (``pods/status``).

    :ivar path: address of its group and version, such as ``/apis/apps/v1``.
    :ivar group: empty for the core group.
    """

    path: str
    group: str
    name: str
    namespaced: bool
    verbs: tuple[str, ...]


def served(kube: KubeClient) -> tuple[Served, ...]:
    """Everything that the server serves; a group whose own server does not answer has nothing."""
    groups = kube.get("/apis").get("groups") or ()
    paths = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(each for found in pool.map(lambda path: _of(kube, path), paths) for each in found)


def _of(kube: KubeClient, path: str) -> list[Served]:
    answer = kube.raw(path)
    if answer.status != 200:
        return []
    group = "" if path == "/api/v1" else path.split("/")[2]
    return [
        Served(
            path,
            group,
            str(resource["name"]),
            bool(resource.get("namespaced")),
            tuple(resource.get("verbs") or ()),
        )
        for resource in json.loads(answer.text).get("resources") or ()
    ]
