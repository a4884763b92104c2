"""What a VNode's identity may do: the page's table of rights, as data.

The page (section on preparing) names four standard rights by the built-in ClusterRoles that grant them, and
three pairs of verbs beyond those. Each right here becomes one binding (`vnode_suite.access.objects`), so that
exactly one can be taken away and given back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vnode_suite.model import Identity

#: Organisation of a VNode's certificate, hence the group that it acts in. Source: vnode-approver's rules.
VNODES_GROUP = "system:vnodes"
#: Every group that a bootstrap token may give begins with this. Source: Kubernetes' bootstrap token API.
BOOTSTRAPPERS_PREFIX = "system:bootstrappers:"
#: Prefix of the group that a VNode's bootstrap token gives, before the name of the cell.
BOOTSTRAP_GROUP_PREFIX = "system:bootstrappers:vnode"

CERTIFICATES_GROUP = "certificates.k8s.io"


class Kind(StrEnum):
    """Where a right stands in the page's table."""

    #: Named by a built-in ClusterRole.
    STANDARD = "standard"
    #: Verbs beyond the built-in roles.
    EXTRA = "extra"
    #: Extra, and asked for on 1.13 only (`EXTRA_PRIVILEDGE`).
    EXTRA_PRIVILEGE = "extra-privilege"
    #: Not in the table, but a bootstrap token has no rights of its own to ask for a certificate.
    IMPLIED = "implied"


class Holder(StrEnum):
    """Whom a right is given to."""

    #: The group of the bootstrap token.
    BOOTSTRAPPERS = "bootstrappers"
    #: The group of the certificates.
    VNODES = "vnodes"
    SERVICEACCOUNT = "serviceaccount"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a ClusterRole: verbs on one resource."""

    verbs: tuple[str, ...]
    resource: str
    group: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A `PolicyRule` of rbac.authorization.k8s.io/v1."""
        return {"apiGroups": [self.group], "resources": [self.resource], "verbs": list(self.verbs)}


@dataclass(frozen=True, slots=True)
class Right:
    """One line of the table."""

    #: Stable name, used in object names and by `without`.
    id: str
    kind: Kind
    #: The built-in ClusterRole that grants it; None where the suite makes a role of `rule`.
    role: str | None = None
    rule: Rule | None = None
    #: The one thing that nothing else of the table allows: who may do it holds the right.
    telling: Rule | None = None

    @property
    def tells(self) -> Rule:
        """What an access review asks to learn whether the right is held."""
        found = self.rule or self.telling
        if found is None:
            raise ValueError(f"nothing tells whether {self.id} is held")
        return found


SYSTEM_NODE = Right("system-node", Kind.STANDARD, role="system:node", telling=Rule(("create",), "nodes"))
#: system:node gets endpoints but never lists them, in any minor.
SYSTEM_NODE_PROXIER = Right(
    "system-node-proxier", Kind.STANDARD, role="system:node-proxier", telling=Rule(("list",), "endpoints")
)
NODECLIENT = Right(
    "nodeclient",
    Kind.STANDARD,
    role="system:certificates.k8s.io:certificatesigningrequests:nodeclient",
    telling=Rule(("create",), "certificatesigningrequests/nodeclient", CERTIFICATES_GROUP),
)
SELFNODECLIENT = Right(
    "selfnodeclient",
    Kind.STANDARD,
    role="system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    telling=Rule(("create",), "certificatesigningrequests/selfnodeclient", CERTIFICATES_GROUP),
)
#: create, get, list and watch of certificate signing requests, the same rule in every minor.
NODE_BOOTSTRAPPER = Right(
    "node-bootstrapper",
    Kind.IMPLIED,
    role="system:node-bootstrapper",
    telling=Rule(("create",), "certificatesigningrequests", CERTIFICATES_GROUP),
)
PODS_UPDATE = Right("pods-update", Kind.EXTRA, rule=Rule(("update",), "pods"))
PODS_PATCH = Right("pods-patch", Kind.EXTRA, rule=Rule(("patch",), "pods"))
CLAIMS_UPDATE = Right(
    "persistentvolumeclaims-update", Kind.EXTRA, rule=Rule(("update",), "persistentvolumeclaims")
)
CLAIMS_PATCH = Right(
    "persistentvolumeclaims-patch", Kind.EXTRA, rule=Rule(("patch",), "persistentvolumeclaims")
)
ENDPOINTS_CREATE = Right("endpoints-create", Kind.EXTRA_PRIVILEGE, rule=Rule(("create",), "endpoints"))
ENDPOINTS_UPDATE = Right("endpoints-update", Kind.EXTRA_PRIVILEGE, rule=Rule(("update",), "endpoints"))

#: No line of the page's table: what an administrator's kubeconfig, used as it is, can do.
CLUSTER_ADMIN = Right(
    "cluster-admin", Kind.STANDARD, role="cluster-admin", telling=Rule(("delete",), "namespaces")
)

RIGHTS: tuple[Right, ...] = (
    SYSTEM_NODE,
    SYSTEM_NODE_PROXIER,
    NODECLIENT,
    SELFNODECLIENT,
    NODE_BOOTSTRAPPER,
    PODS_UPDATE,
    PODS_PATCH,
    CLAIMS_UPDATE,
    CLAIMS_PATCH,
    ENDPOINTS_CREATE,
    ENDPOINTS_UPDATE,
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A right and whom it is given to: becomes one ClusterRoleBinding."""

    right: Right
    holder: Holder


def right(name: str) -> Right:
    """The right called `name` (KeyError if there is none)."""
    return {one.id: one for one in RIGHTS}[name]


def grants(identity: Identity, *, extra_privilege: bool = False) -> tuple[Grant, ...]:
    """What `identity` is given, right by right; an administrator's is all there is.

    :param extra_privilege: also create and update of endpoints, which the page asks for on 1.13 only.
    """
    if identity is Identity.ADMIN:
        return (Grant(CLUSTER_ADMIN, Holder.SERVICEACCOUNT),)
    kinds = {Kind.STANDARD, Kind.EXTRA} | ({Kind.EXTRA_PRIVILEGE} if extra_privilege else set())
    wanted = [one for one in RIGHTS if one.kind in kinds]
    if identity is Identity.SERVICEACCOUNT:
        return tuple(Grant(one, Holder.SERVICEACCOUNT) for one in wanted)
    # The token asks for the first certificate and does nothing else; the certificate asks for its successor.
    # Certificates do not get nodeclient, or renewal would still be approved with selfnodeclient taken away.
    asking = tuple(Grant(one, Holder.BOOTSTRAPPERS) for one in (NODE_BOOTSTRAPPER, NODECLIENT))
    return asking + tuple(Grant(one, Holder.VNODES) for one in wanted if one is not NODECLIENT)
