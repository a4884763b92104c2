"""ServiceAccounts that lack a right on purpose: who asks, or generates, without being allowed to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from vnode_suite.access import objects
from vnode_suite.access.creating import Making
from vnode_suite.access.generate import await_token, filled_token
from vnode_suite.access.objects import Json, Naming
from vnode_suite.access.rights import NODE_BOOTSTRAPPER
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.secrets import Secret

#: All that generating takes, except to make Secrets. `bind` and `escalate` are among the verbs on roles,
#: or the grants themselves would be refused.
_GENERATING_WITHOUT_SECRETS: tuple[Json, ...] = (
    {"apiGroups": [objects.RBAC], "resources": ["clusterroles", "clusterrolebindings"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["serviceaccounts", "serviceaccounts/token"], "verbs": ["*"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
)


def no_right_to_create_secrets(making: Making, ca_pem: str, naming: Naming) -> AbstractContextManager[Secret]:
    """The token of somebody who may do all that generating takes except to create Secrets."""
    return account_with(making, ca_pem, naming, "without-secrets", rules=_GENERATING_WITHOUT_SECRETS)


def no_nodeclient(making: Making, ca_pem: str, naming: Naming) -> AbstractContextManager[Secret]:
    """The token of somebody who may create signing requests, but has no right to have them approved."""
    return account_with(making, ca_pem, naming, "no-nodeclient", role=NODE_BOOTSTRAPPER.role)


def no_rights(making: Making, ca_pem: str, naming: Naming) -> AbstractContextManager[Secret]:
    """The token of somebody who may do nothing."""
    return account_with(making, ca_pem, naming, "without-rights")


@contextmanager
def account_with(
    making: Making,
    ca_pem: str,
    naming: Naming,
    name: str,
    *,
    rules: Sequence[Json] = (),
    role: str | None = None,
) -> Iterator[Secret]:
    """The token of a ServiceAccount with these rules or this role, for as long as the block lasts."""
    account = f"{naming.prefix}-{name}"
    subject: Json = {"kind": "ServiceAccount", "name": account, "namespace": objects.NAMESPACE}
    bodies = [objects.serviceaccount(account, naming), objects.token_secret(account, naming)]
    if rules:
        bodies.append(objects.cluster_role(account, list(rules), naming))
        role = account
    if role:
        bodies.append(objects.role_binding(account, role, subject, naming))
    made: list[Json] = []
    try:
        for body in bodies:
            made.append(making.ensure(body).object)
        token = filled_token(making.kube, account)
        await_token(making.kube, ca_pem, token)
        yield token
    finally:
        for body in reversed(made):
            making.remove(body)


def client(making: Making, ca_pem: str, token: Secret) -> KubeClient:
    """A client with such a token, for the same API server."""
    return KubeClient.with_token(making.kube.server, ca_pem, token.reveal())
