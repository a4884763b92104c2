"""The objects of an identity."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from vnode_suite.access import deployment, generate, objects
from vnode_suite.access.objects import BootstrapToken, Naming
from vnode_suite.access.rights import grants
from vnode_suite.model import Identity

RUN = Naming("k3x9", "1.22-bootstrap")


def test_a_bootstrap_token_has_the_documented_shape() -> None:
    """Six and sixteen lower-case letters and digits; two tokens differ."""
    first, second = BootstrapToken.fresh(), BootstrapToken.fresh()
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", first.value)
    assert first != second


def test_a_tokens_secret_half_is_not_in_its_representation() -> None:
    """Printing a token gives nothing away."""
    token = BootstrapToken.fresh()
    assert token.secret not in repr(token)


def test_the_bootstrap_secret_is_one_that_the_server_takes() -> None:
    """Name, type, usage, group and expiration as the bootstrap token API wants them."""
    token = BootstrapToken("abcdef", "0123456789abcdef")
    body = objects.bootstrap_secret(token, RUN, expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert body["metadata"]["name"] == "bootstrap-token-abcdef"
    assert body["metadata"]["namespace"] == "kube-system"
    assert body["type"] == "bootstrap.kubernetes.io/token"
    data = body["stringData"]
    assert data["usage-bootstrap-authentication"] == "true"
    assert data["expiration"] == "2030-01-02T03:04:05Z"
    assert re.fullmatch(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", data["auth-extra-groups"])


def test_a_token_without_an_end_has_no_expiration() -> None:
    """A missing expiration is how the API says for ever."""
    body = objects.bootstrap_secret(BootstrapToken.fresh(), RUN, expires=None)
    assert "expiration" not in body["stringData"]


@pytest.mark.parametrize("identity", [Identity.BOOTSTRAP, Identity.SERVICEACCOUNT])
def test_every_grant_is_a_binding_of_its_own(identity: Identity) -> None:
    """Each right can be taken away by deleting one object."""
    granted = grants(identity, extra_privilege=True)
    bodies = generate.rbac_objects(granted, RUN)
    bindings = [body for body in bodies if body["kind"] == "ClusterRoleBinding"]
    assert len({body["metadata"]["name"] for body in bindings}) == len(granted)
    assert all(len(body["subjects"]) == 1 for body in bindings)
    roles = {body["metadata"]["name"] for body in bodies if body["kind"] == "ClusterRole"}
    own = {body["roleRef"]["name"] for body in bindings if not body["roleRef"]["name"].startswith("system:")}
    assert own == roles


def test_every_object_says_whose_it_is() -> None:
    """Labels name the suite, the run and the cell."""
    bodies = generate.bootstrap_objects(RUN, BootstrapToken.fresh(), expires=None, extra_privilege=True)
    for body in (*bodies, *deployment.rights_objects(RUN)):
        assert body["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "vnode-suite",
            "vnode-suite/run": "k3x9",
            "vnode-suite/cell": "1.22-bootstrap",
        }


def test_two_runs_share_no_object() -> None:
    """Names carry the run, so that one run's closing cannot take what another needs."""

    def paths(naming: Naming) -> set[str]:
        bodies = generate.serviceaccount_objects(naming, extra_privilege=True, with_secret=True)
        return {objects.path(body) for body in (*bodies, *deployment.rights_objects(naming))}

    assert not paths(RUN) & paths(Naming("other", "1.22-bootstrap"))


def test_paths_are_those_of_the_api() -> None:
    """Cluster-wide and namespaced objects are where the API server has them."""
    account = objects.serviceaccount("vnode", RUN)
    assert objects.path(account) == "/api/v1/namespaces/kube-system/serviceaccounts/vnode"
    role = objects.cluster_role("x", [], RUN)
    assert objects.path(role) == "/apis/rbac.authorization.k8s.io/v1/clusterroles/x"


def test_masking_hides_the_token_and_nothing_else() -> None:
    """What is shown of a Secret is what it is for."""
    token = BootstrapToken.fresh()
    shown = objects.masked(objects.bootstrap_secret(token, RUN, expires=None))
    assert token.secret not in json.dumps(shown)
    assert shown["stringData"]["token-id"] == token.id
    assert shown["metadata"]["name"] == f"bootstrap-token-{token.id}"


def test_the_published_approver_reads_the_pods_own_account() -> None:
    """Image, account and mounted kubeconfig of the published deployment, under its published names."""
    bodies = {body["kind"]: body for body in deployment.published_objects(Naming())}
    pod = bodies["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == deployment.IMAGE
    assert pod["serviceAccountName"] == bodies["ServiceAccount"]["metadata"]["name"] == "vnode-approver"
    assert bodies["ServiceAccount"]["automountServiceAccountToken"] is True
    assert bodies["ClusterRole"]["metadata"]["name"] == "system:vnode-approver"
    assert "serviceaccount/token" in bodies["ConfigMap"]["data"]["kubeconfig.conf"]
