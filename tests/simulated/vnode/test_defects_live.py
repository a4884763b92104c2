"""Each defect shows its own fault on a real control plane, and leaves everything else sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.simulated.vnode.rig import ClusterRig, FleetRig, VNodeRig, ready_status
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.simulated.fleet import FLEET_DEFECTS, FleetRefused

pytestmark = [pytest.mark.cluster, pytest.mark.netns]

TAINT = {"key": "team", "value": "a", "effect": "NoSchedule"}
INSTANCE_ID = "k8s.aliyun.com/eci-instance-id"

#: What can be seen of a VNode from outside, and how it is when all is well.
SOUND = {
    "ready": "True",
    "name": "region.id",
    "type": "virtual-kubelet",
    "taint": "NoSchedule",
    "address": "in vSwitch",
    "10250": "200",
    "10255": "200",
    "pod": "Running",
    "annotation": "there",
    "pod address": "in vSwitch",
    "daemon pod": "Pending",
}
#: What each defect changes of that, and nothing else. The two ports dropped together with what needs them.
CHANGED = {
    "wrong-type-label": {"type": "ecs-instance"},
    "taint-effect-changed": {"taint": "PreferNoSchedule"},
    "kubelet-not-listening": {"10250": "connection refused", "10255": "connection refused"},
    "port-10250-closed": {"10250": "connection refused"},
    "port-10255-closed": {"10255": "connection refused"},
    "node-name-vnode1": {"name": "vnode1"},
    "address-outside-vswitch": {"address": "outside"},
    "pod-address-outside": {"pod address": "outside"},
    "pods-stay-pending": {"pod": "Pending", "annotation": "absent", "pod address": "none"},
    "no-annotation": {"annotation": "absent"},
    "runs-daemonset-pods": {"daemon pod": "Running"},
    "leaves-unlabelled-node": {},
    "node-not-ready": {"ready": "False"},
    "renewal-stops": {},
    "clock-skew-ahead": {},
}


def observe(
    fleet: FleetRig, cluster: ClusterRig, vnode: VNodeRig, node_name: str, expected: Mapping[str, str]
) -> Mapping[str, str]:
    """Look at everything that a defect may change; what is expected says only how long to wait."""
    vswitch = IPv4Network(next(iter(fleet.network.vswitches.values())))
    path = f"/api/v1/nodes/{node_name}"
    cluster.kube.wait_for(path, bool, deadline_seconds=30, what=f"node {node_name}")
    node = cluster.kube.get(path)
    pod_path = (
        cluster.run_pod(vnode, f"p-{vnode.id}") if node_name != "vnode1" else _pod_on(cluster, "vnode1")
    )
    daemon_path = _daemon_pod(cluster, node_name)
    pod = _settled(cluster, pod_path, expected["pod"])
    daemon = _settled(cluster, daemon_path, expected["daemon pod"])
    address = node["status"]["addresses"][0]["address"]
    pod_ip = pod["status"].get("podIP")
    assert address == vnode.address
    seen = {
        "ready": ready_status(node),
        "name": "region.id" if node_name.endswith(vnode.id) else node_name,
        "type": node["metadata"]["labels"]["type"],
        "taint": next(t["effect"] for t in node["spec"]["taints"] if t["key"] == "team"),
        "address": _place(address, vswitch),
        "10250": _proxy(cluster, f"https:{node_name}:10250"),
        "10255": _proxy(cluster, f"{node_name}:10255"),
        "pod": pod["status"]["phase"],
        "annotation": "there" if INSTANCE_ID in pod["metadata"].get("annotations", {}) else "absent",
        "pod address": _place(pod_ip, vswitch) if pod_ip else "none",
        "daemon pod": daemon["status"]["phase"],
    }
    for path in (pod_path, f"/api/v1/nodes/{node_name}"):
        cluster.kube.delete(path)
    return seen


@pytest.fixture(scope="module", autouse=True)
def daemon_set(cluster: ClusterRig) -> Iterator[None]:
    """A DaemonSet that tolerates everything, as a network agent does."""
    labels = {"app": "agent"}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "c", "image": "registry.example/agent:1"}],
        },
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    cluster.kube.create("/apis/apps/v1/namespaces/default/daemonsets", body)
    yield
    cluster.kube.delete("/apis/apps/v1/namespaces/default/daemonsets/agent")


def _daemon_pod(cluster: ClusterRig, node_name: str) -> str:
    """The path of the DaemonSet's Pod on a node, once the scheduler has bound it."""
    pods = "/api/v1/namespaces/default/pods"
    query = {"labelSelector": "app=agent", "fieldSelector": f"spec.nodeName={node_name}"}
    cluster.kube.wait_for_list(pods, bool, deadline_seconds=30, what="the DaemonSet's Pod", **query)
    return f"{pods}/{cluster.kube.list(pods, **query)[0]['metadata']['name']}"


def _pod_on(cluster: ClusterRig, node_name: str) -> str:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "on-vnode1"},
        "spec": {
            "nodeName": node_name,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "c", "image": "registry.example/c:1"}],
        },
    }
    cluster.kube.create("/api/v1/namespaces/default/pods", pod)
    return "/api/v1/namespaces/default/pods/on-vnode1"


def _settled(cluster: ClusterRig, path: str, expected: str) -> Mapping[str, object]:
    """The Pod when it runs, or after the time in which a sound VNode would run it.

    That is ten times what one takes where it is not expected to; where it is, as long as a busy machine may need.
    """
    try:
        return cluster.wait_pod(path, seconds=30.0 if expected == "Running" else 1.0)
    except DeadlineExceeded:
        return cluster.kube.get(path)


def _place(address: str, vswitch: IPv4Network) -> str:
    return "in vSwitch" if IPv4Address(address) in vswitch else "outside"


def _proxy(cluster: ClusterRig, target: str) -> str:
    answer = cluster.kube.raw(f"/api/v1/nodes/{target}/proxy/healthz")
    return "connection refused" if "connection refused" in answer.text else str(answer.status)


def test_a_sound_vnode_has_no_fault(fleet: FleetRig, cluster: ClusterRig) -> None:
    """What the defects are compared with."""
    token = cluster.service_account_token()
    with fleet.vnode(cluster.kubeconfig(token), taints=(TAINT,)) as vnode:
        assert observe(fleet, cluster, vnode, f"cn-test.{vnode.id}", SOUND) == SOUND
        assert vnode.reports.warnings == []


@pytest.mark.parametrize("defect", sorted(CHANGED))
def test_a_defect_shows_its_fault_and_no_other(fleet: FleetRig, cluster: ClusterRig, defect: str) -> None:
    """One defect, one difference."""
    token = cluster.service_account_token()
    with fleet.vnode(cluster.kubeconfig(token), defect, taints=(TAINT,)) as vnode:
        name = "vnode1" if defect == "node-name-vnode1" else f"cn-test.{vnode.id}"
        expected = SOUND | CHANGED[defect]
        assert observe(fleet, cluster, vnode, name, expected) == expected
        assert vnode.reports.warnings == []


def test_one_that_never_registers_has_authenticated(fleet: FleetRig, cluster: ClusterRig) -> None:
    """It asks for its certificate as a sound one does, and then no Node comes."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(
        cluster.kubeconfig(cluster.bootstrap_token()), "vnode-never-registers", tls_bootstrap=True
    ) as vnode:
        cluster.decide(cluster.next_request(seen))
        with fleet.vnode(cluster.kubeconfig(cluster.service_account_token())) as other:
            other.reports.state("Ready")
            cluster.wait_node(other, "True")
        assert [n for n in cluster.kube.list("/api/v1/nodes") if vnode.id in n["metadata"]["name"]] == []
        assert vnode.reports.warnings == []


def test_stopped_heartbeats_make_the_node_unknown(fleet: FleetRig, cluster: ClusterRig) -> None:
    """It is Ready, then the node controller marks it, while its process lives."""
    with fleet.vnode(cluster.kubeconfig(cluster.service_account_token()), "heartbeat-stops") as vnode:
        vnode.reports.state("Ready")
        cluster.wait_node(vnode, "True")
        cluster.wait_node(vnode, "Unknown", seconds=20)
        assert cluster.kube.raw(f"{vnode.node_path}:10255/proxy/healthz").status == 200


@pytest.mark.parametrize("port", [10250, 10255])
def test_a_dropped_port_is_silent_and_the_other_open(fleet: FleetRig, cluster: ClusterRig, port: int) -> None:
    """Packets to one port are swallowed: a dial from the control plane's host times out."""
    with fleet.vnode(cluster.kubeconfig(cluster.service_account_token()), f"port-{port}-dropped") as vnode:
        vnode.reports.state("Ready")
        assert dial(vnode.address, port) == "timed out"
        assert dial(vnode.address, 10255 if port == 10250 else 10250) == "connected"


def test_a_dropped_return_path_leaves_the_vnode_its_own_connections(
    fleet: FleetRig, cluster: ClusterRig
) -> None:
    """The VNode comes Ready, and nobody can open a connection to it."""
    with fleet.vnode(cluster.kubeconfig(cluster.service_account_token()), "return-path-dropped") as vnode:
        vnode.reports.state("Ready")
        assert [dial(vnode.address, port) for port in (10250, 10255)] == ["timed out", "timed out"]
        cluster.wait_node(vnode, "True")
        assert vnode.reports.warnings == []


def test_a_clock_that_is_behind_finds_the_server_s_certificate_not_valid_yet(
    fleet: FleetRig, cluster: ClusterRig
) -> None:
    """The certificate is real, and younger than the VNode's clock is behind."""
    token = cluster.service_account_token()
    with fleet.vnode(cluster.kubeconfig(token), "clock-skew-behind") as vnode:
        assert "x509: certificate has expired or is not yet valid: current time" in vnode.reports.message()
        assert " is before " in vnode.reports.message()


def test_a_clock_that_is_ahead_shows_in_the_heartbeats(fleet: FleetRig, cluster: ClusterRig) -> None:
    """The Node's own times are hours ahead of the server's."""
    with fleet.vnode(cluster.kubeconfig(cluster.service_account_token()), "clock-skew-ahead") as vnode:
        vnode.reports.state("Ready")
        node = cluster.wait_node(vnode, "True")
        heartbeat = next(c["lastHeartbeatTime"] for c in node["status"]["conditions"] if c["type"] == "Ready")
        assert heartbeat[:13] > node["metadata"]["creationTimestamp"][:13]


def test_every_defect_is_known_to_the_fleet_and_no_other(fleet: FleetRig) -> None:
    """A name that is none is refused with the list of those that are."""
    with pytest.raises(FleetRefused, match="unknown defect 'no-such-thing'; known: address-outside-vswitch"):
        fleet.launch("{}", "no-such-thing")
    assert set(CHANGED) <= set(FLEET_DEFECTS)


def dial(address: str, port: int, seconds: float = 1.0) -> str:
    """What comes of a TCP connection from this process."""
    import socket

    try:
        with socket.create_connection((address, port), seconds):
            return "connected"
    except TimeoutError:
        return "timed out"
    except OSError as error:
        return error.strerror
