"""What kind and kubeadm are told about a cluster: pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vnode_suite.core.documents import dump_yaml

#: kind mounts memory at /tmp of a node: a busy disk, on which etcd waits for every write, is seen as an API server
#: that does not answer. No node of ours outlives a restart of Docker anyway.
_ETCD_FOLDER = "/tmp/etcd"  # noqa: S108 - in the node, which has one user
#: A controller manager or scheduler that is the only one has nobody to give way to, but ends when a busy machine lets
#: its lease lapse, and what comes meanwhile is not heeded until the next one may have the lease (seen: 25 s).
_ALONE = {"leader-elect": "false"}
_KEEP_OOM_SCORES = '[plugins."io.containerd.grpc.v1.cri"]\nrestrict_oom_score_adj = true\n'


def cluster_name(run: str, version: str) -> str:
    """What a run calls its cluster of *version*; dots would not do in a host's name."""
    return f"vnode-suite-{run}-{version.replace('.', '-')}"


def node_name(cluster: str) -> str:
    """What kind calls the container, and kubeadm the Node, of a cluster of one node."""
    return f"{cluster}-control-plane"


@dataclass(frozen=True, slots=True)
class KindOrder:
    """A cluster of one node, which is control plane and ordinary node alike.

    :ivar name: of the cluster; containers and network are named after it.
    :ivar image: that the node is made of.
    :ivar address: on this machine, at which the API server is published; its certificate holds it.
    """

    name: str
    image: str
    address: str

    @property
    def node(self) -> str:
        """Name of the container, and of the Node."""
        return node_name(self.name)


def cluster_config(order: KindOrder) -> dict[str, Any]:
    """kind's configuration file, as a document. What is not named here is as kind and kubeadm make it for everybody.

    Docker publishes the API server at `order.address`: given the machine's address in the simulated VPC, VNodes reach
    it there as they reach any server of the machine, and it reaches them through the machine, with its address.
    """
    kubeadm = {
        "kind": "ClusterConfiguration",
        "etcd": {"local": {"dataDir": _ETCD_FOLDER}},
        "controllerManager": {"extraArgs": dict(_ALONE)},
        "scheduler": {"extraArgs": dict(_ALONE)},
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": order.address},
        "nodes": [{"role": "control-plane", "image": order.image}],
        # Where Docker's own daemon may not lower a score (machines within machines), runc may not either, and no Pod
        # of the control plane would start; elsewhere this changes nothing, containerd's own score being the lowest.
        "containerdConfigPatches": [_KEEP_OOM_SCORES],
        "kubeadmConfigPatches": [dump_yaml(kubeadm)],
    }
