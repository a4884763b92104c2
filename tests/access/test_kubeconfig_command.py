"""`vnode-suite kubeconfig` against a real control plane."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result

from vnode_suite.access import deployment, generate, limited
from vnode_suite.access.creating import Making
from vnode_suite.access.kubeconfig import Credential, view
from vnode_suite.access.objects import BootstrapToken, Naming
from vnode_suite.cli.kubeconfig import kubeconfig
from vnode_suite.clusters.kube import KubeClient

if TYPE_CHECKING:
    from tests.access.conftest import Access


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(kubeconfig, arguments, env={"KUBECONFIG": None, **(env or {})})


@pytest.fixture
def admin_file(access: Access, tmp_path: Path) -> Iterator[str]:
    """An administrator's kubeconfig; what the command made with it is deleted, as it is made to stay."""
    path = tmp_path / "admin.conf"
    path.write_text(access.admin_kubeconfig, encoding="utf-8")
    yield str(path)
    bodies = (
        *deployment.published_objects(Naming()),
        *generate.serviceaccount_objects(Naming(), extra_privilege=True, with_secret=True),
        *generate.bootstrap_objects(Naming(), BootstrapToken.fresh(), expires=None, extra_privilege=True),
    )
    ours = access.kube.list("/api/v1/secrets", labelSelector="app.kubernetes.io/managed-by=vnode-suite")
    for body in (*bodies, *ours):
        Making(access.kube).remove(body)


@pytest.mark.cluster
def test_a_bootstrap_kubeconfig_is_written_for_its_owner_alone(admin_file: str, tmp_path: Path) -> None:
    """Mode 0600, the server that was asked for, and an approver that stays."""
    output = tmp_path / "vnode-config"
    done = run(
        "bootstrap", "--kubeconfig", admin_file, "--server", "https://10.1.2.3:6443", "--output", str(output)
    )
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    seen = view(output.read_text(encoding="utf-8"), wanted=Credential.TOKEN, file_name=output.name)
    assert (seen.problems, seen.server) == ((), "https://10.1.2.3:6443")
    assert "Deployment vnode-approver-deployment: created" in done.output
    token = yaml.safe_load(output.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    assert token.partition(".")[2] not in done.output


@pytest.mark.cluster
def test_a_dry_run_shows_everything_but_secrets_and_changes_nothing(
    admin_file: str, access: Access, tmp_path: Path
) -> None:
    """The objects come as YAML documents; neither the cluster nor the disk is written."""
    output = tmp_path / "vnode-config"
    before = _names(access.kube)
    done = run("bootstrap", "--kubeconfig", admin_file, "--dry-run", "--output", str(output))
    assert done.exit_code == 0, done.output
    assert _names(access.kube) == before
    assert not output.exists()
    documents = list(yaml.safe_load_all(done.stdout))
    secret = next(one for one in documents if one["kind"] == "Secret")
    assert secret["stringData"]["token-secret"] == "<masked>"
    assert {"Deployment", "ClusterRole", "ClusterRoleBinding", "Secret", "Config"} <= {
        one["kind"] for one in documents
    }


@pytest.mark.cluster
def test_a_serviceaccount_kubeconfig_can_be_made_twice(admin_file: str, tmp_path: Path) -> None:
    """The second time nothing is missing and the file is replaced."""
    output = str(tmp_path / "vnode-config")
    for _ in range(2):
        done = run("serviceaccount", "--kubeconfig", admin_file, "--output", output)
        assert done.exit_code == 0, done.output
    assert "the token ends never" in done.output


@pytest.mark.cluster
def test_the_vendors_spelling_of_the_extra_privilege_is_heeded(admin_file: str, tmp_path: Path) -> None:
    """EXTRA_PRIVILEDGE=true grants the endpoints rights."""
    output = str(tmp_path / "vnode-config")
    arguments = ("serviceaccount", "--kubeconfig", admin_file, "--output", output)
    with_it = run(*arguments, env={"EXTRA_PRIVILEDGE": "true"})
    assert "serviceaccount:endpoints-create" in with_it.output


@pytest.mark.cluster
def test_a_missing_right_is_named_before_anything_is_changed(
    admin_file: str, access: Access, tmp_path: Path
) -> None:
    """An administrator who may not create Secrets is told so."""
    with limited.no_right_to_create_secrets(access.making, access.admin.ca_pem, access.naming) as token:
        document = yaml.safe_load(access.admin_kubeconfig)
        document["users"][0]["user"] = {"token": token.reveal()}
        weak = tmp_path / "weak.conf"
        weak.write_text(yaml.safe_dump(document), encoding="utf-8")
        before = _names(access.kube)
        done = run("serviceaccount", "--kubeconfig", str(weak), "--output", str(tmp_path / "vnode-config"))
        assert _names(access.kube) == before
    assert done.exit_code == 1
    assert "may not create secrets in kube-system" in done.output


@pytest.mark.cluster
def test_a_loopback_server_is_warned_about(admin_file: str) -> None:
    """On a VNode 127.0.0.1 is the VNode."""
    done = run("bootstrap", "--kubeconfig", admin_file, "--dry-run")
    assert "means the VNode itself" in done.stderr
    elsewhere = run("bootstrap", "--kubeconfig", admin_file, "--dry-run", "--server", "https://10.1.2.3:6443")
    assert "means the VNode itself" not in elsewhere.stderr


def test_a_file_that_is_none_of_ours_is_not_written_over(tmp_path: Path) -> None:
    """An administrator's own kubeconfig is not lost to a slip of --output."""
    precious = tmp_path / "config"
    precious.write_text("apiVersion: v1\nkind: Config\n", encoding="utf-8")
    done = run("serviceaccount", "--kubeconfig", str(precious), "--output", str(precious))
    assert done.exit_code == 4
    assert precious.read_text(encoding="utf-8") == "apiVersion: v1\nkind: Config\n"


@pytest.mark.parametrize("server", ["http://10.0.0.1:6443", "10.0.0.1:6443", "https://"])
def test_a_server_that_is_no_https_address_is_a_usage_error(server: str, tmp_path: Path) -> None:
    """Known to be wrong before anything is read."""
    done = run("bootstrap", "--kubeconfig", str(tmp_path / "none"), "--server", server, "--dry-run")
    assert done.exit_code == 4
    assert "https://HOST:PORT" in done.stderr


def test_a_serviceaccount_token_of_five_minutes_is_refused(tmp_path: Path) -> None:
    """The API gives none below ten minutes."""
    admin = tmp_path / "admin.conf"
    ca = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [
            {"name": "a", "cluster": {"server": "https://192.0.2.1:6443", "certificate-authority-data": ca}}
        ],
        "users": [{"name": "a", "user": {}}],
    }
    admin.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = run("serviceaccount", "--kubeconfig", str(admin), "--token-ttl", "5m", "--dry-run")
    assert done.exit_code == 4
    assert "10m or more" in done.stderr


def _names(kube: KubeClient) -> set[str]:
    collections = (
        "/api/v1/secrets",
        "/api/v1/serviceaccounts",
        "/api/v1/configmaps",
        "/apis/apps/v1/deployments",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    )
    return {f"{path} {one['metadata']['name']}" for path in collections for one in kube.list(path)}
