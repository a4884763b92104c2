"""Making an identity for a VNode on a real cluster: what the vendor's script is said to do, in the open.

Each step is written to the journal before it is taken and may be repeated. What fails halfway is taken back.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from vnode_suite.access import objects
from vnode_suite.access.creating import Made, Making, refused
from vnode_suite.access.kubeconfig import AccessError, AdminCluster, build
from vnode_suite.access.objects import NAMESPACE, BootstrapToken, Json, Naming
from vnode_suite.access.rights import VNODES_GROUP, Grant, Holder, Rule, grants
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError
from vnode_suite.core.errors import DeadlineExceeded, SuiteError
from vnode_suite.core.polling import poll
from vnode_suite.core.secrets import Secret
from vnode_suite.model import Identity

#: As long as kubeadm's tokens live: enough to join, too short to lie about.
BOOTSTRAP_TOKEN_LIFE = timedelta(hours=24)
#: The API server learns of bindings and tokens by watching: within milliseconds, a busy one within seconds.
EFFECT_SECONDS = 15.0
#: A Secret is filled by the controller manager, which takes 4-8 s to begin after its start.
FILL_SECONDS = 30.0
#: Lower bound of the TokenRequest API.
SHORTEST_TOKEN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Generated:
    """An identity, ready to be handed to a VNode."""

    identity: Identity
    #: The text of `vnode-config`.
    kubeconfig: Secret
    token: Secret
    #: As whom the token authenticates, and the groups it is in beyond `system:authenticated`.
    username: str
    groups: tuple[str, ...]
    #: When the token ends; None for never.
    expires: datetime | None
    granted: tuple[Grant, ...]
    #: `Kind name` of each object that stands for the identity, in the order of making.
    created: tuple[str, ...]

    @property
    def vnode_groups(self) -> tuple[str, ...]:
        """The groups in which the VNode acts once it has joined (its certificate's, in bootstrap mode)."""
        return (VNODES_GROUP,) if self.identity is Identity.BOOTSTRAP else self.groups


def rbac_objects(granted: tuple[Grant, ...], naming: Naming) -> tuple[Json, ...]:
    """Roles and bindings for what is granted."""
    return objects.roles(granted, naming) + tuple(objects.binding(grant, naming) for grant in granted)


def bootstrap_objects(
    naming: Naming, token: BootstrapToken, *, expires: datetime | None, extra_privilege: bool
) -> tuple[Json, ...]:
    """All objects of a bootstrap identity, in the order in which they are made: the Secret first, so that an
    admin who may not make Secrets has changed nothing yet."""
    secret = objects.bootstrap_secret(token, naming, expires=expires)
    return (secret, *rbac_objects(grants(Identity.BOOTSTRAP, extra_privilege=extra_privilege), naming))


def serviceaccount_objects(
    naming: Naming,
    *,
    extra_privilege: bool,
    with_secret: bool,
    identity: Identity = Identity.SERVICEACCOUNT,
) -> tuple[Json, ...]:
    """All objects of a ServiceAccount that holds what *identity* does, in the order in which they are made."""
    return account_objects(naming, grants(identity, extra_privilege=extra_privilege), with_secret=with_secret)


def account_objects(naming: Naming, granted: tuple[Grant, ...], *, with_secret: bool) -> tuple[Json, ...]:
    """A ServiceAccount, the Secret that its token is to be in, and what it may do."""
    account = objects.serviceaccount(naming.serviceaccount, naming)
    secret = (objects.token_secret(naming.serviceaccount, naming),) if with_secret else ()
    return (account, *secret, *rbac_objects(granted, naming))


def generate_bootstrap(
    making: Making,
    cluster: AdminCluster,
    naming: Naming,
    *,
    extra_privilege: bool = False,
    token_life: timedelta | None = BOOTSTRAP_TOKEN_LIFE,
    server: str | None = None,
) -> Generated:
    """Make a bootstrap token with the page's rights, and the kubeconfig that holds it.

    Returns when the API server takes the token and knows the last binding, hence those before: it learns of them in
    the order in which they were made, and so of roles. A repeated call makes a new token.

    :param extra_privilege: endpoints too; ask the version's fact `endpoints_right_needed`.
    :param token_life: None for a token that does not expire.
    :param server: see `vnode_suite.access.kubeconfig.build`.
    :raises AccessError: a step was refused; what was made by then is gone again.
    """
    token = BootstrapToken.fresh()
    value = Secret(token.value, "bootstrap-token")
    expires = None if token_life is None else datetime.now(UTC).replace(microsecond=0) + token_life
    bodies = bootstrap_objects(naming, token, expires=expires, extra_privilege=extra_privilege)
    granted = grants(Identity.BOOTSTRAP, extra_privilege=extra_privilege)
    with _taken_back_on_failure(making) as made:
        for body in bodies:
            made.append(making.ensure(body))
        await_token(making.kube, cluster.ca_pem, value)
        await_granted(making.kube, granted[-1:], naming)
    return Generated(
        Identity.BOOTSTRAP,
        Secret(build(cluster, {"token": token.value}, server=server), "kubeconfig"),
        value,
        token.username,
        ("system:bootstrappers", naming.bootstrap_group),
        expires,
        granted,
        _names(bodies),
    )


def generate_serviceaccount(
    making: Making,
    cluster: AdminCluster,
    naming: Naming,
    *,
    extra_privilege: bool = False,
    token_life: timedelta | None = None,
    server: str | None = None,
) -> Generated:
    """Make a ServiceAccount with the page's rights, and the kubeconfig that holds its token.

    :param token_life: None for a token from a Secret, which does not expire; else one from the TokenRequest
        API (10 minutes at least).
    :raises AccessError: a step was refused; what was made by then is gone again.
    """
    granted = grants(Identity.SERVICEACCOUNT, extra_privilege=extra_privilege)
    return _account(making, cluster, naming, Identity.SERVICEACCOUNT, granted, token_life, server)


def generate_admin(
    making: Making, cluster: AdminCluster, naming: Naming, *, powerless: bool = False
) -> Generated:
    """Make an administrator's credential, and the kubeconfig that holds it: a ServiceAccount bound to cluster-admin.

    A certificate of an administrator's own could never be taken back; this one goes with its binding.

    :param powerless: leave the binding out (the defect ``admin-without-rights``).
    :raises AccessError: a step was refused; what was made by then is gone again.
    """
    granted = () if powerless else grants(Identity.ADMIN)
    return _account(making, cluster, naming, Identity.ADMIN, granted, None, None)


def _account(
    making: Making,
    cluster: AdminCluster,
    naming: Naming,
    identity: Identity,
    granted: tuple[Grant, ...],
    token_life: timedelta | None,
    server: str | None,
) -> Generated:
    account = naming.serviceaccount
    bodies = account_objects(naming, granted, with_secret=token_life is None)
    with _taken_back_on_failure(making) as made:
        for body in bodies:
            made.append(making.ensure(body))
        value = (
            filled_token(making.kube, account)
            if token_life is None
            else requested_token(making.kube, account, token_life)
        )
        await_token(making.kube, cluster.ca_pem, value)
        await_granted(making.kube, granted[-1:], naming)
    return Generated(
        identity,
        Secret(build(cluster, {"token": value.reveal()}, server=server), "kubeconfig"),
        value,
        objects.username(account),
        objects.serviceaccount_groups()[:2],
        token_expiry(value.reveal()),
        granted,
        _names(bodies),
    )


def with_another_token(
    making: Making, cluster: AdminCluster, naming: Naming, generated: Generated, life: timedelta
) -> Generated:
    """The same ServiceAccount with a token of its own that ends after `life`, and the kubeconfig that holds it.

    :raises AccessError: as `generate_serviceaccount`.
    """
    value = requested_token(making.kube, naming.serviceaccount, life)
    await_token(making.kube, cluster.ca_pem, value)
    return replace(
        generated,
        kubeconfig=Secret(build(cluster, {"token": value.reveal()}), "kubeconfig"),
        token=value,
        expires=token_expiry(value.reveal()),
    )


def filled_token(kube: KubeClient, account: str) -> Secret:
    """The token that the controller manager puts into the Secret of `account`."""

    def data(secret: Json | None) -> str | None:
        return ((secret or {}).get("data") or {}).get("token")

    try:
        encoded = kube.wait_for(
            f"/api/v1/namespaces/{NAMESPACE}/secrets/{account}-token",
            data,
            deadline_seconds=FILL_SECONDS,
            what=f"a token in Secret {account}-token",
        )
    except KubeError as problem:
        raise refused(problem, "watch", objects.token_secret(account, Naming())) from None
    except DeadlineExceeded as late:
        raise AccessError(
            late.summary, found=late.found, remedy="see whether the controller manager runs and signs tokens"
        ) from None
    return Secret(base64.b64decode(encoded).decode("ascii"), "serviceaccount-token")


def requested_token(kube: KubeClient, account: str, life: timedelta) -> Secret:
    """A token of `account` that ends after `life`, from the TokenRequest API."""
    if life < SHORTEST_TOKEN:
        raise AccessError(
            "no ServiceAccount token can live that short",
            wanted="600 s or more",
            found=f"{life.total_seconds():g} s",
        )
    where = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": int(life.total_seconds())},
    }
    try:
        answer = kube.create(where, body)
    except KubeError as problem:
        raise AccessError(
            f"the API server makes no expiring token for ServiceAccount {account}",
            found=problem.message,
            remedy="up to 1.19 it needs --service-account-issuer and --service-account-signing-key-file; "
            "without a life given, a token from a Secret is used",
        ) from None
    return Secret(answer["status"]["token"], "serviceaccount-token")


def token_expiry(token: str) -> datetime | None:
    """When a JSON web token ends by its own words; None for never, and for what is no such token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC) if "exp" in claims else None
    except (binascii.Error, ValueError, TypeError):
        return None


def access_request(rule: Rule) -> AccessRequest:
    """The first verb of a rule as the question of an access review."""
    resource, _, subresource = rule.resource.partition("/")
    return AccessRequest(rule.verbs[0], resource, rule.group, subresource)


def await_granted(
    kube: KubeClient,
    granted: tuple[Grant, ...],
    naming: Naming,
    *,
    held: bool = True,
) -> None:
    """Wait until the API server's authoriser knows that each right is held (or, with `held=False`, is not).

    :raises AccessError: it still says otherwise after `EFFECT_SECONDS`.
    """
    open_questions = list(granted)

    def look() -> bool | None:
        for grant in list(open_questions):
            user, groups = _reviewed(grant.holder, naming)
            decision = kube.access_review(access_request(grant.right.tells), user=user, groups=groups)
            if decision.allowed is not held:
                return None
            open_questions.remove(grant)
        return True

    try:
        poll(look, what="the bindings to take effect", deadline_seconds=EFFECT_SECONDS, interval_seconds=0.02)
    except DeadlineExceeded:
        names = ", ".join(grant.right.id for grant in open_questions)
        raise AccessError(
            f"after {EFFECT_SECONDS:g} s the API server says otherwise of: {names}",
            wanted="held" if held else "not held",
            remedy="see whether its authorisation mode is RBAC"
            if held
            else "something else grants it to the same identity: kubectl get clusterrolebindings -o wide",
        ) from None
    except KubeError as problem:
        if problem.status == 403:
            raise AccessError(
                "the kubeconfig's user may not create subjectaccessreviews", found=problem.message
            ) from None
        raise


def _reviewed(holder: Holder, naming: Naming) -> tuple[str, tuple[str, ...]]:
    if holder is Holder.SERVICEACCOUNT:
        return objects.username(naming.serviceaccount), objects.serviceaccount_groups()
    if holder is Holder.VNODES:
        return "system:vnode:review", (VNODES_GROUP, "system:authenticated")
    return "system:bootstrap:review", ("system:bootstrappers", naming.bootstrap_group, "system:authenticated")


def await_token(kube: KubeClient, ca_pem: str, token: Secret) -> None:
    """Wait until the API server takes the token; asked at the address that the admin uses."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/version", "verb": "get"}},
    }
    with KubeClient.with_token(kube.server, ca_pem, token.reveal()) as its:
        answers: list[int] = []

        def look() -> bool | None:
            answers.append(
                its.raw("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST", body=review).status
            )
            # 403 is an answer to somebody it knows; 401 is the one that says it does not.
            return None if answers[-1] == 401 or answers[-1] >= 500 else True

        try:
            poll(
                look,
                what="the API server to take the token",
                deadline_seconds=EFFECT_SECONDS,
                interval_seconds=0.02,
            )
        except DeadlineExceeded:
            raise AccessError(
                f"the API server does not take the new token after {EFFECT_SECONDS:g} s",
                found=f"HTTP {answers[-1]}",
                remedy="bootstrap tokens need --enable-bootstrap-token-auth on the API server",
            ) from None


@contextmanager
def _taken_back_on_failure(making: Making) -> Iterator[list[Made]]:
    made: list[Made] = []
    try:
        yield made
    except BaseException:
        for one in reversed(made):
            try:
                if one.fresh:
                    making.remove(one.object)
            except SuiteError:
                # What cannot be taken back now stays in the journal, for the closing and the sweep.
                continue
        raise


def _names(bodies: tuple[Json, ...]) -> tuple[str, ...]:
    return tuple(f"{body['kind']} {body['metadata']['name']}" for body in bodies)
