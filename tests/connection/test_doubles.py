"""Servers that stand where an API server would."""

from __future__ import annotations

import base64
import json

import yaml

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.connection.doubles import OverloadedDouble

SOUND = yaml.safe_dump(
    {
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "vnode", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "vnode"}}],
        "current-context": "c",
    }
)


def test_a_busy_server_tells_its_version_and_turns_everything_else_away() -> None:
    """A VNode gets as far as discovery, and is told to come back later."""
    with OverloadedDouble({"gitVersion": "v1.22.15"}, "127.0.0.1") as busy:
        text = busy.kubeconfig(SOUND)
        assert base64.b64decode(yaml.safe_load(text)["clusters"][0]["cluster"]["certificate-authority-data"])
        with KubeClient.from_kubeconfig_text(text) as kube:
            assert json.loads(kube.raw("/version").text) == {"gitVersion": "v1.22.15"}
            answers = [kube.raw("/apis"), kube.raw("/api/v1/nodes", "POST", body={"kind": "Node"})]
    assert [answer.status for answer in answers] == [429, 429]
    assert {answer.text for answer in answers} == {"Too many requests, please try again later.\n"}
