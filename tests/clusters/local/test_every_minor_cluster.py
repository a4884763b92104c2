"""Every minor boots with the same code, and behaves as its named facts say."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.arguments import ControlPlaneSettings
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import start_local_cluster
from vnode_suite.clusters.local.sources import Source, SourceUnavailable
from vnode_suite.clusters.local.sources.folder import StoredPrograms
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.processes import Supervisor
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import KubernetesVersion, load_versions

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

POD = {"metadata": {"name": "first"}, "spec": {"containers": [{"name": "main", "image": "none.invalid/x"}]}}


def sign(kube: KubeClient, version: KubernetesVersion) -> x509.Certificate:
    """Ask for a client certificate, approve, and return what was signed."""
    facts = version.facts
    path = f"/apis/certificates.k8s.io/{facts.csr_api}/certificatesigningrequests"
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:vnodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:vnode:test"),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {
        "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["digital signature", "key encipherment", "client auth"],
    }
    created = kube.create(path, {"metadata": {"name": "join"}, "spec": spec})
    assert ("signerName" in created["spec"]) is facts.csr_signer_name
    created["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "Test"}]}
    kube.replace(f"{path}/join/approval", created)
    pem = kube.wait_for(
        f"{path}/join",
        lambda csr: csr and csr.get("status", {}).get("certificate"),
        deadline_seconds=20,
        what="the certificate",
    )
    return x509.load_pem_x509_certificate(base64.b64decode(pem))


def check_facts(kube: KubeClient, stranger: KubeClient, version: KubernetesVersion) -> None:
    """What the server itself shows of the named facts."""
    facts = version.facts
    groups = {group["name"]: group["versions"] for group in kube.get("/apis")["groups"]}
    for group, served in (
        ("coordination.k8s.io", facts.lease_apis_served),
        ("apiextensions.k8s.io", facts.crd_apis_served),
        ("certificates.k8s.io", facts.csr_apis_served),
    ):
        assert {each["version"] for each in groups[group]} == set(served), group
    assert (kube.raw("/readyz").status == 200) is (facts.ready_path == "/readyz")
    system_node = kube.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node")
    granted = any("leases" in rule.get("resources", []) for rule in system_node["rules"])
    assert granted is facts.lease_for_vnode
    assert stranger.raw("/api").status == facts.anonymous_api_status
    assert stranger.raw("/version").status == 200


@pytest.mark.parametrize("minor", load_versions().window("2024-02").minors)
def test_a_minor_boots_signs_cleans_and_is_as_its_facts_say(minor: str, tmp_path: Path) -> None:
    """Pod creatable, request signed, expired token cleaned, silent Node noticed, facts seen on the server."""
    version = load_versions().resolve(minor)
    stored: list[Source] = [StoredPrograms(Store.default())]
    try:
        stored[0].obtain(version, SilentProgress())
    except SourceUnavailable:
        pytest.skip(f"{minor} is not in the store: vnode-suite assets fetch {minor}")
    settings = ControlPlaneSettings(node_monitor_grace_seconds=2)
    with Supervisor() as supervisor:
        binaries = obtain_binaries(version, sources=stored)
        with (
            start_local_cluster(
                version, tmp_path, supervisor, binaries=binaries, settings=settings
            ) as cluster,
            KubeClient.from_kubeconfig_text(cluster.admin_kubeconfig) as kube,
        ):
            assert kube.server_version()["gitVersion"] == f"v{binaries.version}"
            kube.create("/api/v1/namespaces/default/pods", POD)
            expire_a_token(kube)
            kube.create("/api/v1/nodes", {"metadata": {"name": "silent"}})
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
            kube.patch("/api/v1/nodes/silent/status", {"status": {"conditions": [ready]}}, type="strategic")
            assert "CN=system:vnode:test" in sign(kube, version).subject.rfc4514_string()
            with KubeClient.anonymous(cluster.server_url, cluster.ca_pem) as stranger:
                check_facts(kube, stranger, version)
            kube.wait_for(
                "/api/v1/nodes/silent",
                lambda node: node and node["status"]["conditions"][0]["status"] == "Unknown",
                deadline_seconds=20,
                what="node silent to be unknown",
            )
            kube.wait_for(
                "/api/v1/namespaces/kube-system/secrets/bootstrap-token-aaaaaa",
                lambda secret: secret is None,
                deadline_seconds=20,
                what="the expired token to be gone",
            )
            assert sum(cluster.memory_pss().values()) < 600 * 2**20
            cluster.check_running()


def expire_a_token(kube: KubeClient) -> None:
    """A bootstrap token that has expired, for `tokencleaner`."""
    data = {
        "token-id": "aaaaaa",
        "token-secret": "a" * 16,
        "usage-bootstrap-authentication": "true",
        "expiration": "2020-01-01T00:00:00Z",
    }
    body = {
        "metadata": {"name": "bootstrap-token-aaaaaa"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    kube.create("/api/v1/namespaces/kube-system/secrets", body)
