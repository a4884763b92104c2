"""DaemonSets and where their Pods are bound."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vnode_suite.checks.ds import EXCLUSION_TERM, Bound, Coverage, Strays, Terms, excludes_vnodes
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.documents import dump_yaml
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.model import Evidence, Observation, Source

Json = dict[str, Any]


def required_terms(daemonset: Mapping[str, Any]) -> tuple[Json, ...]:
    """The nodeSelectorTerms of a DaemonSet's required node affinity; empty where it has none."""
    spec = daemonset["spec"]["template"]["spec"]
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return tuple(required.get("nodeSelectorTerms") or ())


def excluding(terms: Sequence[Mapping[str, Any]]) -> list[Json]:
    """*terms* with VNodes kept out of each; one new term where there were none. Idempotent."""
    if not terms:
        return [json.loads(json.dumps(EXCLUSION_TERM))]
    return [
        dict(term)
        if excludes_vnodes(term)
        else {
            **term,
            "matchExpressions": [*(term.get("matchExpressions") or ()), *EXCLUSION_TERM["matchExpressions"]],
        }
        for term in terms
    ]


def affinity_patch(terms: Sequence[Mapping[str, Any]] | None) -> Json:
    """A merge patch that makes *terms* a DaemonSet's required node affinity; ``None`` takes it away."""
    required = {"nodeSelectorTerms": list(terms)} if terms else None
    return {
        "spec": {
            "template": {
                "spec": {
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
                }
            }
        }
    }


def restoring_patch(daemonset: Mapping[str, Any]) -> Json:
    """A merge patch that gives a DaemonSet the affinity back that it has now, without a trace of another."""
    affinity = daemonset["spec"]["template"]["spec"].get("affinity")
    if affinity is None:
        return {"spec": {"template": {"spec": {"affinity": None}}}}
    if "nodeAffinity" not in affinity:
        return {"spec": {"template": {"spec": {"affinity": {"nodeAffinity": None}}}}}
    return affinity_patch(required_terms(daemonset) or None)


def path_of(namespace: str, name: str) -> str:
    """A DaemonSet's path."""
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"


def template_terms(kube: KubeClient, namespace: str, name: str) -> Observation[Terms]:
    """A DaemonSet's affinity terms as they stand."""
    daemonset = kube.get(path_of(namespace, name))
    terms = required_terms(daemonset)
    shown = dump_yaml([dict(term) for term in terms])
    return Observation(
        Terms(f"{namespace}/{name}", terms),
        Source.CLUSTER,
        evidence=(Evidence("nodeSelectorTerms", shown, "yaml"),),
    )


def settled(kube: KubeClient, namespace: str, name: str, *, deadline_seconds: float) -> Json:
    """The DaemonSet once its controller has acted on its newest template, for every node that is there now."""

    def done(found: Json | None) -> Json | None:
        if found is None:
            return None
        status = found.get("status") or {}
        seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        return (
            found
            if seen and status.get("currentNumberScheduled", 0) >= status.get("desiredNumberScheduled", 0)
            else None
        )

    return dict(
        kube.wait_for(
            path_of(namespace, name),
            done,
            deadline_seconds=deadline_seconds,
            what=f"the DaemonSet {namespace}/{name} to be acted on",
        )
    )


def pods_of(kube: KubeClient, namespace: str, name: str) -> list[Json]:
    """The Pods that a DaemonSet owns and that are not going away."""
    return _owned(kube.list(f"/api/v1/namespaces/{namespace}/pods"), name)


def _owned(pods: Iterable[Json], name: str) -> list[Json]:
    return [pod for pod in pods if owner_of(pod) == name and not pod["metadata"].get("deletionTimestamp")]


def owner_of(pod: Mapping[str, Any]) -> str | None:
    """Name of the DaemonSet that owns a Pod, or ``None``."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "DaemonSet":
            return str(owner["name"])
    return None


def bound_node(pod: Mapping[str, Any]) -> str:
    """The node a DaemonSet's Pod is bound to, or meant for by its controller; empty where neither."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def bound_to(kube: KubeClient, namespace: str, name: str, node: str) -> Observation[Bound]:
    """Which Pods of a DaemonSet are bound to *node*, or made for it alone."""
    pods = pods_of(kube, namespace, name)
    here = tuple(sorted(pod["metadata"]["name"] for pod in pods if bound_node(pod) == node))
    rows = [
        f"{pod['metadata']['name']} -> {bound_node(pod)} ({pod.get('status', {}).get('phase')})"
        for pod in pods
    ]
    return Observation(
        Bound(f"{namespace}/{name}", node, here),
        Source.CLUSTER,
        evidence=(Evidence("Pods by node", "\n".join(rows)),),
    )


def coverage(
    kube: KubeClient,
    namespace: str,
    name: str,
    ordinary: Sequence[str],
    *,
    running: bool,
    deadline_seconds: float,
) -> Observation[Coverage]:
    """Which of the *ordinary* nodes have a Pod of the DaemonSet: bound, or running on real nodes.

    :param deadline_seconds: what a kubelet may take to start the Pods of a new template.
    """

    def counts(pod: Json) -> bool:
        return not running or pod.get("status", {}).get("phase") == "Running"

    if running:
        with suppress(DeadlineExceeded):
            kube.wait_for_list(
                f"/api/v1/namespaces/{namespace}/pods",
                lambda pods: (
                    set(ordinary) <= {bound_node(p) for p in _owned(pods, name) if counts(p)} or None
                ),
                deadline_seconds=deadline_seconds,
                what=f"Pods of the DaemonSet {namespace}/{name} to run",
            )
    covered = {bound_node(pod) for pod in pods_of(kube, namespace, name) if counts(pod)}
    value = Coverage(
        f"{namespace}/{name}", tuple(ordinary), tuple(sorted(covered)), "running" if running else "bound"
    )
    return Observation(value, Source.CLUSTER)


def strays(
    kube: KubeClient, node: str, *, known: frozenset[tuple[str, str]], deadline_seconds: float
) -> Observation[Strays]:
    """Other DaemonSets with a Pod on *node*, each with the patch that keeps it off.

    :param known: namespace and name of DaemonSets that are judged elsewhere (kube-proxy).
    :param deadline_seconds: what the controller may take to place the Pods of those that nothing keeps off.
    """
    daemonsets = {
        (d["metadata"]["namespace"], d["metadata"]["name"]): d for d in kube.list("/apis/apps/v1/daemonsets")
    }
    labels = kube.get(f"/api/v1/nodes/{node}")["metadata"].get("labels") or {}
    coming = {key for key, each in daemonsets.items() if key not in known and nothing_keeps_off(each, labels)}
    # A controller that has not come to a new node yet looks like one that leaves it alone.
    with suppress(DeadlineExceeded):
        kube.wait_for_list(
            "/api/v1/pods",
            lambda pods: coming <= {_owner_key(pod) for pod in pods if bound_node(pod) == node} or None,
            deadline_seconds=deadline_seconds,
            what=f"DaemonSets to place their Pods on {node}",
        )
    found: dict[tuple[str, str], str] = {}
    for pod in kube.list("/api/v1/pods"):
        key = _owner_key(pod)
        if key not in known and key in daemonsets and bound_node(pod) == node:
            patch = affinity_patch(excluding(required_terms(daemonsets[key])))
            found[key] = (
                f"kubectl -n {key[0]} patch daemonset {key[1]} --type merge "
                f"-p '{json.dumps(patch, separators=(',', ':'))}'"
            )
    value = Strays(
        node, tuple((f"{ns}/{name}", patch) for (ns, name), patch in sorted(found.items())), len(daemonsets)
    )
    return Observation(value, Source.CLUSTER)


def nothing_keeps_off(daemonset: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a DaemonSet is sure to have a Pod on a node with *labels*, whatever its taints: the plain case alone.

    That is a toleration of everything, no required affinity, and a node selector that the node fits.
    """
    spec = daemonset["spec"]["template"]["spec"]
    tolerates = any(
        each.get("operator") == "Exists" and not each.get("key") and not each.get("effect")
        for each in spec.get("tolerations") or ()
    )
    selector = spec.get("nodeSelector") or {}
    return tolerates and not required_terms(daemonset) and selector.items() <= dict(labels).items()


def _owner_key(pod: Mapping[str, Any]) -> tuple[str, str]:
    return str(pod["metadata"]["namespace"]), owner_of(pod) or ""
