"""SCHED: Pods that the suite puts on the VNode."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict

from vnode_suite.checks.sched import Annotated, Instance, Placed
from vnode_suite.clusters.existing import ECI_PROFILE_GROUP
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes import pods


def _pod_took(subject: Subject) -> float | None:
    """Seconds that a Pod of the VNode under test took to run."""
    running = subject.sound.outcome(subject.sound.pod).product if subject.sound is not None else None
    return running.seconds if running else None


def _run(subject: Subject, pod: str, node: str, *absent: str) -> Observation[Placed]:
    """Whether *pod* comes to run on *node*, by a check that says one of *absent* where it does not."""
    # A scheduler that has no place for a Pod says so: nothing of the sound one's time is to be waited for then.
    took = {"pod-not-running": _pod_took(subject)}
    waits = [subject.absence_seconds("pod-running", absent=why, took=took.get(why)) for why in absent]
    return pods.await_running(
        subject.world.kube,
        pod,
        node,
        deadline_seconds=subject.cell.seconds("pod-running"),
        absent_seconds=next((wait for wait in waits if wait is not None), None),
    )


def by_selector(subject: Subject) -> Observation[Placed]:
    """A Pod with the nodeSelector and (unless that is the defect) the toleration."""
    node = subject.schedulable()
    # Several VNodes may be there at once; the host name says which of them is meant.
    pod = subject.make_pod(selector=True, tolerates=not subject.has("pod-without-toleration"), pinned=node)
    return _run(subject, pod, node, "pod-not-bound", "pod-not-running")


def by_name(subject: Subject) -> Observation[Placed]:
    """A Pod with nodeName."""
    subject.ready()
    node = subject.node().name
    named = f"{node}-missing" if subject.has("pod-names-missing-node") else node
    pod = subject.make_pod(node_name=named)
    return _run(subject, pod, named, "pod-not-running")


def by_policy(subject: Subject) -> Observation[Placed]:
    """A Pod without toleration that a Selector of the suite's own matches: only eci-profile can let it in."""
    api, namespaced = _selector_api(subject)
    node = subject.schedulable()
    name = f"vnode-suite-{subject.cell.run.id}-{secrets.token_hex(3)}"
    label = {"vnode-suite/selector": name}
    body = {
        "apiVersion": api,
        "kind": "Selector",
        "metadata": {
            "name": name,
            "labels": subject.cell.naming.labels,
            **({"namespace": "default"} if namespaced else {}),
        },
        # Complete: an effect or a policy that is missing was seen to stop the component.
        "spec": {
            "objectLabels": {"matchLabels": label},
            "effect": {"annotations": {"vnode-suite/selected": name}, "labels": {}},
            "policy": {"virtualNodeOnly": {}},
        },
    }
    made = subject.cell.making.ensure(body)
    try:
        unmatched = subject.has("pod-does-not-match-selector")
        pod = subject.make_pod(pinned=node, labels={} if unmatched else label)
        seen = _run(subject, pod, node, "pod-not-on-vnode")
    finally:
        subject.cell.making.remove(made.object)
    shown = Evidence("Selector", json.dumps(body["spec"], indent=1), "json")
    return Observation(seen.value, seen.source, evidence=(*seen.evidence, shown))


def _selector_api(subject: Subject) -> tuple[str, bool]:
    """The API version that Selectors are served in, and whether they live in a namespace: releases differ."""
    kube = subject.world.kube
    if kube.raw(f"/apis/{ECI_PROFILE_GROUP}").status == 200:
        version = kube.get(f"/apis/{ECI_PROFILE_GROUP}")["preferredVersion"]["groupVersion"]
        for resource in kube.get(f"/apis/{version}")["resources"]:
            if resource["name"] == "selectors":
                return str(version), bool(resource["namespaced"])
    detail = Text("eci-profile is not deployed on this cluster", "该集群未部署 eci-profile")
    raise StepNotReached(Unreached("eci-profile", "not-deployed", detail))


def annotated(subject: Subject) -> Observation[Annotated]:
    """The instance id that the VNode writes on a Pod it runs."""
    if subject.fresh:
        # A defect of the whole cell's rights: only a Pod that comes under it can tell.
        subject.ready()
        name = subject.make_pod(node_name=subject.node().name)
    else:
        name = subject.pod().name
    sound = subject.sound.observe(annotated).value if subject.sound is not None else None
    took = sound.seconds_after_running if sound is not None else None
    return pods.instance_annotation(
        subject.world.kube,
        name,
        deadline_seconds=subject.cell.seconds("annotation-written"),
        absent_seconds=subject.absence_seconds("annotation-written", absent="annotation-absent", took=took),
    )


def instance(subject: Subject) -> Observation[Instance]:
    """The instance that the annotation of a Pod names, as DescribeContainerGroups has it."""
    seen = annotated(subject)
    name = "eci-unknown-to-all" if subject.has("unknown-instance") else seen.value.instance_id
    if not name:
        detail = Text(f"{seen.value.pod} names no instance", f"{seen.value.pod} 没有实例 ID")
        raise StepNotReached(Unreached("pod", "annotation-absent", detail))
    request = subject.vnode().request
    found = next((g for g in subject.world.cloud.client.describe_container_groups([name])), None)
    group, vswitch = (found.security_group_id, found.vswitch_id) if found else ("", "")
    asked = vswitch if vswitch in request.vswitch_ids else request.vswitch_ids[0]
    shown = json.dumps(asdict(found), indent=1) if found else "not listed"
    return Observation(
        Instance(name, found.status if found else "", (request.security_group_id, group), (asked, vswitch)),
        Source.CLOUD,
        evidence=(Evidence("DescribeContainerGroups", shown, "json" if found else "text"),),
    )


def reached(subject: Subject) -> Observation[tuple[tuple[str, bool], ...]]:
    """What a Pod on the VNode reaches, as it says itself in its log."""
    subject.ready()
    kube, cell = subject.world.kube, subject.cell
    body = pods.reaching_pod(
        f"vnode-suite-{cell.run.id}-{secrets.token_hex(3)}",
        cell.run.id,
        node_name=subject.node().name,
        cluster_ip=kube.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"],
        domain=cell.run.settings.cloud.cluster_domain or "cluster.local",
        other_pod=pods.dns_pod_address(kube),
        taints=cell.run.settings.cloud.taints,
    )
    cell.making.ensure(body)
    path = f"/api/v1/namespaces/default/pods/{body['metadata']['name']}"
    try:
        kube.wait_for(
            path,
            lambda found: pods.phase(found) in ("Succeeded", "Failed"),
            deadline_seconds=cell.seconds("pod-running") + pods.REACHING_SECONDS,
            what=f"{body['metadata']['name']} to end",
        )
    except DeadlineExceeded as late:
        # It looks and ends by itself: one that does not has said nothing.
        raise StepNotReached(Unreached("pod", "did-not-end", Text(str(late), str(late)))) from None
    said = kube.raw(f"{path}/log").text
    return Observation(pods.reached(said), Source.NETWORK, evidence=(Evidence("log of the Pod", said),))
