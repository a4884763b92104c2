"""The Kubernetes objects of an identity, built and never sent: plain functions from names to mappings.

Every object carries the labels of the run that made it, and each right is a binding of its own.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vnode_suite.access.rights import (
    BOOTSTRAP_GROUP_PREFIX,
    BOOTSTRAPPERS_PREFIX,
    VNODES_GROUP,
    Grant,
    Holder,
)

Json = dict[str, Any]

#: Bootstrap token Secrets are only looked for here, and the page's kubeconfig names it as its namespace.
NAMESPACE = "kube-system"
RBAC = "rbac.authorization.k8s.io"
MANAGED_BY = "app.kubernetes.io/managed-by"
SUITE = "vnode-suite"
RUN_LABEL = "vnode-suite/run"
CELL_LABEL = "vnode-suite/cell"

#: Shape of a bootstrap token: 6 and 16 characters of these. Source: Kubernetes' bootstrap token API.
_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN_ID_LENGTH = 6
_TOKEN_SECRET_LENGTH = 16

_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ServiceAccount": "serviceaccounts",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "DaemonSet": "daemonsets",
    "Pod": "pods",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Endpoints": "endpoints",
    "CertificateSigningRequest": "certificatesigningrequests",
    "Selector": "selectors",
}


@dataclass(frozen=True, slots=True)
class Naming:
    """How the objects of one cell are called and labelled.

    A run's objects are called `vnode-suite-<run>-<cell>...`, so that two runs on one cluster do not meet.
    What `vnode-suite kubeconfig` makes is to stay and belongs to no run.
    """

    run: str | None = None
    cell: str | None = None
    #: Another one in the same cell, with the same labels.
    other: str | None = None

    @property
    def prefix(self) -> str:
        """What the names of cluster-wide objects begin with."""
        return "-".join([SUITE, *(part for part in (self.run, self.cell, self.other) if part)]).lower()

    @property
    def serviceaccount(self) -> str:
        """Name of the ServiceAccount; plain `vnode` for a user's own."""
        return f"{self.prefix}-vnode" if self.run else "vnode"

    @property
    def bootstrap_group(self) -> str:
        """Group that the bootstrap token gives; dots of a version are not allowed in it."""
        parts = [part.replace(".", "-").lower() for part in (self.run, self.cell) if part]
        return ":".join([BOOTSTRAP_GROUP_PREFIX, *parts])

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every object of the cell."""
        labels = {MANAGED_BY: SUITE}
        if self.run:
            labels[RUN_LABEL] = self.run
        if self.cell:
            labels[CELL_LABEL] = self.cell
        return labels


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """A fresh bootstrap token; the secret half never shows in a representation."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> BootstrapToken:
        """A token of random characters from the system's source."""
        return cls(_random(_TOKEN_ID_LENGTH), _random(_TOKEN_SECRET_LENGTH))

    @property
    def value(self) -> str:
        """What a client presents: `id.secret`."""
        return f"{self.id}.{self.secret}"

    @property
    def username(self) -> str:
        """As whom it authenticates."""
        return f"system:bootstrap:{self.id}"


def subject(holder: Holder, naming: Naming) -> Json:
    """The `Subject` of a binding for `holder`."""
    if holder is Holder.SERVICEACCOUNT:
        return {"kind": "ServiceAccount", "name": naming.serviceaccount, "namespace": NAMESPACE}
    name = VNODES_GROUP if holder is Holder.VNODES else naming.bootstrap_group
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def username(serviceaccount: str, namespace: str = NAMESPACE) -> str:
    """As whom a ServiceAccount authenticates."""
    return f"system:serviceaccount:{namespace}:{serviceaccount}"


def serviceaccount_groups(namespace: str = NAMESPACE) -> tuple[str, ...]:
    """The groups that a ServiceAccount of `namespace` is in."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")


def role_name(grant: Grant, naming: Naming) -> str:
    """The ClusterRole that gives the right: a built-in one, or one of the cell's."""
    return grant.right.role or f"{naming.prefix}:{grant.right.id}"


def roles(granted: tuple[Grant, ...], naming: Naming) -> tuple[Json, ...]:
    """The ClusterRoles that no server has of itself, one a right."""
    found = {
        role_name(grant, naming): cluster_role(role_name(grant, naming), [grant.right.rule.as_dict()], naming)
        for grant in granted
        if grant.right.rule is not None
    }
    return tuple(found.values())


def cluster_role(name: str, rules: list[Json], naming: Naming) -> Json:
    """A ClusterRole with these rules."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": naming.labels},
        "rules": rules,
    }


def binding(grant: Grant, naming: Naming) -> Json:
    """The ClusterRoleBinding that gives one right to one holder."""
    return role_binding(
        f"{naming.prefix}:{grant.holder}:{grant.right.id}",
        role_name(grant, naming),
        subject(grant.holder, naming),
        naming,
    )


def role_binding(name: str, role: str, to: Json, naming: Naming) -> Json:
    """A ClusterRoleBinding of the ClusterRole `role` to one subject."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": naming.labels},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [to],
    }


def serviceaccount(name: str, naming: Naming, *, namespace: str = NAMESPACE) -> Json:
    """A ServiceAccount that no Pod's token is mounted from."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace, "labels": naming.labels},
        "automountServiceAccountToken": False,
    }


def token_secret(account: str, naming: Naming, *, namespace: str = NAMESPACE) -> Json:
    """A Secret that the server fills with a token of `account` that does not expire.

    Made by hand because from 1.24 on no server makes one by itself; it works the same in every minor before.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": f"{account}-token",
            "namespace": namespace,
            "labels": naming.labels,
            "annotations": {"kubernetes.io/service-account.name": account},
        },
    }


def bootstrap_secret(token: BootstrapToken, naming: Naming, *, expires: datetime | None) -> Json:
    """The Secret that makes a bootstrap token valid; without `expires` it is valid for ever.

    The token cleaner deletes it within seconds of its end, where the controller manager runs one.
    """
    data = {
        "description": "VNode bootstrap token made by vnode-suite",
        "token-id": token.id,
        "token-secret": token.secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": naming.bootstrap_group,
    }
    if expires is not None:
        data["expiration"] = expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not naming.bootstrap_group.startswith(BOOTSTRAPPERS_PREFIX):
        raise ValueError(f"{naming.bootstrap_group} is no group that a bootstrap token may give")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{token.id}", "namespace": NAMESPACE, "labels": naming.labels},
        "stringData": data,
    }


def collection_path(body: Mapping[str, Any]) -> str:
    """Where objects like `body` live, such as `/apis/rbac.authorization.k8s.io/v1/clusterroles`."""
    version = body["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = body["metadata"].get("namespace")
    return (
        f"{root}/namespaces/{namespace}/{_PLURALS[body['kind']]}"
        if namespace
        else f"{root}/{_PLURALS[body['kind']]}"
    )


def path(body: Mapping[str, Any]) -> str:
    """The address of the object `body` on the API server."""
    return f"{collection_path(body)}/{body['metadata']['name']}"


def masked(body: Mapping[str, Any]) -> Json:
    """A copy of `body` fit to be shown: the values of a Secret hidden."""
    shown = dict(body)
    for part in ("data", "stringData"):
        if body.get("kind") == "Secret" and part in body:
            shown[part] = {key: _shown(key, value) for key, value in body[part].items()}
    return shown


#: Entries of a bootstrap token Secret that are no secret.
_PUBLIC_ENTRIES = {
    "description",
    "token-id",
    "usage-bootstrap-authentication",
    "auth-extra-groups",
    "expiration",
}


def _shown(key: str, value: str) -> str:
    return value if key in _PUBLIC_ENTRIES else "<masked>"


def _random(length: int) -> str:
    return "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(length))
