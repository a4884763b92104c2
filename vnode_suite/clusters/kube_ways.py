"""How the user's kubeconfig reaches a server, for other credentials of the same server: they go the same way."""

from __future__ import annotations

import base64
from typing import Any

#: By server: its proxy, and the name that its certificate is looked at for.
_ways: dict[str, tuple[str | None, str | None]] = {}


def remember_or_recall(settings: Any, given_by_the_user: bool) -> None:
    """Note the way that the user's own kubeconfig takes, or put it into *settings* of another credential.

    :param settings: the Kubernetes client's ``Configuration``.
    """
    if given_by_the_user:
        _ways[settings.host] = (settings.proxy, settings.tls_server_name)
        return
    proxy, name = _ways.get(settings.host, (None, None))
    settings.proxy = settings.proxy or proxy
    settings.tls_server_name = settings.tls_server_name or name


def minimal_kubeconfig(server: str, ca_pem: str, user: dict[str, Any]) -> dict[str, Any]:
    """A kubeconfig of one server and one *user* (the entry's content), as a mapping."""
    cluster = {"server": server, "certificate-authority-data": encoded(ca_pem)}
    return {
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }


def encoded(text: str) -> str:
    """*text* as kubeconfigs hold certificates and keys inline."""
    return base64.b64encode(text.encode()).decode()
