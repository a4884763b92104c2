"""The keys, certificates and kubeconfigs of one control plane, written where its processes look for them."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vnode_suite.clusters.local.arguments import (
    API_SERVER,
    CONTROLLER_MANAGER,
    LOOPBACK,
    SCHEDULER,
    ControlPlaneLayout,
    ControlPlaneSettings,
)
from vnode_suite.clusters.local.certificates import CertificateAuthority, KeyPair, new_signing_key
from vnode_suite.core.secrets import Secret

#: Members may do everything: RBAC's bootstrap binds it to cluster-admin.
ADMIN_GROUP = "system:masters"


@dataclass(frozen=True, slots=True)
class Material:
    """What the cluster's user gets to see."""

    server_url: str
    ca_pem: str
    admin_kubeconfig: str


def prepare_folders(layout: ControlPlaneLayout) -> None:
    """The folders of a control plane, readable by us alone."""
    for folder in (layout.folder, layout.pki, layout.folder / "logs", layout.folder / "etcd-socket"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def remove(layout: ControlPlaneLayout) -> None:
    """Remove keys and data; the logs stay as evidence."""
    for folder in secret_folders(layout):
        shutil.rmtree(folder, ignore_errors=True)


def secret_folders(layout: ControlPlaneLayout) -> list[Path]:
    """The folders that hold keys, or the Secrets in etcd's data."""
    return [layout.pki, layout.folder / "etcd", layout.folder / "etcd-socket"]


def write(layout: ControlPlaneLayout, settings: ControlPlaneSettings) -> Material:
    """Make and write everything.

    etcd has an authority of its own: a client certificate of the cluster must not open etcd.
    """
    cluster, etcd = CertificateAuthority("kubernetes"), CertificateAuthority("etcd")
    server = cluster.serving("kube-apiserver", settings.certificate_names(), settings.serving_validity)
    pairs = {
        "ca": cluster.pair,
        "kube-apiserver": server,
        "components": cluster.serving("components", ["localhost", LOOPBACK]),
        "kubelet-client": cluster.client("kube-apiserver-kubelet-client", [ADMIN_GROUP]),
        "service-account": new_signing_key(),
        # etcd's own gateway is a client of etcd with the serving certificate, so that serves as both.
        "etcd": etcd.serving_and_client("etcd", ["localhost", LOOPBACK, settings.etcd_address]),
        "etcd-client": etcd.client(API_SERVER),
    }
    users = {
        "admin": cluster.client("vnode-suite-admin", [ADMIN_GROUP]),
        CONTROLLER_MANAGER: cluster.client("system:kube-controller-manager"),
        SCHEDULER: cluster.client("system:kube-scheduler"),
    }
    _write_private(layout.certificate("etcd-ca"), etcd.certificate_pem)
    for name, pair in {**pairs, **users}.items():
        _write_private(layout.certificate(name), pair.certificate_pem)
        _write_private(layout.key(name), pair.key_pem)
    server_url = f"https://{settings.address}:{layout.api_server_port}"
    ca_pem = cluster.certificate_pem
    for name, pair in users.items():
        _write_private(
            layout.kubeconfig(name), kubeconfig(server_url, ca_pem, name, client_certificate(pair))
        )
    # An API server verifies a client's certificate again for every request, and looks a token up.
    token = Secret(secrets.token_hex(16), "admin-token")
    _write_private(layout.tokens, f'{token.reveal()},vnode-suite-admin,vnode-suite-admin,"{ADMIN_GROUP}"\n')
    admin = kubeconfig(server_url, ca_pem, "admin", {"token": token.reveal()})
    return Material(server_url, ca_pem, admin)


def authority(layout: ControlPlaneLayout) -> CertificateAuthority:
    """The cluster's authority of a control plane that was put up before."""
    certificate, key = layout.certificate("ca"), layout.key("ca")
    return CertificateAuthority.of(
        KeyPair(certificate.read_text(encoding="ascii"), key.read_text(encoding="ascii"))
    )


def add_pair(layout: ControlPlaneLayout, name: str, pair: KeyPair) -> None:
    """Write one more certificate and key beside the others; they are removed with them."""
    _write_private(layout.certificate(name), pair.certificate_pem)
    _write_private(layout.key(name), pair.key_pem)


def client_certificate(pair: KeyPair) -> dict[str, str]:
    """A client certificate as kubeconfigs have it."""
    return {
        "client-certificate-data": _base64(pair.certificate_pem),
        "client-key-data": _base64(pair.key_pem),
    }


def kubeconfig(server_url: str, ca_pem: str, user: str, credential: Mapping[str, str]) -> str:
    """A kubeconfig with everything inline, as JSON (which is YAML)."""
    cluster = {"server": server_url, "certificate-authority-data": _base64(ca_pem)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": user, "user": dict(credential)}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
        "current-context": "local",
    }
    return json.dumps(document, indent=2) + "\n"


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
