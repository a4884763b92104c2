"""Everything that a cluster holds, before and after, to show that nothing of others was touched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from vnode_suite.checks.clean import Difference
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.probes.discovery import Served, served

Json = dict[str, Any]

#: Kinds that change by themselves: heartbeats, leader election and what is written of what happened.
_RESTLESS = frozenset(
    {
        ("", "events"),
        ("events.k8s.io", "events"),
        ("coordination.k8s.io", "leases"),
        ("", "componentstatuses"),
    }
)
#: Where the suite makes what it makes.
_WORKED_IN = ("kube-system", "default", "kube-node-lease")
#: Endpoints and ConfigMaps on which components elect their leader say so in this annotation.
_ELECTION = "control-plane.alpha.kubernetes.io/leader"
#: Parts of an object that its server or a controller writes by itself.
_OWN_LIFE = ("resourceVersion", "managedFields", "generation", "selfLink")
#: Annotations and fields that controllers keep for themselves.
_CONTROLLER_ANNOTATIONS = ("deprecated.daemonset.template.generation", "node.alpha.kubernetes.io/ttl")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects by uid: ``(kind and name, content without what changes by itself)``.

    :ivar unseen: resources that the credential may not list, so that nothing of them is compared.
    :ivar served: what the server served when it was taken.
    :ivar holding: those of them that there was an object of.
    """

    objects: Mapping[str, tuple[str, str]]
    unseen: tuple[str, ...] = ()
    served: tuple[Served, ...] = ()
    holding: tuple[Served, ...] = ()


def dump(kube: KubeClient) -> Snapshot:
    """Every object of every resource that can be listed, in its group's preferred version.

    Where the credential may not list a resource in all namespaces, those are looked at in which the suite works.
    """
    everything = served(kube)
    return _taken(kube, [resource for resource in everything if _can_be_compared(resource)], everything)


def dump_again(kube: KubeClient, before: Snapshot) -> Snapshot:
    """As *before*, of what it had objects of: nothing else can have been changed or be gone since."""
    again = _taken(kube, before.holding, before.served)
    return replace(again, unseen=tuple(dict.fromkeys((*before.unseen, *again.unseen))))


def _taken(kube: KubeClient, resources: Sequence[Served], everything: tuple[Served, ...]) -> Snapshot:
    with ThreadPoolExecutor(8) as pool:
        listings = dict(zip(resources, pool.map(lambda one: _objects(kube, one), resources), strict=True))
    return Snapshot(
        {uid: entry for found in listings.values() if found for uid, entry in found.items()},
        tuple(
            f"{one.name} ({one.path.removeprefix('/apis/').removeprefix('/api/')})"
            for one, found in listings.items()
            if found is None
        ),
        everything,
        tuple(one for one, found in listings.items() if found),
    )


def _can_be_compared(resource: Served) -> bool:
    return (
        "list" in resource.verbs
        and "/" not in resource.name
        and (resource.group, resource.name) not in _RESTLESS
    )


def compare(before: Snapshot, after: Snapshot) -> Difference:
    """What became of the objects that were there before; new ones are somebody else's question."""
    changes: list[str] = []
    for uid, (name, content) in before.objects.items():
        now = after.objects.get(uid)
        if now is None:
            changes.append(f"{name}: gone")
        elif now[1] != content:
            changes.append(f"{name}: {_what_changed(content, now[1])}")
    return Difference(len(before.objects), tuple(changes))


def _listed(kube: KubeClient, resource: Served) -> list[Json] | None:
    path = resource.path
    places = [path, *(f"{path}/namespaces/{name}" for name in _WORKED_IN if resource.namespaced)]
    found: list[Json] | None = None
    for place in places:
        try:
            items = kube.list(f"{place}/{resource.name}")
        except KubeError:
            continue
        if place == path:
            return items
        found = [*(found or ()), *items]
    return found


def _objects(kube: KubeClient, resource: Served) -> dict[str, tuple[str, str]] | None:
    """Objects by uid; ``None`` where they may not be listed at all."""
    items = _listed(kube, resource)
    if items is None:
        return None
    found: dict[str, tuple[str, str]] = {}
    for item in items:
        meta = item["metadata"]
        owners = {owner.get("kind") for owner in meta.get("ownerReferences") or ()}
        if _ELECTION in (meta.get("annotations") or {}) or "DaemonSet" in owners:
            # A DaemonSet's Pods, and the history of its templates, are its controller's to replace.
            continue
        where = f"{meta['namespace']}/" if meta.get("namespace") else ""
        found[meta["uid"]] = (f"{item.get('kind') or resource.name} {where}{meta['name']}", _content(item))
    return found


def _content(item: Mapping[str, Any]) -> str:
    meta = {key: value for key, value in item["metadata"].items() if key not in _OWN_LIFE}
    annotations = {
        k: v for k, v in (meta.get("annotations") or {}).items() if k not in _CONTROLLER_ANNOTATIONS
    }
    meta["annotations"] = annotations
    rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    if item.get("kind") == "Node":
        rest.pop("spec", None)  # Taints of readiness come and go with heartbeats.
    if item.get("kind") == "ServiceAccount":
        rest.pop("secrets", None)  # The token controller's, up to 1.23.
    if item.get("aggregationRule"):
        rest.pop("rules", None)  # Put together from other roles by the aggregation controller.
    return json.dumps({"metadata": meta, **rest}, sort_keys=True)


def _what_changed(before: str, after: str) -> str:
    old, new = _flat(json.loads(before)), _flat(json.loads(after))
    keys = sorted({key for key in old.keys() | new.keys() if old.get(key) != new.get(key)})
    return f"changed at {', '.join(keys[:4])}"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            k: v
            for key, inner in value.items()
            for k, v in _flat(inner, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: json.dumps(value, sort_keys=True)}
