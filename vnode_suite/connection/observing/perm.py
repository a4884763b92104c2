"""PERM: asking the API server what the VNode's identity may do, and really doing it where a clause says so."""

from __future__ import annotations

import secrets
from typing import Any

from vnode_suite.access.rights import CERTIFICATES_GROUP
from vnode_suite.checks.perm import Exercised, Rights, Sweep
from vnode_suite.clusters.kube import AccessRequest, KubeClient
from vnode_suite.connection.steps import Outcome
from vnode_suite.connection.subject import Subject
from vnode_suite.data.minimums import minimum_rules
from vnode_suite.model import Identity, Observation
from vnode_suite.probes import rights

#: Where a namespaced right is looked for in the sweep: a right at cluster scope holds in each.
_NAMESPACES = ("kube-system", "default")


def _ask(subject: Subject, requests: list[AccessRequest], source: str) -> Observation[Rights]:
    user, groups = subject.who()
    return rights.ask(subject.world.kube, requests, user=user, groups=groups, source=source)


def role(subject: Subject, name: str) -> Observation[Rights]:
    """Every right of the server's own ClusterRole *name*, and of the frozen minimum of its minor."""
    user, groups = subject.who()
    granted = rights.requests_of(rights.role_rules(subject.world.kube, name))
    minimum = rights.requests_of(minimum_rules(subject.world.version.minor, name))
    covered = set(granted)
    below = tuple(str(request) for request in minimum if request not in covered)
    asked = tuple(dict.fromkeys((*granted, *minimum)))
    return rights.ask(
        subject.world.kube,
        asked,
        user=user,
        groups=groups,
        source=f"ClusterRole {name}",
        below_minimum=below,
        client=subject.outcome(subject.client).product,
    )


def node_rights(subject: Subject) -> Observation[Rights]:
    """The rights of ``system:node``."""
    return role(subject, "system:node")


def proxier_rights(subject: Subject) -> Observation[Rights]:
    """The rights of ``system:node-proxier``."""
    return role(subject, "system:node-proxier")


def nodeclient(subject: Subject) -> Observation[Rights]:
    """CSRs under ``nodeclient``, for the bootstrap identity."""
    generated = subject.identity()
    asked = AccessRequest("create", "certificatesigningrequests", CERTIFICATES_GROUP, "nodeclient")
    groups = (*generated.groups, "system:authenticated")
    return rights.ask(
        subject.world.kube, [asked], user=generated.username, groups=groups, source="nodeclient"
    )


def selfnodeclient(subject: Subject) -> Observation[Rights]:
    """CSRs under ``selfnodeclient``, for the certificate identity."""
    asked = AccessRequest("create", "certificatesigningrequests", CERTIFICATES_GROUP, "selfnodeclient")
    return _ask(subject, [asked], "selfnodeclient")


def pods(subject: Subject) -> Observation[Exercised]:
    """Pods: update and patch, by review and on a Pod that is bound to the VNode."""
    reviewed = _ask(
        subject, [AccessRequest("update", "pods"), AccessRequest("patch", "pods")], "pods update and patch"
    )
    holder = subject.sound or subject
    if subject.reviewed_only or _denied_before(reviewed, holder.outcome(holder.pod)):
        return rights.reviewed_alone(reviewed)
    path = f"/api/v1/namespaces/default/pods/{holder.pod().name}"
    return rights.exercise(reviewed, subject.client(), path, marker=secrets.token_hex(4))


def _denied_before(reviewed: Observation[Rights], step: Outcome[Any]) -> bool:
    """Whether nothing is allowed and the *step* before really doing it was not reached: the denial stands without."""
    return not step.reached and not any(answer.allowed for answer in reviewed.value.answers)


def claims(subject: Subject) -> Observation[Exercised]:
    """PersistentVolumeClaims: update and patch, by review and on a claim of the suite's."""
    reviewed = _ask(
        subject,
        [AccessRequest(verb, "persistentvolumeclaims") for verb in ("update", "patch")],
        "persistentvolumeclaims update and patch",
    )
    if subject.reviewed_only or _denied_before(reviewed, subject.outcome(subject.node)):
        return rights.reviewed_alone(reviewed)
    subject.node()
    name = f"vnode-suite-{subject.cell.run.id}-{secrets.token_hex(3)}"
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default", "labels": subject.cell.naming.labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": "",
        },
    }
    made = subject.cell.making.ensure(body)
    try:
        path = f"/api/v1/namespaces/default/persistentvolumeclaims/{name}"
        return rights.exercise(reviewed, subject.client(), path, marker=secrets.token_hex(4))
    finally:
        subject.cell.making.remove(made.object)


def endpoints(subject: Subject) -> Observation[Exercised]:
    """Endpoints: create and update, by review and by holding a lock of the suite's (1.13)."""
    reviewed = _ask(
        subject,
        [AccessRequest(verb, "endpoints") for verb in ("create", "update")],
        "endpoints create and update",
    )
    if subject.reviewed_only:
        return rights.reviewed_alone(reviewed)
    name = f"vnode-suite-{subject.cell.run.id}-{secrets.token_hex(3)}"
    body = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name, "namespace": "kube-system", "labels": subject.cell.naming.labels},
    }
    entry = subject.cell.making.announce(body)
    collection = "/api/v1/namespaces/kube-system/endpoints"
    seen = rights.exercise_creation(reviewed, subject.client(), collection, body)
    subject.cell.making.remove(body)
    if entry is not None:
        entry.undone()
    return seen


def endpoints_granted(subject: Subject) -> Observation[Rights]:
    """Whether the endpoints rights are granted although nothing needs them."""
    return _ask(subject, [AccessRequest(verb, "endpoints") for verb in ("create", "update")], "endpoints")


def sweep(subject: Subject) -> Observation[Sweep]:
    """Every verb of every resource that the server serves, less the table and what everyone may do."""
    kube = subject.world.kube
    user, groups = subject.who()
    granted = list(rights.requests_of(rights.role_rules(kube, "system:node")))
    granted += rights.requests_of(rights.role_rules(kube, "system:node-proxier"))
    granted += [
        AccessRequest("create", "certificatesigningrequests", CERTIFICATES_GROUP, sub)
        for sub in ("nodeclient", "selfnodeclient")
    ]
    granted += [
        AccessRequest(verb, what)
        for what in ("pods", "persistentvolumeclaims")
        for verb in ("update", "patch")
    ]
    if subject.world.version.facts.endpoints_right_needed:
        granted += [AccessRequest(verb, "endpoints") for verb in ("create", "update")]
    everyone = ["system:authenticated"]
    if subject.identity_kind is Identity.SERVICEACCOUNT:
        everyone += ["system:serviceaccounts", "system:serviceaccounts:kube-system"]
    questions = subject.world.questions(_NAMESPACES)
    # Without a certificate nobody can ask for its rules; each question is put to the server for it instead.
    credential = subject.outcome(subject.client).product
    return rights.sweep(
        kube, credential, questions, user=user, groups=groups, granted=granted, everyone=everyone
    )


def token_sweep(subject: Subject) -> Observation[Sweep]:
    """What the bootstrap token may do beyond asking for a certificate."""
    generated = subject.identity()
    verbs = ("create", "get", "list", "watch")
    granted = [AccessRequest(verb, "certificatesigningrequests", CERTIFICATES_GROUP) for verb in verbs]
    granted.append(AccessRequest("create", "certificatesigningrequests", CERTIFICATES_GROUP, "nodeclient"))
    with KubeClient.from_kubeconfig_text(generated.kubeconfig.reveal()) as client:
        return rights.sweep(
            subject.world.kube,
            client,
            subject.world.questions(_NAMESPACES),
            user=generated.username,
            groups=(*generated.groups, "system:authenticated"),
            granted=granted,
            everyone=["system:authenticated"],
        )


def opened(subject: Subject) -> Observation[Rights]:
    """What binding ``system:node`` by RBAC opens across the cluster."""
    asked = [
        AccessRequest(verb, what) for what in ("secrets", "configmaps") for verb in ("get", "list", "watch")
    ]
    asked.append(AccessRequest("create", "serviceaccounts", "", "token"))
    return _ask(subject, asked, "what system:node opens")
