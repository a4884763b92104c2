"""Pods that a run puts on a VNode to see what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from vnode_suite.checks.sched import Annotated, Placed
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.model import Evidence, Observation, Source

Json = dict[str, Any]
#: Label and taint of a VNode, as the page "schedule Pods to a VNode" documents them.
VNODE_KEY = "k8s.aliyun.com/vnode"
INSTANCE_ANNOTATION = "k8s.aliyun.com/eci-instance-id"


def vnode_pod(
    name: str,
    run_id: str,
    *,
    selector: bool = False,
    tolerates: bool = True,
    node_name: str = "",
    pinned: str = "",
) -> Json:
    """A Pod for a VNode: by nodeSelector and toleration, or by nodeName.

    :param pinned: with *selector*, the host name of the one VNode meant among several.
    """
    spec: Json = {
        "containers": [{"name": "probe", "image": "registry.k8s.io/pause:3.9"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    if selector:
        spec["nodeSelector"] = {VNODE_KEY: "true"}
        if pinned:
            spec["nodeSelector"]["kubernetes.io/hostname"] = pinned
        if tolerates:
            spec["tolerations"] = [
                {"key": VNODE_KEY, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
            ]
    if node_name:
        spec["nodeName"] = node_name
    labels = {"app.kubernetes.io/managed-by": "vnode-suite", "vnode-suite/run": run_id}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": spec,
    }


def phase(pod: Mapping[str, Any] | None) -> str:
    """A Pod's phase; ``absent`` where there is none."""
    return str((pod or {}).get("status", {}).get("phase", "Pending")) if pod else "absent"


def await_running(kube: KubeClient, pod: str, node: str, *, deadline_seconds: float) -> Observation[Placed]:
    """What became of *pod*, in namespace default, once it runs on *node* or its time is up."""
    path = f"/api/v1/namespaces/default/pods/{pod}"
    seen: dict[str, Json | None] = {"pod": None}

    def arrived(found: Json | None) -> bool:
        seen["pod"] = found
        return found is not None and phase(found) == "Running"

    # The check says what it saw instead.
    with suppress(DeadlineExceeded):
        kube.wait_for(
            path, arrived, deadline_seconds=deadline_seconds, what=f"the Pod {pod} to run on {node}"
        )
    found = seen["pod"] or {}
    bound = str(found.get("spec", {}).get("nodeName", ""))
    if phase(found) != "Running" and bound and not _exists(kube, bound):
        detail = "(that node does not exist)"
    else:
        detail = _why(found)
    evidence = Evidence(f"Pod {pod}", json.dumps(_shown(found), indent=1), "json")
    return Observation(
        Placed(pod, node, bound, phase(found or None), detail), Source.CLUSTER, evidence=(evidence,)
    )


def instance_annotation(kube: KubeClient, pod: str, *, deadline_seconds: float) -> Observation[Annotated]:
    """The instance id that the VNode writes on *pod*, waited for."""
    path = f"/api/v1/namespaces/default/pods/{pod}"
    seen: dict[str, Json | None] = {"pod": None}

    def written(found: Json | None) -> bool:
        seen["pod"] = found
        return bool(found and (found["metadata"].get("annotations") or {}).get(INSTANCE_ANNOTATION))

    # The check says that it is absent.
    with suppress(DeadlineExceeded):
        kube.wait_for(path, written, deadline_seconds=deadline_seconds, what=f"the annotation on {pod}")
    found = seen["pod"] or {}
    annotations = found.get("metadata", {}).get("annotations") or {}
    evidence = Evidence(f"annotations of {pod}", json.dumps(annotations, indent=1), "json")
    return Observation(
        Annotated(pod, phase(found or None), str(annotations.get(INSTANCE_ANNOTATION, ""))),
        Source.CLUSTER,
        evidence=(evidence,),
    )


def _exists(kube: KubeClient, node: str) -> bool:
    return kube.raw(f"/api/v1/nodes/{node}").status == 200


def _why(pod: Mapping[str, Any]) -> str:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("status") == "False" and condition.get("message"):
            return f"({condition['message']})"
    return ""


def _shown(pod: Mapping[str, Any]) -> Json:
    metadata = pod.get("metadata", {})
    return {
        "metadata": {key: metadata.get(key) for key in ("name", "namespace", "annotations")},
        "spec": {key: pod.get("spec", {}).get(key) for key in ("nodeName", "nodeSelector", "tolerations")},
        "status": {key: pod.get("status", {}).get(key) for key in ("phase", "podIP", "hostIP", "conditions")},
    }
