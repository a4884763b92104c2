"""VNodes that join a real control plane."""

from __future__ import annotations

import pytest

from tests.simulated.vnode.rig import FAST, ClusterRig, FleetRig
from vnode_suite.simulated.interface import Timing

pytestmark = [pytest.mark.cluster, pytest.mark.netns]


def test_a_service_account_is_enough_to_come_ready(fleet: FleetRig, cluster: ClusterRig) -> None:
    """A VNode with a ServiceAccount token is Ready, with the documented Node."""
    token = cluster.service_account_token()
    taint = {"key": "team", "value": "a", "effect": "NoExecute"}
    with fleet.vnode(
        cluster.kubeconfig(token), taints=(taint,), custom_resources={"example.com/gpu": "2"}
    ) as vnode:
        vnode.reports.state("Ready")
        node = cluster.wait_node(vnode, "True")
        assert node["metadata"]["labels"]["type"] == "virtual-kubelet"
        assert {"key": "k8s.aliyun.com/vnode", "value": "true", "effect": "NoSchedule"} in node["spec"][
            "taints"
        ]
        assert taint in node["spec"]["taints"]
        assert node["status"]["addresses"] == [{"type": "InternalIP", "address": vnode.address}]
        assert node["status"]["capacity"]["example.com/gpu"] == "2"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == cluster.cluster.version_info["gitVersion"]
        assert vnode.reports.warnings == []


def test_a_bootstrap_token_is_used_for_one_request_only(fleet: FleetRig, cluster: ClusterRig) -> None:
    """The bootstrap identity asks for a certificate, and is not used for anything after it."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    token = cluster.bootstrap_token()
    with fleet.vnode(cluster.kubeconfig(token), tls_bootstrap=True) as vnode:
        request = cluster.next_request(seen)
        assert request["spec"]["username"] == f"system:bootstrap:{token.split('.')[0]}"
        assert set(request["spec"]["usages"]) == {"digital signature", "key encipherment", "client auth"}
        cluster.decide(request)
        vnode.reports.state("Ready")
        # The token may go: the VNode heartbeats with its certificate.
        cluster.kube.delete(f"/api/v1/namespaces/kube-system/secrets/bootstrap-token-{token.split('.')[0]}")
        cluster.wait_node(vnode, "True")
        assert vnode.reports.warnings == []


def test_a_request_that_nobody_approves_is_reported_and_still_taken_later(
    fleet: FleetRig, cluster: ClusterRig
) -> None:
    """A pending request is an event that names it, and approval, however late, lets the VNode join."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(cluster.kubeconfig(cluster.bootstrap_token()), tls_bootstrap=True) as vnode:
        request = cluster.next_request(seen)
        name = request["metadata"]["name"]
        message = vnode.reports.message("failed to bootstrap")
        assert (
            message
            == f"failed to bootstrap: timed out waiting for certificate signing request {name} to be approved"
        )
        cluster.decide(request)
        vnode.reports.state("Ready")


def test_a_denied_request_ends_the_join(fleet: FleetRig, cluster: ClusterRig) -> None:
    """A denial is final: the VNode is Failed, says why, and asks no more."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(cluster.kubeconfig(cluster.bootstrap_token()), tls_bootstrap=True) as vnode:
        request = cluster.next_request(seen)
        cluster.decide(request, "Denied")
        vnode.reports.state("Failed")
        assert vnode.reports.warnings == [
            f"failed to bootstrap: certificate signing request {request['metadata']['name']} is denied, "
            "reason: Test, message: decided by a test"
        ]


def test_a_bootstrap_token_without_the_flag_never_bootstraps(fleet: FleetRig, cluster: ClusterRig) -> None:
    """Without TlsBootstrapEnabled the token itself is used, and the server says what it may not do."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(cluster.kubeconfig(cluster.bootstrap_token())) as vnode:
        message = vnode.reports.message("failed to register node")
        assert 'cannot create resource "nodes"' in message
        assert 'User "system:bootstrap:' in message
    assert {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)} <= seen


def test_a_wrong_token_is_unauthorized(fleet: FleetRig, cluster: ClusterRig) -> None:
    """The server's own word is passed on."""
    with fleet.vnode(cluster.kubeconfig("abcdef.0123456789abcdef"), tls_bootstrap=True) as vnode:
        assert vnode.reports.message() == "failed to get kubernetes server version, Unauthorized"


def test_a_stopped_vnode_leaves_its_node_behind(fleet: FleetRig, cluster: ClusterRig) -> None:
    """The VNode may not delete its Node: it goes NotReady once the heartbeats are missed."""
    with fleet.vnode(cluster.kubeconfig(cluster.service_account_token())) as vnode:
        vnode.reports.state("Ready")
        cluster.wait_node(vnode, "True")
    node = cluster.wait_node(vnode, "Unknown", seconds=20)
    assert node["metadata"]["name"].endswith(vnode.id)


def test_the_page_s_timing_is_what_an_order_says(fleet: FleetRig, cluster: ClusterRig) -> None:
    """The text names 32 seconds whatever the scaled time-out is."""
    slow = Timing(client_timeout=0.5, heartbeat=FAST.heartbeat, retry=FAST.retry)
    server = cluster.cluster.server_url
    with fleet.vnode(cluster.kubeconfig("x"), "api-server-unreachable", timing=slow) as vnode:
        assert vnode.reports.message() == (
            f'failed to get kubernetes server version, Get \\"{server}/version?timeout=32s\\": '
            "net/http: request canceled (Client.Timeout exceeded while awaiting headers"
        )
