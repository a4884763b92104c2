"""One more API server for a control plane that is up: on the same etcd, with the same keys, at a place of its own.

with start_another(cluster, "second", address="10.77.0.21") as second:
    second.server_url, second.admin_kubeconfig
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from vnode_suite.clusters.local import arguments, pki
from vnode_suite.clusters.local.arguments import API_SERVER
from vnode_suite.clusters.local.certificates import CertificateAuthority, KeyPair
from vnode_suite.clusters.local.controlplane import START_DEADLINE_SECONDS, LocalCluster, environment
from vnode_suite.clusters.local.endpoint import Endpoint
from vnode_suite.clusters.local.ports import PortClaims
from vnode_suite.core.errors import ClusterError, DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import OwnedProcess, ProcessError


@dataclass(slots=True)
class AnotherApiServer:
    """A running API server beside the first; a context manager that ends it."""

    server_url: str
    #: A kubeconfig of group system:masters that asks this server. Secret.
    admin_kubeconfig: str
    process: OwnedProcess
    _cluster: LocalCluster = field(repr=False)
    _ports: PortClaims = field(repr=False)

    def stop(self) -> None:
        """End it."""
        self._cluster.supervisor.stop(self.process.name, 0)
        self._ports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_another(
    cluster: LocalCluster,
    name: str,
    *,
    address: str | None = None,
    entry: Sequence[str] = (),
    port: int = 0,
    extra_arguments: Sequence[str] = (),
    names: Mapping[str, KeyPair] | None = None,
    deadline_seconds: float = START_DEADLINE_SECONDS,
) -> AnotherApiServer:
    """Start an API server of *cluster*'s version on its etcd, and return when it is healthy.

    :param name: of its process and files; one of a kind in the cluster.
    :param address: where it listens; the cluster's own by default. With *entry* an address of that network, and *port*
        a port there.
    :param names: certificates that it shows to who asks for one of these names (SNI).
    :raises ClusterError: it ended or did not become healthy; says how its log ends.
    """
    ports = PortClaims()
    host = address or cluster.settings.address
    layout = dataclasses.replace(cluster.layout, api_server_port=port or ports.claim(host))
    shown = [*extra_arguments]
    for number, (served, pair) in enumerate((names or {}).items()):
        pki.add_pair(layout, f"{name}-{number}", pair)
        files = f"{layout.certificate(f'{name}-{number}')},{layout.key(f'{name}-{number}')}"
        shown.append(f"--tls-sni-cert-key={files}:{served}")
    settings = dataclasses.replace(
        cluster.settings, address=host, api_server_entry=entry, extra_arguments={API_SERVER: shown}
    )
    authority = pki.authority(layout)
    pki.add_pair(layout, name, authority.serving("kube-apiserver", settings.certificate_names()))
    url = f"https://{host}:{layout.api_server_port}"
    argv = arguments.api_server_arguments(layout, settings, cluster.facts, serving_pair=name)
    process = cluster.supervisor.start(
        f"{cluster.processes[API_SERVER].name}-{name}",
        [*entry, cluster.binaries.api_server.path, *argv],
        log=layout.log(f"{API_SERVER}-{name}"),
        env=environment(),
        cwd=layout.folder,
        grace_seconds=0,
    )
    server = AnotherApiServer(url, _admin(authority, cluster, url), process, cluster, ports)
    try:
        _await_health(server, cluster, host, layout.api_server_port, deadline_seconds)
    except BaseException as problem:
        server.stop()
        if isinstance(problem, ProcessError | DeadlineExceeded):
            raise ClusterError(f"the API server {name} did not start", found=str(problem)) from None
        raise
    return server


def _admin(authority: CertificateAuthority, cluster: LocalCluster, url: str) -> str:
    pair = authority.client("vnode-suite-admin", [pki.ADMIN_GROUP])
    return pki.kubeconfig(url, cluster.ca_pem, "admin", pki.client_certificate(pair))


def _await_health(
    server: AnotherApiServer, cluster: LocalCluster, host: str, port: int, deadline_seconds: float
) -> None:
    layout, path = cluster.layout, cluster.facts.ready_path
    endpoint = Endpoint(
        host,
        port,
        ca_pem=cluster.ca_pem,
        certificate=layout.certificate("admin"),
        key=layout.key("admin"),
    )

    def healthy() -> bool | None:
        server.process.check_running()
        return endpoint.request("GET", path).ok or None

    try:
        poll(
            healthy,
            what=f"{server.process.name} to answer {path} with ok",
            deadline_seconds=deadline_seconds,
            interval_seconds=0.05,
            last_state=server.process.log_tail,
        )
    finally:
        endpoint.close()
