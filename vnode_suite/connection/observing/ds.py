"""DS: looking at kube-proxy's DaemonSet and at every other."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from vnode_suite.checks.ds import EXCLUSION_TERM, Bound, Coverage, Order, Reapplied, Strays, Terms
from vnode_suite.connection.looks import of_the_version
from vnode_suite.connection.standins import KubeProxy, kube_proxy
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes import daemonsets


def _proxy(subject: Subject) -> KubeProxy:
    """kube-proxy's DaemonSet; its clauses apply only where there is one, and one may vanish meanwhile."""
    proxy = subject.world.kube_proxy
    if proxy is None:
        detail = Text("the cluster has no kube-proxy DaemonSet", "集群中没有 kube-proxy DaemonSet")
        raise StepNotReached(Unreached("kube-proxy", "no-daemonset", detail))
    return proxy


def _settled(subject: Subject) -> tuple[str, str]:
    proxy = _proxy(subject)
    deadline = subject.cell.seconds("daemonset-settled")
    daemonsets.settled(subject.world.kube, proxy.namespace, proxy.name, deadline_seconds=deadline)
    return proxy.namespace, proxy.name


@of_the_version
def template(subject: Subject) -> Observation[Terms]:
    """kube-proxy's affinity terms, the exclusion applied."""
    subject.exclusion()
    proxy = _proxy(subject)
    return daemonsets.template_terms(subject.world.kube, proxy.namespace, proxy.name)


def kube_proxy_pods(subject: Subject) -> Observation[Bound]:
    """kube-proxy's Pods on the VNode."""
    node = subject.node().name
    return daemonsets.bound_to(subject.world.kube, *_settled(subject), node)


@of_the_version
def coverage(subject: Subject) -> Observation[Coverage]:
    """kube-proxy on the nodes that are no VNodes."""
    subject.exclusion()
    proxy = _proxy(subject)
    namespace, name = _settled(subject)
    return daemonsets.coverage(
        subject.world.kube,
        namespace,
        name,
        proxy.ordinary_nodes,
        running=proxy.runs,
        deadline_seconds=subject.cell.seconds("pod-running"),
    )


def strays(subject: Subject) -> Observation[Strays]:
    """Other DaemonSets with a Pod on the VNode."""
    proxy = subject.world.kube_proxy
    known = frozenset({(proxy.namespace, proxy.name)}) if proxy else frozenset()
    node, deadline = subject.node().name, subject.cell.seconds("daemonset-settled")
    return daemonsets.strays(subject.world.kube, node, known=known, deadline_seconds=deadline)


@of_the_version
def reapplied(subject: Subject) -> Observation[Reapplied]:
    """The exclusion applied twice to a DaemonSet of the suite's that has affinity of its own."""
    cell = subject.cell
    own: list[Mapping[str, Any]] = [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]},
        {"matchExpressions": [{"key": "vnode-suite/elsewhere", "operator": "Exists"}]},
    ]
    name = f"vnode-suite-{cell.run.id}-terms-{secrets.token_hex(3)}"
    body = kube_proxy(name)
    body["metadata"]["labels"] = {**body["metadata"]["labels"], **cell.naming.labels}
    # Nowhere to run: only its terms are looked at.
    body["spec"]["template"]["spec"]["nodeSelector"] = {"vnode-suite/nowhere": "true"}
    body["spec"]["template"]["spec"] |= daemonsets.affinity_patch(own)["spec"]["template"]["spec"]
    made = cell.making.ensure(body)
    path = daemonsets.path_of("kube-system", name)
    try:
        once = _apply(subject, path)
        twice = _apply(subject, path)
    finally:
        cell.making.remove(made.object)
    shown = json.dumps({"before": own, "once": once, "twice": twice}, indent=1)
    return Observation(
        Reapplied(tuple(own), once, twice), Source.CLUSTER, evidence=(Evidence("terms", shown, "json"),)
    )


def _apply(subject: Subject, path: str) -> tuple[Mapping[str, Any], ...]:
    kube = subject.world.kube
    there = daemonsets.required_terms(kube.get(path))
    terms = daemonsets.excluding(() if subject.has("exclusion-replaces-terms") else there)
    if subject.has("exclusion-not-idempotent"):
        terms = [
            {**t, "matchExpressions": [*t["matchExpressions"], *EXCLUSION_TERM["matchExpressions"]]}
            for t in there
        ]
    return daemonsets.required_terms(kube.patch(path, daemonsets.affinity_patch(terms)))


def phases(subject: Subject) -> Observation[tuple[tuple[str, str], ...]]:
    """DaemonSet Pods on the VNode and their phases."""
    node = subject.node().name
    found = [
        (p["metadata"]["name"], p.get("status", {}).get("phase", ""))
        for p in subject.world.kube.list("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        if daemonsets.owner_of(p)
    ]
    return Observation(tuple(found), Source.CLUSTER)


def order(subject: Subject) -> Observation[Order]:
    """When the exclusion was in place, against when the Node appeared."""
    joined, created, applied = subject.node(), subject.vnode(), subject.exclusion()
    after = None if applied.at is None else applied.at - (created.called_at + joined.seconds)
    return Observation(Order(after), Source.CLUSTER)
