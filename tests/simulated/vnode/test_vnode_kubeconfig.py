"""What a VNode makes of a kubeconfig."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from vnode_suite.simulated.vnode.kubeconfig import KubeconfigRefused, parse_kubeconfig


def document(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    """A kubeconfig as the page shows it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kubernetes-admin@kubernetes",
        "contexts": [
            {
                "name": "kubernetes-admin@kubernetes",
                "context": {"cluster": "here", "user": "vnode", "namespace": "kube-system"},
            }
        ],
        "clusters": [{"name": "here", "cluster": cluster or {"server": "https://10.0.0.1:6443"}}],
        "users": [{"name": "vnode", "user": user or {"token": "t"}}],
    }


def refusal(content: object) -> str:
    """Why this is refused."""
    with pytest.raises(KubeconfigRefused) as refused:
        parse_kubeconfig(yaml.safe_dump(content))
    return str(refused.value)


def test_the_current_context_is_followed() -> None:
    """Server, authority and token are those that it names; the server's final slash goes."""
    data = base64.b64encode(b"PEM").decode()
    access = parse_kubeconfig(
        yaml.safe_dump(document({"server": "https://api.test/", "certificate-authority-data": data}))
    )
    assert (access.server, access.host, access.port) == ("https://api.test", "api.test", 443)
    assert (access.ca_pem, access.token) == ("PEM", "t")
    assert "PEM" not in repr(access)


def test_what_is_no_kubeconfig_is_refused_in_client_go_s_words() -> None:
    """Empty, broken, and pointing nowhere."""
    assert refusal({}) == "invalid configuration: no configuration has been provided"
    assert refusal("text") == "invalid configuration: no configuration has been provided"
    assert (
        refusal({**document(), "current-context": "x"}) == 'invalid configuration: context "x" does not exist'
    )
    assert refusal({**document(), "users": []}) == 'invalid configuration: user "vnode" does not exist'
    assert (
        refusal(document({"namespace": "x"})) == 'invalid configuration: no server found for cluster "here"'
    )
    with pytest.raises(KubeconfigRefused, match="error loading config: yaml"):
        parse_kubeconfig("{")


def test_a_file_of_another_machine_is_not_read() -> None:
    """A path means nothing where the VNode lives, even if this machine has such a file."""
    cluster = {"server": "https://10.0.0.1:6443", "certificate-authority": "/etc/hostname"}
    assert refusal(document(cluster)) == (
        "invalid configuration: unable to read certificate-authority /etc/hostname for here "
        "due to open /etc/hostname: no such file or directory"
    )
    both = refusal(document(cluster, {"client-certificate": "/a", "client-key": "/b"}))
    assert both.startswith("invalid configuration: [unable to read certificate-authority")
    assert "unable to read client-cert /a for vnode" in both


def test_a_plugin_cannot_be_run() -> None:
    """An exec credential is a program that the VNode's machine does not have."""
    assert refusal(document(user={"exec": {"command": "aws"}})) == (
        "getting credentials: exec: executable aws not found"
    )


def test_data_that_is_not_base64_is_refused() -> None:
    """The key is named, the content is not shown."""
    text = refusal(document(user={"client-key-data": "secret!"}))
    assert text == "error loading config: illegal base64 data in client-key-data"
