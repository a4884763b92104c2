"""What kubeadm would have put on the cluster: a kube-proxy DaemonSet, and a node that is no VNode.

The local provider has neither kubelet nor kubeadm. The DaemonSet controller, which decides where kube-proxy
goes, is real all the same; so DS is judged on what it decides ("bound"), and the evidence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.data.versions import KubernetesVersion

Json = dict[str, Any]
STAND_IN_NODE = "stand-in-1"


@dataclass(frozen=True, slots=True)
class KubeProxy:
    """The kube-proxy DaemonSet to be kept off VNodes, and the nodes that must keep it."""

    namespace: str
    name: str
    ordinary_nodes: tuple[str, ...]
    #: Whether its Pods really run there (real kubelets), or are only bound.
    runs: bool


def stand_in_for_kubeadm(kube: KubeClient, version: KubernetesVersion) -> KubeProxy:
    """Make both; harmless to repeat on the same cluster is not needed: a local cluster is always new."""
    kube.create("/api/v1/nodes", _node(version))
    kube.patch(
        f"/api/v1/nodes/{STAND_IN_NODE}/status",
        {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "StandIn"}]}},
        type="strategic",
    )
    kube.create("/apis/apps/v1/namespaces/kube-system/daemonsets", kube_proxy("kube-proxy"))
    return KubeProxy("kube-system", "kube-proxy", (STAND_IN_NODE,), runs=False)


def kube_proxy(name: str) -> Json:
    """A DaemonSet shaped like kubeadm's kube-proxy: it tolerates every taint, so the VNode's taint alone does not
    keep it off."""
    labels = {"k8s-app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    # No kubelet would ever confirm the end of one.
                    "terminationGracePeriodSeconds": 0,
                    "hostNetwork": True,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": name, "image": "registry.k8s.io/kube-proxy:stand-in"}],
                },
            },
        },
    }


def _node(version: KubernetesVersion) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": STAND_IN_NODE,
            "labels": {
                "kubernetes.io/hostname": STAND_IN_NODE,
                "kubernetes.io/os": "linux",
                "beta.kubernetes.io/os": "linux",
            },
        },
        # Nothing of the run may be scheduled on it by chance; kube-proxy tolerates everything.
        "spec": {"taints": [{"key": "vnode-suite/stand-in", "value": "true", "effect": "NoSchedule"}]},
    }
