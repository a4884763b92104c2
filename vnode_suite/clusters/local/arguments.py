"""What each process of a control plane is started with, as data.

A set is a list of flags over the names in `ControlPlaneLayout`; where minors differ a flag is asked of a
named fact of the version. Everything the cluster's users may change is a field of `ControlPlaneSettings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vnode_suite.clusters.local.certificates import Validity
from vnode_suite.data.versions import VersionFacts

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
#: The processes of a control plane, in the order in which they need each other.
COMPONENTS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER)

LOOPBACK = "127.0.0.1"
#: Advertised where the API server is bound to loopback: a loopback address may not stand in Endpoints, and
#: without any the server looks for a default route, which a sandbox may not have. From TEST-NET-1 (RFC 5737).
UNROUTED_ADDRESS = "192.0.2.9"
SERVICE_CIDR = "10.96.0.0/16"
#: The API server gives the Service `kubernetes` the first address of the range.
FIRST_SERVICE_ADDRESS = "10.96.0.1"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc"


#: kube-controller-manager's default is 40 s; nobody wants to wait for that because a machine is busy.
LONGEST_GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """What may be chosen about a control plane."""

    #: Address that the API server listens on and is reached at; it listens nowhere else. A bridge's address
    #: makes it reachable from network namespaces.
    address: str = LOOPBACK
    #: Seconds without heartbeat until a Node is NotReady. Kubernetes' default is 40: too long for a run.
    node_monitor_grace_seconds: float = 6.0
    #: The grace is longer than that on a busy machine, where heartbeats are late: so many times what its API server
    #: took to answer, :data:`LONGEST_GRACE_SECONDS` at most. 0 for the same on every machine.
    node_monitor_grace_starts: float = 0.0
    #: How often the node controller looks. Kubernetes' default is 5 s, for clusters of thousands.
    node_monitor_period_seconds: float = 0.5
    #: Seconds that Pods stay bound to a NotReady Node, where a Pod does not say itself (1.13-1.26).
    pod_eviction_seconds: float = 300.0
    #: Life of certificates signed for CertificateSigningRequests, in seconds. Kubernetes' default is a year.
    cluster_signing_seconds: float = 8 * 3600.0
    #: Names and addresses that the serving certificate holds beside the usual ones.
    extra_names: Sequence[str] = ()
    #: All names and addresses of the serving certificate; None for the usual ones and `extra_names`.
    serving_names: Sequence[str] | None = None
    #: When the serving certificate holds; None for now.
    serving_validity: Validity | None = None
    #: Where the API server has a network of its own: the command that enters it, put before the program, and the port
    #: that it listens on there. Empty and 0 for this machine's network and a port that nobody has.
    api_server_entry: Sequence[str] = ()
    api_server_port: int = 0
    #: Address of this machine that etcd listens on: one that the API server's network reaches.
    etcd_address: str = LOOPBACK
    #: Flags added to a component's own, by component.
    extra_arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def advertised_address(self) -> str:
        """What the Endpoints of the Service `kubernetes` hold."""
        return UNROUTED_ADDRESS if self.address.startswith("127.") else self.address

    def certificate_names(self) -> list[str]:
        """What the API server's certificate is valid for."""
        if self.serving_names is not None:
            return list(self.serving_names)
        service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        usual = ["localhost", LOOPBACK, self.address, *service, f"{service[-1]}.cluster.local"]
        return list(dict.fromkeys([*usual, FIRST_SERVICE_ADDRESS, *self.extra_names]))


@dataclass(frozen=True, slots=True)
class ControlPlaneLayout:
    """Where the files and ports of one control plane are."""

    folder: Path
    etcd_port: int
    api_server_port: int
    controller_manager_port: int
    scheduler_port: int
    etcd_address: str = LOOPBACK

    @property
    def pki(self) -> Path:
        """Folder of keys and certificates (mode 0700)."""
        return self.folder / "pki"

    def certificate(self, name: str) -> Path:
        """The certificate called `name`."""
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key called `name`."""
        return self.pki / f"{name}.key"

    @property
    def tokens(self) -> Path:
        """The static tokens that the API server takes."""
        return self.pki / "tokens.csv"

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of a component or of the administrator."""
        return self.pki / f"{name}.kubeconfig"

    def log(self, component: str) -> Path:
        """The log of a component: evidence, so it holds no secret."""
        return self.folder / "logs" / f"{component}.log"

    @property
    def etcd_url(self) -> str:
        """Where etcd serves clients."""
        return f"https://{self.etcd_address}:{self.etcd_port}"


def etcd_arguments(layout: ControlPlaneLayout) -> list[str]:
    """One member, with its data gone at the end anyway: nothing is synced to disk."""
    return [
        "--name=vnode-suite",
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        # There are no peers; a socket in the folder needs no port.
        "--listen-peer-urls=unix://peer:0",
        "--initial-advertise-peer-urls=unix://peer:0",
        "--initial-cluster=vnode-suite=unix://peer:0",
        f"--cert-file={layout.certificate('etcd')}",
        f"--key-file={layout.key('etcd')}",
        "--client-cert-auth",
        f"--trusted-ca-file={layout.certificate('etcd-ca')}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server_arguments(
    layout: ControlPlaneLayout,
    settings: ControlPlaneSettings,
    facts: VersionFacts,
    *,
    serving_pair: str = API_SERVER,
) -> list[str]:
    """RBAC and Node authorisation, bootstrap tokens, ServiceAccount tokens, TLS only.

    :param serving_pair: name of the certificate and key that it serves with; a second API server on the same
        etcd has another, and a layout with another port.
    """
    arguments = [
        f"--bind-address={settings.address}",
        f"--secure-port={layout.api_server_port}",
        f"--advertise-address={settings.advertised_address}",
        f"--etcd-servers={layout.etcd_url}",
        f"--etcd-cafile={layout.certificate('etcd-ca')}",
        f"--etcd-certfile={layout.certificate('etcd-client')}",
        f"--etcd-keyfile={layout.key('etcd-client')}",
        f"--tls-cert-file={layout.certificate(serving_pair)}",
        f"--tls-private-key-file={layout.key(serving_pair)}",
        f"--client-ca-file={layout.certificate('ca')}",
        f"--kubelet-client-certificate={layout.certificate('kubelet-client')}",
        f"--kubelet-client-key={layout.key('kubelet-client')}",
        f"--token-auth-file={layout.tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={layout.certificate('service-account')}",
        f"--service-account-signing-key-file={layout.key('service-account')}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--allow-privileged=true",
        "--profiling=false",
    ]
    if facts.insecure_port_flag:
        arguments.append("--insecure-port=0")
    return [*arguments, *settings.extra_arguments.get(API_SERVER, ())]


def controller_manager_arguments(
    layout: ControlPlaneLayout, settings: ControlPlaneSettings, facts: VersionFacts
) -> list[str]:
    """All controllers, those for bootstrap tokens included; signs certificates with the cluster's CA."""
    arguments = [
        *_component_arguments(CONTROLLER_MANAGER, layout, layout.controller_manager_port, facts),
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--use-service-account-credentials=true",
        f"--root-ca-file={layout.certificate('ca')}",
        f"--service-account-private-key-file={layout.key('service-account')}",
        f"--cluster-signing-cert-file={layout.certificate('ca')}",
        f"--cluster-signing-key-file={layout.key('ca')}",
        f"{facts.cluster_signing_duration_flag}={_duration(settings.cluster_signing_seconds)}",
        f"--node-monitor-grace-period={_duration(settings.node_monitor_grace_seconds)}",
        f"--node-monitor-period={_duration(settings.node_monitor_period_seconds)}",
        f"--node-startup-grace-period={_duration(settings.node_monitor_grace_seconds)}",
        # The default of 20 a second is what makes a fresh cluster's first seconds slow, not the work itself.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]
    if facts.pod_eviction_timeout_flag:
        arguments.append(f"--pod-eviction-timeout={_duration(settings.pod_eviction_seconds)}")
    return [*arguments, *settings.extra_arguments.get(CONTROLLER_MANAGER, ())]


def scheduler_arguments(
    layout: ControlPlaneLayout, settings: ControlPlaneSettings, facts: VersionFacts
) -> list[str]:
    """The default scheduler."""
    arguments = _component_arguments(SCHEDULER, layout, layout.scheduler_port, facts)
    return [*arguments, *settings.extra_arguments.get(SCHEDULER, ())]


def _component_arguments(
    component: str, layout: ControlPlaneLayout, port: int, facts: VersionFacts
) -> list[str]:
    arguments = [
        f"--kubeconfig={layout.kubeconfig(component)}",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={layout.certificate('components')}",
        f"--tls-private-key-file={layout.key('components')}",
        "--profiling=false",
    ]
    return [*arguments, "--port=0"] if facts.component_port_flag else arguments


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
