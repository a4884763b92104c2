"""Pods that a run puts on a VNode to see what becomes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from vnode_suite.checks.sched import Annotated, Placed
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.model import Evidence, Observation, Source

Json = dict[str, Any]
#: Label and taint of a VNode, as the page "schedule Pods to a VNode" documents them.
VNODE_KEY = "k8s.aliyun.com/vnode"
HOST_KEY = "kubernetes.io/hostname"
INSTANCE_ANNOTATION = "k8s.aliyun.com/eci-instance-id"


def vnode_pod(
    name: str,
    run_id: str,
    *,
    selector: bool = False,
    tolerates: bool = True,
    node_name: str = "",
    pinned: str = "",
    labels: Mapping[str, str] | None = None,
    taints: Iterable[tuple[str, str, str]] = (),
) -> Json:
    """A Pod for a VNode: by nodeSelector and toleration, or by nodeName.

    :param pinned: the host name of the one VNode meant among several.
    :param labels: beside the suite's own.
    :param taints: key, value and effect of those that the VNode was given besides its own: tolerated always, since
        it is not by them that a Pod is to be kept off.
    """
    tolerated = [*taints, *([(VNODE_KEY, "true", "NoSchedule")] if selector and tolerates else [])]
    spec: Json = {
        "containers": [{"name": "probe", "image": "registry.k8s.io/pause:3.9"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    wanted = ({VNODE_KEY: "true"} if selector else {}) | ({HOST_KEY: pinned} if pinned else {})
    if wanted:
        spec["nodeSelector"] = wanted
    if tolerated:
        spec["tolerations"] = [
            {"key": key, "operator": "Equal", "value": value, "effect": effect}
            for key, value, effect in tolerated
        ]
    if node_name:
        spec["nodeName"] = node_name
    ours = {"app.kubernetes.io/managed-by": "vnode-suite", "vnode-suite/run": run_id}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {**(labels or {}), **ours}},
        "spec": spec,
    }


#: Has a shell; the vendor's own public image, near every region (used throughout its documents of ECI).
_SHELL_IMAGE = "registry.cn-hangzhou.aliyuncs.com/eci_open/busybox:1.30"
_TRY_SECONDS = 3
#: What :func:`reaching_pod` takes at most once it runs, in seconds.
REACHING_SECONDS = 15.0


def reaching_pod(
    name: str,
    run_id: str,
    *,
    node_name: str,
    cluster_ip: str,
    domain: str,
    other_pod: str,
    taints: Iterable[tuple[str, str, str]] = (),
) -> Json:
    """A Pod that tries what it can reach, writes a line on each to its log, and ends.

    :param cluster_ip: of the Service ``kubernetes``, port 443.
    :param other_pod: address of another Pod that answers on TCP 53; empty where there is none.
    """
    dial = f"nc -w {_TRY_SECONDS} -z"
    tries = {
        "cluster DNS": f"nslookup kubernetes.default.svc.{domain}",
        "a ClusterIP": f"{dial} {cluster_ip} 443",
    }
    if other_pod:
        tries["another Pod"] = f"{dial} {other_pod} 53"
    # That it runs at all shows that its image could be pulled.
    tries["an image registry"] = "true"
    script = "; ".join(
        f"if {command} >/dev/null 2>&1; then echo '{what}: yes'; else echo '{what}: no'; fi"
        for what, command in tries.items()
    )
    pod = vnode_pod(name, run_id, node_name=node_name, taints=taints)
    pod["spec"]["containers"] = [{"name": "probe", "image": _SHELL_IMAGE, "command": ["sh", "-c", script]}]
    pod["spec"]["restartPolicy"] = "Never"
    return pod


def reached(log: str) -> tuple[tuple[str, bool], ...]:
    """What a Pod of :func:`reaching_pod` said in its *log*."""
    lines = (line.rpartition(": ") for line in log.splitlines())
    return tuple((what, answer == "yes") for what, _, answer in lines if answer in ("yes", "no"))


def dns_pod_address(kube: KubeClient) -> str:
    """Address of a Pod of the cluster's DNS; empty where none runs."""
    found = kube.list("/api/v1/namespaces/kube-system/pods", labelSelector="k8s-app=kube-dns")
    return next((str(p["status"]["podIP"]) for p in found if p["status"].get("podIP")), "")


def phase(pod: Mapping[str, Any] | None) -> str:
    """A Pod's phase; ``absent`` where there is none."""
    return str((pod or {}).get("status", {}).get("phase", "Pending")) if pod else "absent"


def await_running(
    kube: KubeClient, pod: str, node: str, *, deadline_seconds: float, absent_seconds: float | None = None
) -> Observation[Placed]:
    """What became of *pod*, in namespace default, once it runs on *node* or its time is up.

    :param absent_seconds: a Pod that is not expected to run is looked at for so long once it is known where it stands.
    """
    found = _watched(
        kube,
        pod,
        lambda seen: phase(seen) == "Running",
        known=_placed_or_not,
        deadline_seconds=deadline_seconds,
        absent_seconds=absent_seconds,
        what=f"the Pod {pod} to run on {node}",
    )
    bound = str(found.get("spec", {}).get("nodeName", ""))
    if phase(found) != "Running" and bound and not _exists(kube, bound):
        detail = "(that node does not exist)"
    else:
        detail = _why(found)
    evidence = Evidence(f"Pod {pod}", json.dumps(_shown(found), indent=1), "json")
    return Observation(
        Placed(pod, node, bound, phase(found or None), detail), Source.CLUSTER, evidence=(evidence,)
    )


def instance_annotation(
    kube: KubeClient, pod: str, *, deadline_seconds: float, absent_seconds: float | None = None
) -> Observation[Annotated]:
    """The instance id that the VNode writes on *pod*, waited for.

    :param absent_seconds: one that is not expected is looked for so long once the Pod runs.
    """
    ran: list[float] = []

    def runs(seen: Json) -> bool:
        if phase(seen) == "Running" and not ran:
            ran.append(time.monotonic())
        return bool(ran)

    def written(seen: Json) -> bool:
        runs(seen)
        return bool((seen["metadata"].get("annotations") or {}).get(INSTANCE_ANNOTATION))

    found = _watched(
        kube,
        pod,
        written,
        known=runs,
        deadline_seconds=deadline_seconds,
        absent_seconds=absent_seconds,
        what=f"the annotation on {pod}",
    )
    annotations = found.get("metadata", {}).get("annotations") or {}
    evidence = Evidence(f"annotations of {pod}", json.dumps(annotations, indent=1), "json")
    return Observation(
        Annotated(
            pod,
            phase(found or None),
            str(annotations.get(INSTANCE_ANNOTATION, "")),
            seconds_after_running=time.monotonic() - ran[0] if ran else 0.0,
        ),
        Source.CLUSTER,
        evidence=(evidence,),
    )


def _watched(
    kube: KubeClient,
    pod: str,
    arrived: Callable[[Json], bool],
    *,
    known: Callable[[Json], bool],
    deadline_seconds: float,
    absent_seconds: float | None,
    what: str,
) -> Json:
    """*pod* as it was seen last, when it had *arrived* or its time was up; empty where it is gone.

    :param absent_seconds: what is not expected to come is waited for so long once so much is *known* that it could.
    """
    path = f"/api/v1/namespaces/default/pods/{pod}"
    seen: Json = {}

    def look(until: Callable[[Json], bool]) -> Callable[[Json | None], bool]:
        def one(found: Json | None) -> bool:
            nonlocal seen
            seen = found or {}
            return found is not None and until(found)

        return one

    # The check says what was seen instead.
    with suppress(DeadlineExceeded):
        if absent_seconds is not None:
            either = look(lambda found: arrived(found) or known(found))
            kube.wait_for(path, either, deadline_seconds=deadline_seconds, what=what)
            deadline_seconds = absent_seconds
        kube.wait_for(path, look(arrived), deadline_seconds=deadline_seconds, what=what)
    return seen


def _placed_or_not(pod: Json) -> bool:
    """Whether it is bound, or the scheduler has said that it has no place for it."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return bool(pod.get("spec", {}).get("nodeName")) or any(c["type"] == "PodScheduled" for c in conditions)


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
