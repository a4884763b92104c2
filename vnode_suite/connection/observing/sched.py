"""SCHED: Pods that the suite puts on the VNode."""

from __future__ import annotations

from vnode_suite.checks.sched import Annotated, Placed
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Observation, Text, Unreached
from vnode_suite.probes import pods


def _pod_took(subject: Subject) -> float | None:
    """Seconds that a Pod of the VNode under test took to run."""
    running = subject.sound.outcome(subject.sound.pod).product if subject.sound is not None else None
    return running.seconds if running else None


def _patience(subject: Subject, absent: str) -> float:
    return subject.seconds("pod-running", absent=absent, took=_pod_took(subject))


def by_selector(subject: Subject) -> Observation[Placed]:
    """A Pod with the nodeSelector and (unless that is the defect) the toleration."""
    node = subject.schedulable()
    # Several VNodes may be there at once; the host name says which of them is meant.
    pod = subject.make_pod(selector=True, tolerates=not subject.has("pod-without-toleration"), pinned=node)
    patience = min(_patience(subject, "pod-not-bound"), _patience(subject, "pod-not-running"))
    return pods.await_running(subject.world.kube, pod, node, deadline_seconds=patience)


def by_name(subject: Subject) -> Observation[Placed]:
    """A Pod with nodeName."""
    subject.ready()
    node = subject.node().name
    named = f"{node}-missing" if subject.has("pod-names-missing-node") else node
    pod = subject.make_pod(node_name=named)
    patience = _patience(subject, "pod-not-running")
    return pods.await_running(subject.world.kube, pod, named, deadline_seconds=patience)


def by_policy(subject: Subject) -> Observation[Placed]:
    """A Pod that an eci-profile Selector matches: only where the user has eci-profile deployed."""
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
    return pods.instance_annotation(
        subject.world.kube,
        name,
        deadline_seconds=subject.seconds(
            "annotation-written", absent="annotation-absent", took=_pod_took(subject)
        ),
    )
