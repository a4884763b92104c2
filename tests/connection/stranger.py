"""Somebody else's cluster: a real control plane with things of its own in it, and a user who may do only so much."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, start_local_cluster
from vnode_suite.connection.standins import stand_in_for_kubeadm
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

_ROOT = Path(__file__).resolve().parents[2]
#: What CLEAN-03 names: it changes by itself, whoever is there.
_RESTLESS = ("events", "leases")
RBAC = "rbac.authorization.k8s.io"
_USER_NAMESPACE = "operations"


@dataclass(frozen=True)
class Stranger:
    """The cluster, with its owner's client."""

    kube: KubeClient
    server: str
    ca_pem: str
    #: The owner's kubeconfig, who may do everything.
    admin: Path
    folder: Path

    def user(self, name: str, roles: Sequence[dict[str, Any]]) -> Path:
        """A kubeconfig of somebody who has *roles* (as the plan prints them) and nothing else."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        self.kube.create(f"/api/v1/namespaces/{_USER_NAMESPACE}/serviceaccounts", account)
        for role in roles:
            body = {**role, "metadata": {**role["metadata"], "name": name}}
            self.kube.create(_rbac_path(body), body)
            self.kube.create(_rbac_path(body, binding=True), _binding(body, name))
        return self._kubeconfig(name, self._token(name))

    def _token(self, name: str) -> str:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": name}},
        }
        path = f"/api/v1/namespaces/{_USER_NAMESPACE}/secrets"
        self.kube.create(path, secret)
        encoded = self.kube.wait_for(
            f"{path}/{name}",
            lambda found: ((found or {}).get("data") or {}).get("token"),
            deadline_seconds=30,
            what="a token",
        )
        return base64.b64decode(encoded).decode()

    def _kubeconfig(self, name: str, token: str) -> Path:
        """With the CA as a path and two contexts, of which the current one leads nowhere."""
        authority = self.folder / "ca.crt"
        authority.write_text(self.ca_pem)
        path = self.folder / f"{name}.conf"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "elsewhere",
            "clusters": [
                {"name": "theirs", "cluster": {"server": self.server, "certificate-authority": "ca.crt"}},
                {"name": "elsewhere", "cluster": {"server": "https://192.0.2.1:6443"}},
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [
                {"name": "theirs", "context": {"cluster": "theirs", "user": name}},
                {"name": "elsewhere", "context": {"cluster": "elsewhere", "user": name}},
            ],
        }
        path.write_text(json.dumps(document))
        path.chmod(0o600)
        return path


@contextmanager
def stranger(
    folder: Path, *, version: str = "1.22", address: str = "127.0.0.1", grace_seconds: float = 6.0
) -> Iterator[Stranger]:
    """A control plane on *address*, with kube-proxy's DaemonSet, an ordinary node and objects of its owner's.

    :param grace_seconds: how long a node may be silent.
    """
    wanted = load_versions().resolve(version)
    with (
        Supervisor(log=folder / "supervisor.log") as supervisor,
        start_local_cluster(
            wanted,
            folder / "cluster",
            supervisor,
            binaries=obtain_binaries(wanted),
            settings=ControlPlaneSettings(address=address, node_monitor_grace_seconds=grace_seconds),
        ) as cluster,
        KubeClient.from_kubeconfig_text(cluster.admin_kubeconfig) as kube,
    ):
        admin = folder / "admin.conf"
        admin.write_text(cluster.admin_kubeconfig)
        admin.chmod(0o600)
        stand_in_for_kubeadm(kube, wanted)
        kube.create("/api/v1/namespaces", {"metadata": {"name": _USER_NAMESPACE}})
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "theirs"},
            "data": {"key": "value"},
        }
        kube.create(f"/api/v1/namespaces/{_USER_NAMESPACE}/configmaps", body)
        yield Stranger(kube, cluster.server_url, cluster.ca_pem, admin, folder)


def _rbac_path(role: dict[str, Any], *, binding: bool = False) -> str:
    plural = f"{role['kind'].lower()}{'bindings' if binding else 's'}"
    namespace = role["metadata"].get("namespace")
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{RBAC}/v1/{where}{plural}"


def _binding(role: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": _USER_NAMESPACE}],
    }


def suite(
    theirs: Stranger, kubeconfig: Path, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """An acceptance run of the quick profile with this kubeconfig, in a process of its own."""
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--region=cn-shanghai"),
        *(f"--kubeconfig={kubeconfig}", "--vnode-context=theirs", "--vnode-cloud=emulator"),
        *("--vnode-profile=quick", "--vnode-deadline=stays-ready=9"),
        f"--vnode-report-dir={theirs.folder / 'reports'}",
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "ALIBABA_"))}
    environment |= {"VNODE_SUITE_STATE": str(theirs.folder / "state"), **variables}
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def printed_roles(plan: str) -> list[dict[str, Any]]:
    text = plan[plan.index("apiVersion:") : plan.index("\n\n=", plan.index("apiVersion:"))]
    return list(yaml.safe_load_all(text))


def report(theirs: Stranger) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((theirs.folder / "reports" / "latest" / "report.json").read_text())
    return found


def everything(kube: KubeClient) -> dict[str, Any]:
    """Every object in full, by address and uid, less what changes by itself."""
    found: dict[str, Any] = {}
    for group in (
        "/api/v1",
        *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in kube.get("/apis")["groups"]),
    ):
        for resource in kube.get(group)["resources"]:
            name = resource["name"]
            if "list" not in resource["verbs"] or "/" in name or name in (*_RESTLESS, "componentstatuses"):
                continue
            for item in kube.list(f"{group}/{name}"):
                meta = item["metadata"]
                if name == "controllerrevisions" or any(
                    owner["kind"] == "DaemonSet" for owner in meta.get("ownerReferences", ())
                ):
                    continue  # The DaemonSet controller's, which follows the template.
                found[f"{group}/{name} {meta.get('namespace', '')}/{meta['name']} {meta['uid']}"] = _lasting(
                    item
                )
    return found


def _lasting(item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in item.items() if key != "status"}
    if item["kind"] == "ServiceAccount":
        kept.pop("secrets", None)  # The token controller's, up to 1.23.
    kept["metadata"] = {
        key: value
        for key, value in item["metadata"].items()
        if key not in ("resourceVersion", "managedFields", "generation", "annotations")
    }
    if item["kind"] == "Node":
        # Taints of readiness: nobody sends heartbeats for a stand-in.
        kept["spec"] = {key: value for key, value in item["spec"].items() if key != "taints"}
    return kept


def await_quiet(kube: KubeClient) -> None:
    """Wait until nothing changes by itself: the controllers of a new cluster fill roles and make accounts."""
    seen: list[dict[str, Any]] = []

    def settled() -> bool | None:
        seen.append(everything(kube))
        return True if len(seen) > 1 and seen[-1] == seen[-2] else None

    poll(settled, what="a quiet cluster", deadline_seconds=120, interval_seconds=3)
