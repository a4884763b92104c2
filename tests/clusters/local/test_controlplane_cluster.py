"""A control plane of 1.22, booted once and looked at from several sides."""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError, KubeUnreachable
from vnode_suite.clusters.local.arguments import COMPONENTS, ControlPlaneSettings
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import LocalCluster, start_local_cluster
from vnode_suite.core.errors import ClusterError, DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.xdist_group("local-1.22")]

VERSION = load_versions().resolve("1.22")
POD = {"metadata": {"name": "first"}, "spec": {"containers": [{"name": "main", "image": "none.invalid/x"}]}}
PODS = "/api/v1/namespaces/default/pods"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A control plane whose certificate also names a load balancer."""
    folder = tmp_path_factory.mktemp("cluster")
    settings = ControlPlaneSettings(extra_names=["api.example.com"], node_monitor_grace_seconds=2)
    with Supervisor(log=folder / "supervisor.log") as supervisor:
        binaries = obtain_binaries(VERSION)
        with start_local_cluster(
            VERSION, folder / "cluster", supervisor, binaries=binaries, settings=settings
        ) as running:
            yield running


@pytest.fixture(scope="module")
def admin(cluster: LocalCluster) -> Iterator[KubeClient]:
    """The administrator's client."""
    with KubeClient.from_kubeconfig_text(cluster.admin_kubeconfig) as client:
        yield client


def test_a_pod_can_be_created_at_once(admin: KubeClient) -> None:
    """Usable means usable: no waiting for the `default` ServiceAccount."""
    assert admin.create(PODS, POD)["metadata"]["name"] == "first"


def test_the_server_is_of_the_version_that_the_binaries_claim(
    cluster: LocalCluster, admin: KubeClient
) -> None:
    """A report takes the version from the server's own mouth."""
    assert admin.server_version()["gitVersion"] == f"v{cluster.provenance['kube-apiserver']['version']}"
    assert cluster.version_info["gitVersion"] == admin.server_version()["gitVersion"]


def test_all_four_run_and_tell_their_memory(cluster: LocalCluster) -> None:
    """The budget of a version is measured from these."""
    cluster.check_running()
    memory = cluster.memory_pss()
    assert set(memory) == set(COMPONENTS)
    assert all(2**20 < size < 500 * 2**20 for size in memory.values())


def test_the_serving_certificate_names_what_clients_call_the_server(cluster: LocalCluster) -> None:
    """Clients look at the alternative names alone."""
    parts = urlsplit(cluster.server_url)
    pem = ssl.get_server_certificate((str(parts.hostname), int(parts.port or 0)))
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    dns = names.value.get_values_for_type(x509.DNSName)
    assert {"localhost", "kubernetes", "kubernetes.default.svc", "api.example.com"} <= set(dns)
    assert {str(each) for each in names.value.get_values_for_type(x509.IPAddress)} == {
        "127.0.0.1",
        "10.96.0.1",
    }


def test_there_is_no_plain_text_port(cluster: LocalCluster) -> None:
    """TLS only: whoever speaks HTTP is turned away by each of the four."""
    layout = cluster.layout
    ports = (layout.etcd_port, layout.api_server_port, layout.controller_manager_port, layout.scheduler_port)
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
            plain.sendall(b"GET /version HTTP/1.0\r\n\r\n")
            answer = plain.recv(1024)
        assert b" 200 " not in answer


def test_etcd_is_closed_to_the_clusters_own_certificates(cluster: LocalCluster) -> None:
    """A VNode with a signed certificate must not read etcd."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(cluster.layout.certificate("admin"), cluster.layout.key("admin"))
    with socket.create_connection(("127.0.0.1", cluster.layout.etcd_port), timeout=30) as raw:
        answer = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError), context.wrap_socket(raw) as tls:
            tls.sendall(b"GET /version HTTP/1.0\r\n\r\n")
            answer = tls.recv(1024)
    assert answer == b""


def bootstrap_token(admin: KubeClient) -> str:
    """A bootstrap token that the cluster knows."""
    identity, secret = secrets.token_hex(3), secrets.token_hex(8)
    data = {
        "token-id": identity,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:test",
    }
    body = {
        "metadata": {"name": f"bootstrap-token-{identity}"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    admin.create("/api/v1/namespaces/kube-system/secrets", body)
    return f"{identity}.{secret}"


def test_a_bootstrap_token_opens_the_server_to_its_groups(cluster: LocalCluster, admin: KubeClient) -> None:
    """Known, and allowed nothing yet: 403 names the user; an unknown token gets 401."""
    token = bootstrap_token(admin)
    with KubeClient.with_token(cluster.server_url, cluster.ca_pem, token) as client:
        with pytest.raises(KubeError) as caught:
            client.list(CSRS)
        assert caught.value.status == 403
        assert f"system:bootstrap:{token.partition('.')[0]}" in caught.value.message
    with KubeClient.with_token(cluster.server_url, cluster.ca_pem, "000000.0000000000000000") as stranger:
        assert stranger.raw("/api/v1/nodes").status == 401


def test_an_expired_bootstrap_token_is_cleaned_away(admin: KubeClient) -> None:
    """`tokencleaner` is off by default and must be on here."""
    body = {
        "metadata": {"name": "bootstrap-token-aaaaaa"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "aaaaaa",
            "token-secret": "a" * 16,
            "usage-bootstrap-authentication": "true",
            "expiration": "2020-01-01T00:00:00Z",
        },
    }
    path = "/api/v1/namespaces/kube-system/secrets"
    admin.create(path, body)
    admin.wait_for(
        f"{path}/bootstrap-token-aaaaaa",
        lambda secret: secret is None,
        deadline_seconds=20,
        what="its deletion",
    )


def test_a_request_is_signed_once_it_is_approved_and_its_certificate_opens_the_server(
    cluster: LocalCluster, admin: KubeClient
) -> None:
    """The join's core: key, request, approval, certificate, identity."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:vnodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:vnode:test"),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {
        "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["digital signature", "key encipherment", "client auth"],
    }
    admin.create(CSRS, {"metadata": {"name": "vnode-test"}, "spec": spec})
    with pytest.raises(DeadlineExceeded, match=r"waited 0\.5 s for a certificate; found: .*vnode-test"):
        admin.wait_for(
            f"{CSRS}/vnode-test",
            lambda csr: csr and csr["status"].get("certificate"),
            deadline_seconds=0.5,
            what="a certificate",
        )
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "by the test"}
    admin.patch(f"{CSRS}/vnode-test/approval", {"status": {"conditions": [approved]}})
    certificate = admin.wait_for(
        f"{CSRS}/vnode-test",
        lambda csr: csr and csr["status"].get("certificate"),
        deadline_seconds=10,
        what="a certificate",
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = base64.b64decode(certificate).decode()
    with (
        KubeClient.with_certificate(cluster.server_url, cluster.ca_pem, pem, key_pem.decode()) as vnode,
        pytest.raises(KubeError, match='User "system:vnode:test" cannot list resource "nodes"'),
    ):
        vnode.list("/api/v1/nodes")


def test_a_service_account_gets_tokens_that_the_server_takes(
    cluster: LocalCluster, admin: KubeClient
) -> None:
    """TokenRequest needs the signing key and the issuer."""
    path = "/api/v1/namespaces/default/serviceaccounts"
    admin.create(path, {"metadata": {"name": "vnode"}})
    answer = admin.create(f"{path}/vnode/token", {"spec": {"expirationSeconds": 600}})
    with (
        KubeClient.with_token(cluster.server_url, cluster.ca_pem, answer["status"]["token"]) as client,
        pytest.raises(KubeError, match="system:serviceaccount:default:vnode"),
    ):
        client.list("/api/v1/nodes")


def test_a_node_without_heartbeat_is_noticed_within_the_short_grace(admin: KubeClient) -> None:
    """Kubernetes' own 40 s would dominate a run, and outlast the deadline here."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
    admin.create("/api/v1/nodes", {"metadata": {"name": "silent"}})
    admin.patch("/api/v1/nodes/silent/status", {"status": {"conditions": [ready]}}, type="strategic")
    admin.wait_for(
        "/api/v1/nodes/silent",
        lambda node: node and any(c["status"] == "Unknown" for c in node["status"].get("conditions", [])),
        deadline_seconds=30,
        what="node silent to be unknown",
    )
    admin.delete("/api/v1/nodes/silent")


def test_many_access_reviews_are_answered_in_order(admin: KubeClient) -> None:
    """PERM asks for dozens of rights at once."""
    questions = [AccessRequest("list", "pods"), AccessRequest("get", path="/version")] * 20
    answers = admin.access_reviews(questions, user="nobody", groups=["system:authenticated"])
    assert [answer.request for answer in answers] == questions
    assert [answer.allowed for answer in answers] == [False, True] * 20
    assert admin.access_review(AccessRequest("delete", "nodes", name="x")).allowed


def test_a_watch_is_ended_from_another_thread(admin: KubeClient) -> None:
    """A run that closes does not wait for a watch to end by itself."""
    began = time.monotonic()
    with admin.open_watch("/api/v1/namespaces/default/endpoints", timeout_seconds=60) as stream:
        timer = threading.Timer(0.3, stream.close)
        timer.start()
        for _ in stream:
            pass
    assert time.monotonic() - began < 60


def test_a_watch_begins_with_what_is_there_and_goes_on_with_what_changes(admin: KubeClient) -> None:
    """One stream, no gap between the list and the changes."""
    path = "/api/v1/namespaces/default/configmaps"
    admin.create(path, {"metadata": {"name": "before"}})
    timer = threading.Timer(0.3, lambda: admin.delete(f"{path}/before"))
    timer.start()
    seen = []
    for event in admin.watch(path, timeout_seconds=10, fieldSelector="metadata.name=before"):
        seen.append(event.type)
        if event.type == "DELETED":
            break
    assert seen == ["ADDED", "DELETED"]


def test_a_stranger_to_the_authority_cannot_connect(cluster: LocalCluster) -> None:
    """A wrong CA is a client-side error and no HTTP status."""
    from vnode_suite.clusters.local.certificates import CertificateAuthority

    foreign = CertificateAuthority("somebody else").certificate_pem
    with (
        KubeClient.anonymous(cluster.server_url, foreign) as client,
        pytest.raises(KubeUnreachable) as caught,
    ):
        client.get("/version")
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.detail


def test_no_log_holds_a_key_or_a_token(cluster: LocalCluster, admin: KubeClient) -> None:
    """Logs are kept as evidence."""
    token = bootstrap_token(admin)
    text = "".join(log.read_text(encoding="utf-8", errors="replace") for log in cluster.logs.values())
    assert "PRIVATE KEY" not in text
    assert token.partition(".")[2] not in text


def test_stopping_leaves_the_logs_and_nothing_else(tmp_path: Path) -> None:
    """No process, no port, no key."""
    binaries = obtain_binaries(VERSION)
    with Supervisor() as supervisor:
        running = start_local_cluster(VERSION, tmp_path / "c", supervisor, binaries=binaries)
        pids = [process.pid for process in running.processes.values()]
        ended = running.stop()
        assert len(ended) == len(pids) == 4
        assert supervisor.running() == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    left = {
        path.relative_to(tmp_path / "c").as_posix() for path in (tmp_path / "c").rglob("*") if path.is_file()
    }
    assert left == {f"logs/{component}.log" for component in COMPONENTS}


KILLED = """
import pathlib, sys, time
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import start_local_cluster
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

version, supervisor = load_versions().resolve("1.22"), Supervisor()
folder = pathlib.Path(sys.argv[1])
cluster = start_local_cluster(version, folder, supervisor, binaries=obtain_binaries(version))
print(supervisor.pid, *(process.pid for process in cluster.processes.values()), flush=True)
time.sleep(600)
"""


def test_a_killed_run_leaves_no_process_and_no_key(tmp_path: Path) -> None:
    """`kill -9` of pytest, with a whole control plane up."""
    argv = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == 5
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        assert any((tmp_path / "pki").iterdir())
        run.kill()
    poll(
        lambda: None if any(Path(f"/proc/{pid}").exists() for pid in pids) else True,
        what="the control plane and its supervisor to be gone",
        deadline_seconds=15,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"logs"}


def test_a_component_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    """A flag that the version has not, say."""
    settings = ControlPlaneSettings(extra_arguments={"kube-apiserver": ["--no-such-flag"]})
    binaries = obtain_binaries(VERSION)
    with Supervisor() as supervisor:
        with pytest.raises(ClusterError, match="did not start") as caught:
            start_local_cluster(VERSION, tmp_path, supervisor, binaries=binaries, settings=settings)
        assert supervisor.running() == []
    assert "kube-apiserver ended with status 1" in str(caught.value)
    assert "unknown flag: --no-such-flag" in str(caught.value)
    assert not (tmp_path / "pki").exists()
