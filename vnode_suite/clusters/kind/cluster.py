"""A kind cluster as a run needs it, made through pytest-kind's `KindCluster` and taken away without a trace.

prepared = prepare(version, store=store, progress=progress)
with open_kind_cluster(order, version, prepared, folder=scratch, evidence=folder) as handle:
    handle.cluster.server_url
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.kind.config import KindOrder, cluster_config
from vnode_suite.clusters.kind.docker import Docker, DockerInfo
from vnode_suite.clusters.kind.hostchecks import Machine, check_host
from vnode_suite.clusters.kind.images import obtain_image
from vnode_suite.clusters.kind.nodeimage.build import NodeImage
from vnode_suite.clusters.kind.program import check_pytest_kind, obtain_kind
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.documents import dump_yaml, load_yaml
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.memory import pss_bytes
from vnode_suite.core.processes import log_tail
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion
from vnode_suite.model import Provider

#: From a control plane that answers to a node with all its Pods; a minute on two idle cores, more on busy ones.
READY_SECONDS = 300.0
_LOG_LINES = "200"
#: kind asks for no network but takes one from its environment; what it says goes to a log and not to the terminal.
_LAUNCHER = """\
#!/bin/sh
export KIND_EXPERIMENTAL_DOCKER_NETWORK={network}
case "$1" in
    get) exec {kind} "$@" 2>>{log} ;;
    create) exec {kind} "$@" --retain >>{log} 2>&1 ;;
    *) exec {kind} "$@" >>{log} 2>&1 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a cluster is made with, all of it on this machine."""

    docker: Docker
    info: DockerInfo
    kind: Binary
    image: NodeImage

    @property
    def provenance(self) -> dict[str, Any]:
        """For the report."""
        return {
            "kind": {"version": self.kind.version, **self.kind.provenance},
            "node image": {"reference": self.image.reference, "id": self.image.id, **self.image.provenance},
            "docker": {
                "version": self.info.version,
                "cgroup": f"v{self.info.cgroup_version}, {self.info.cgroup_driver}",
                "storage": self.info.storage_driver,
            },
        }


def prepare(version: KubernetesVersion, *, store: Store, progress: Progress) -> Prepared:
    """Look at the machine, and have kind and the node image here; starts nothing.

    :raises SuiteError: something is missing; says what to do.
    """
    check_pytest_kind()
    docker = Docker.find()
    info = docker.info()
    check_host(version, info, Machine.here())
    return Prepared(
        docker, info, obtain_kind(version, store, progress), obtain_image(version, docker, progress)
    )


@contextmanager
def open_kind_cluster(
    order: KindOrder,
    version: KubernetesVersion,
    prepared: Prepared,
    *,
    folder: Path,
    evidence: Path,
    keeps: Callable[[], bool] = lambda: False,
    gone: Callable[[], None] = lambda: None,
) -> Iterator[Cluster]:
    """A cluster whose node is Ready, with every Pod of kubeadm's and kind's running; deleted in the end.

    :param folder: for the kubeconfig and kind's configuration; secret, and gone with the run.
    :param evidence: where logs go.
    :param keeps: asked in the end: whether it is to stay.
    :param gone: called when nothing of it is left.
    :raises ClusterError: kind failed, or the node did not get ready; holds the end of what it said.
    """
    from pytest_kind import KindCluster

    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = evidence / f"kind-{version}.log"
    kind = KindCluster(
        order.name,
        kubeconfig=folder / "kubeconfig",
        image=order.image,
        kind_path=_launcher(folder, prepared.kind.path, order.name, log),
    )
    # It makes this folder for downloads, of which there are none.
    for empty in (Path(".pytest-kind", order.name), Path(".pytest-kind")):
        with suppress(OSError):
            empty.rmdir()
    config = folder / "kind.yaml"
    config.write_text(dump_yaml(cluster_config(order)), encoding="utf-8")
    timings: dict[str, float] = {}
    made = False
    try:
        try:
            kind.create(config)
        except subprocess.CalledProcessError as problem:
            raise ClusterError(
                f"kind {prepared.kind.version} made no cluster of Kubernetes {version}",
                found=f"exit {problem.returncode}; the end of {log.name}:\n{log_tail(log)}",
                remedy="what the node's own services said is beside that log in the run's folder",
            ) from None
        timings["kind create cluster"] = round(time.monotonic() - began, 3)
        text = (folder / "kubeconfig").read_text(encoding="utf-8")
        with KubeClient.from_kubeconfig_text(text) as kube:
            _await_node(kube, order.node)
            timings["node ready"] = round(time.monotonic() - began, 3)
            _await_pods(kube)
            timings["usable"] = round(time.monotonic() - began, 3)
            document = load_yaml(text)
            made = True
            yield Cluster(
                provider=Provider.KIND,
                kube=kube,
                server_url=kube.server,
                ca_pem=admin_cluster(document).ca_pem,
                document=document,
                version_info=kube.server_version(),
                provenance=prepared.provenance,
                timings=timings,
                memory_pss=lambda: _memory(prepared.docker, order.node),
            )
    finally:
        _keep_node_logs(prepared.docker, order.node, evidence / f"node-{version}.log")
        if not (made and keeps()):
            with suppress(subprocess.CalledProcessError):
                kind.delete()
            # kind leaves the network, and whatever it was interrupted at.
            prepared.docker.remove_cluster(order.name)
            gone()


def _launcher(folder: Path, kind: Path, network: str, log: Path) -> Path:
    launcher = folder / "kind"
    quoted = {
        name: shlex.quote(str(value)) for name, value in (("kind", kind), ("network", network), ("log", log))
    }
    launcher.write_text(_LAUNCHER.format(**quoted), encoding="utf-8")
    launcher.chmod(0o700)
    return launcher


def _await_node(kube: KubeClient, name: str) -> None:
    def ready(node: Mapping[str, Any] | None) -> bool | None:
        conditions = ((node or {}).get("status") or {}).get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) or None

    kube.wait_for(
        f"/api/v1/nodes/{name}", ready, deadline_seconds=READY_SECONDS, what=f"the node {name} to be Ready"
    )


#: Pods that kubeadm's add-ons make some seconds after the control plane; their names begin so.
_ADD_ONS = ("kube-proxy-", "coredns-")


def _await_pods(kube: KubeClient) -> None:
    """Wait for every Pod of the cluster's own: what is still being set up would look like something the run did."""

    def all_ready(pods: Sequence[Mapping[str, Any]]) -> bool | None:
        names = [str(pod["metadata"]["name"]) for pod in pods]
        there = all(any(name.startswith(prefix) for name in names) for prefix in _ADD_ONS)
        return (there and all(_is_ready(pod) for pod in pods)) or None

    kube.wait_for_list(
        "/api/v1/pods",
        all_ready,
        deadline_seconds=READY_SECONDS,
        what="every Pod of the new cluster to be ready",
    )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _memory(docker: Docker, node: str) -> dict[str, int]:
    """Memory of the node with everything in it, in bytes."""
    with suppress(ClusterError, ValueError, LookupError):
        state = json.loads(docker("inspect", node))[0]["State"]
        return {"kind node": pss_bytes(int(state["Pid"]), with_children=True)}
    return {}


def _keep_node_logs(docker: Docker, node: str, file: Path) -> None:
    """The end of what the node's kubelet and containerd said, while there is a node to ask."""
    ask = (
        "exec",
        node,
        "journalctl",
        "--no-pager",
        f"--lines={_LOG_LINES}",
        "--unit=kubelet",
        "--unit=containerd",
    )
    with suppress(ClusterError):
        file.write_text(docker(*ask), encoding="utf-8")
