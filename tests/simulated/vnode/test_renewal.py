"""Renewal of the client certificate, with a signer of the test's own that gives short lives."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.simulated.vnode.rig import ClusterRig, FleetRig

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.slow]

#: Seconds that a certificate lives after it was signed; it is backdated as Kubernetes' own signer does.
LIFE = 8
BACKDATED = timedelta(minutes=5)


def sign(cluster: ClusterRig, request: dict[str, Any], life: float = LIFE) -> None:
    """Approve a request and put a certificate of the cluster's own authority into it."""
    layout = cluster.cluster.layout
    authority = x509.load_pem_x509_certificate(layout.certificate("ca").read_bytes())
    key = serialization.load_pem_private_key(layout.key("ca").read_bytes(), None)
    asked = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(seconds=life))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    path = f"{cluster.requests_path}/{request['metadata']['name']}"
    current = cluster.kube.get(path)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    current.setdefault("status", {})["certificate"] = base64.b64encode(pem).decode()
    cluster.kube.replace(f"{path}/status", current)
    cluster.decide(request)


def test_a_certificate_is_renewed_before_it_expires(fleet: FleetRig, cluster: ClusterRig) -> None:
    """Two renewals, each asked for as the certificate's own user, while the Node stays Ready and unwarned."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(cluster.kubeconfig(cluster.bootstrap_token()), tls_bootstrap=True) as vnode:
        first = cluster.next_request(seen)
        sign(cluster, first)
        vnode.reports.state("Ready")
        for _ in range(2):
            renewal = cluster.next_request(seen, seconds=LIFE)
            assert renewal["spec"]["username"] == f"system:vnode:{vnode.id}"
            assert renewal["spec"]["request"] != first["spec"]["request"]
            sign(cluster, renewal)
            vnode.reports.message("client certificate renewed, valid until")
        path = cluster.run_pod(vnode, f"p-{vnode.id}")
        cluster.wait_pod(path)
        cluster.kube.delete(path)
        cluster.wait_node(vnode, "True")
        assert vnode.reports.warnings == []


def test_a_certificate_that_is_not_renewed_ends_as_unauthorized(fleet: FleetRig, cluster: ClusterRig) -> None:
    """With `renewal-stops` no second request is made; the server then refuses the expired certificate."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(
        cluster.kubeconfig(cluster.bootstrap_token()), "renewal-stops", tls_bootstrap=True
    ) as vnode:
        sign(cluster, cluster.next_request(seen), life=6)
        vnode.reports.state("Ready")
        assert vnode.reports.message("failed to update node status").endswith(": Unauthorized")
        assert {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)} <= seen


def test_a_denied_renewal_is_named_and_the_certificate_kept(fleet: FleetRig, cluster: ClusterRig) -> None:
    """A VNode whose renewal is denied says so, and lives on with the certificate that it has."""
    seen = {item["metadata"]["name"] for item in cluster.kube.list(cluster.requests_path)}
    with fleet.vnode(cluster.kubeconfig(cluster.bootstrap_token()), tls_bootstrap=True) as vnode:
        request = cluster.next_request(seen)
        sign(cluster, request, life=12)
        vnode.reports.state("Ready")
        cluster.decide(cluster.next_request(seen), "Denied")
        message = vnode.reports.message("failed to renew client certificate")
        assert "is denied, reason: Test" in message
        assert cluster.wait_node(vnode, "True")
