"""The kubeconfig as client-go reads it on a machine that has none of the files it may name."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import yaml

_HTTPS_PORT = 443
#: libyaml's, in a twentieth of the time; the ECI API has refused what is nested deeper than its recursion goes.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KubeconfigRefused(Exception):
    """The kubeconfig cannot be used; the text is in client-go's words."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Which API server to speak to, how to know it, and what to show it."""

    #: URL without a final slash, as the kubeconfig has it.
    server: str
    ca_pem: str = field(default="", repr=False)
    insecure: bool = False
    tls_server_name: str = ""
    token: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """The API server's name or address."""
        return urlsplit(self.server).hostname or ""

    @property
    def port(self) -> int:
        """The API server's port."""
        return urlsplit(self.server).port or _HTTPS_PORT


@lru_cache(maxsize=1)
def parse_kubeconfig(text: str) -> ClusterAccess:
    """What the current context of a kubeconfig (YAML or JSON) gives. Raises `KubeconfigRefused`."""
    try:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        raise KubeconfigRefused(f"error loading config: yaml: {type(error).__name__}") from error
    if not isinstance(document, Mapping) or not document.get("clusters"):
        raise KubeconfigRefused("invalid configuration: no configuration has been provided")
    name = str(document.get("current-context") or "")
    context = _named(document, "contexts", name, "context")
    cluster_name, user_name = str(context.get("cluster") or ""), str(context.get("user") or "")
    cluster = _named(document, "clusters", cluster_name, "cluster")
    user = _named(document, "users", user_name, "user") if user_name else {}
    wrongs = _file_references(cluster_name, cluster, user_name, user)
    if not cluster.get("server"):
        wrongs.append(f'no server found for cluster "{cluster_name}"')
    if wrongs:
        raise KubeconfigRefused(
            f"invalid configuration: {wrongs[0] if len(wrongs) == 1 else '[' + ', '.join(wrongs) + ']'}"
        )
    if user.get("exec"):
        raise KubeconfigRefused(
            f"getting credentials: exec: executable {user['exec'].get('command', '')} not found"
        )
    return ClusterAccess(
        server=str(cluster["server"]).rstrip("/"),
        ca_pem=_inline(cluster, "certificate-authority-data"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        token=str(user.get("token") or ""),
        certificate_pem=_inline(user, "client-certificate-data"),
        key_pem=_inline(user, "client-key-data"),
    )


def _named(document: Mapping[str, Any], section: str, name: str, kind: str) -> Mapping[str, Any]:
    for entry in document.get(section) or ():
        if isinstance(entry, Mapping) and entry.get("name") == name:
            content = entry.get(kind)
            return content if isinstance(content, Mapping) else {}
    raise KubeconfigRefused(f'invalid configuration: {kind} "{name}" does not exist')


def _file_references(
    cluster_name: str, cluster: Mapping[str, Any], user_name: str, user: Mapping[str, Any]
) -> list[str]:
    """Each file named and not inlined: a VNode's machine does not have it, and none of ours is read."""
    wrongs = []
    for entry, key, what, owner in (
        (cluster, "certificate-authority", "certificate-authority", cluster_name),
        (user, "client-certificate", "client-cert", user_name),
        (user, "client-key", "client-key", user_name),
        (user, "tokenFile", "token file", user_name),
    ):
        path = entry.get(key)
        if path and not entry.get(f"{key}-data"):
            wrongs.append(
                f"unable to read {what} {path} for {owner} due to open {path}: no such file or directory"
            )
    return wrongs


def _inline(entry: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode(str(entry.get(key) or ""), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise KubeconfigRefused(f"error loading config: illegal base64 data in {key}") from error
