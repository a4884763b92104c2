"""PORT: the VNode's ports through the eyes of every API server."""

from __future__ import annotations

import dataclasses

from vnode_suite.checks.port import Answer, predicted
from vnode_suite.clusters.kube import KubeUnreachable
from vnode_suite.clusters.members import api_servers
from vnode_suite.connection.observing.param import from_api_servers
from vnode_suite.connection.observing.pre import needs_a_way_back
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes.ports import port_answer


def of_10250(subject: Subject) -> Observation[Answer]:
    """TCP 10250: node proxy, and the logs of a Pod where one runs."""
    node = subject.node().name
    needs_a_way_back(subject)
    pod = subject.outcome(subject.pod) if subject.under_test else None
    with api_servers(subject.world.cluster) as servers:
        seen = port_answer(
            servers,
            node,
            10250,
            timeout_seconds=subject.cell.seconds("port-answer"),
            pod=("default", pod.product.name) if pod is not None and pod.product else None,
        )
    return _beside_the_rules(subject, seen)


def _beside_the_rules(subject: Subject, seen: Observation[Answer]) -> Observation[Answer]:
    """*seen* with what the security group's rules, as PARAM-07 reads them, say of the same port."""
    rules = subject.outcome(lambda: (subject.sound or subject).observe(from_api_servers))
    if rules.product is None:
        return seen
    inbound = rules.product.value
    told = predicted(inbound, seen.value.port)
    lines = "\n".join(f"{source} {f'not admitted: {why}' if why else 'admitted'}" for source, why in told)
    evidence = Evidence(f"TCP {seen.value.port} by the rules of {inbound.group}", lines)
    return dataclasses.replace(
        seen,
        value=dataclasses.replace(seen.value, predicted=told),
        evidence=(*seen.evidence, evidence),
    )


def of_10255(subject: Subject) -> Observation[Answer]:
    """TCP 10255: node proxy."""
    cloud = subject.world.cloud
    if cloud.network == "loopback":
        detail = Text(
            f"the API server refuses loopback addresses for 10255, and there are no namespaces: {cloud.network_reason}",
            f"API Server 拒绝通过回环地址访问 10255,且无法使用网络命名空间:{cloud.network_reason}",
        )
        raise StepNotReached(Unreached("vpc", "no-namespaces", detail))
    needs_a_way_back(subject)
    node = subject.node().name
    with api_servers(subject.world.cluster) as servers:
        seen = port_answer(servers, node, 10255, timeout_seconds=subject.cell.seconds("port-answer"))
    return _beside_the_rules(subject, seen)


def streams(subject: Subject) -> Observation[Answer]:
    """exec, attach and port-forward: asked without upgrading, so that only the way there is seen."""
    pod, kube = subject.pod().name, subject.world.kube
    needs_a_way_back(subject)
    base = f"/api/v1/namespaces/default/pods/{pod}"
    ways: list[tuple[str, str]] = []
    for name, path in (
        ("exec", "/exec?command=true&stdout=true"),
        ("attach", "/attach?stdout=true"),
        ("port-forward", "/portforward"),
    ):
        try:
            answer = kube.raw(f"{base}{path}", "POST", timeout_seconds=subject.cell.seconds("port-answer"))
        except KubeUnreachable as silent:
            # The API server itself waits for the VNode.
            ways.append((name, silent.detail))
        else:
            ways.append((name, "" if answer.status < 400 else f"HTTP {answer.status}"))
    return Observation(Answer(10250, tuple(ways)), Source.NETWORK)
