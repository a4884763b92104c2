"""The Node object of a VNode: what it registers, and what it renews.

Sources: the service's scheduling page (name, label and taint ``k8s.aliyun.com/vnode``), the connection page
(label ``type``), and for the rest the open-source virtual-kubelet that the service grew from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vnode_suite.simulated.interface import VNodeOrder
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.defects import OTHER_NODE_NAME, OTHER_TYPE_LABEL

VNODE_KEY = "k8s.aliyun.com/vnode"
KUBELET_PORT = 10250
READ_ONLY_PORT = 10255
#: Seconds; what kubelets write in their Lease.
LEASE_SECONDS = 40

_CAPACITY = {"cpu": "1000", "memory": "4000Gi", "pods": "3000"}
_OTHER_EFFECT = {
    "NoSchedule": "PreferNoSchedule",
    "PreferNoSchedule": "NoSchedule",
    "NoExecute": "NoSchedule",
}


@dataclass(frozen=True, slots=True)
class NodeWriter:
    """Writes the bodies of one VNode's Node and Lease."""

    order: VNodeOrder
    address: str
    server_version: str
    clock: Clock

    @property
    def name(self) -> str:
        """The Node's name."""
        if "node-name-vnode1" in self.order.defects:
            return OTHER_NODE_NAME
        return f"{self.order.region}.{self.order.virtual_node_id}"

    def node(self) -> dict[str, Any]:
        """The whole object, with its first status."""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self._labels()},
            "spec": {
                "providerID": f"{self.order.region}.{self.order.virtual_node_id}",
                "taints": [{"key": VNODE_KEY, "value": "true", "effect": "NoSchedule"}, *self._user_taints()],
            },
            "status": {**self.heartbeat()["status"], **self._fixed_status()},
        }

    def heartbeat(self) -> dict[str, Any]:
        """The strategic merge patch of a node status heartbeat."""
        ready = "node-not-ready" not in self.order.defects
        conditions = [
            (
                "Ready",
                ready,
                "KubeletReady" if ready else "KubeletNotReady",
                f"kubelet is {'' if ready else 'not '}ready",
            ),
            (
                "MemoryPressure",
                False,
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            ("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("NetworkUnavailable", False, "RouteCreated", "the VPC routes to it"),
        ]
        now = self.clock.seconds()
        return {
            "status": {
                "conditions": [
                    {
                        "type": kind,
                        "status": str(status),
                        "reason": reason,
                        "message": message,
                        "lastHeartbeatTime": now,
                    }
                    for kind, status, reason, message in conditions
                ]
            }
        }

    def lease(self, api_version: str, node_uid: str) -> dict[str, Any]:
        """The Lease that says that the VNode lives; it goes when its Node does."""
        return {
            "apiVersion": f"coordination.k8s.io/{api_version}",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": "kube-node-lease",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node_uid}],
            },
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": self.clock.micros(),
            },
        }

    def _labels(self) -> dict[str, str]:
        left_out = {"type-label-missing": "type", "vnode-label-missing": VNODE_KEY}
        missing = {key for defect, key in left_out.items() if defect in self.order.defects}
        return {key: value for key, value in self._sound_labels().items() if key not in missing}

    def _sound_labels(self) -> dict[str, str]:
        return {
            "type": OTHER_TYPE_LABEL if "wrong-type-label" in self.order.defects else "virtual-kubelet",
            "kubernetes.io/role": "agent",
            "kubernetes.io/hostname": self.name,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": "amd64",
            "kubernetes.io/arch": "amd64",
            VNODE_KEY: "true",
            "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
            "node.kubernetes.io/exclude-from-external-load-balancers": "true",
            "failure-domain.beta.kubernetes.io/region": self.order.region,
            "topology.kubernetes.io/region": self.order.region,
        }

    def _user_taints(self) -> list[dict[str, str]]:
        taints = [dict(taint) for taint in self.order.taints]
        if taints and "taint-effect-changed" in self.order.defects:
            taints[0]["effect"] = _OTHER_EFFECT[taints[0]["effect"]]
        if "user-taint-missing" in self.order.defects:
            taints = taints[1:]
        return taints

    def _fixed_status(self) -> dict[str, Any]:
        capacity = {**_CAPACITY, **self.order.custom_resources}
        return {
            # No Hostname: the API server would try it first, and nobody resolves it.
            "addresses": [{"type": "InternalIP", "address": self.address}],
            "capacity": capacity,
            "allocatable": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": {
                "kubeletVersion": self.server_version,
                "kubeProxyVersion": self.server_version,
                "architecture": "amd64",
                "operatingSystem": "linux",
                "osImage": "ECI (simulated)",
                "containerRuntimeVersion": "eci://1.0",
                "kernelVersion": "",
                "bootID": "",
                "machineID": self.order.virtual_node_id,
                "systemUUID": self.order.virtual_node_id,
            },
        }


def patch_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """What makes an existing Node of that name ours: the merge patch of its labels, taints and provider."""
    return {"metadata": {"labels": node["metadata"]["labels"]}, "spec": {"taints": node["spec"]["taints"]}}
