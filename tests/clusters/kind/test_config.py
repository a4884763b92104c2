"""What kind and kubeadm are told."""

from __future__ import annotations

import tomllib

import yaml

from vnode_suite.clusters.kind.config import KindOrder, cluster_config

ORDER = KindOrder("vnode-suite-a", "kindest/node:v1", "172.20.0.1")
CONFIG = cluster_config(ORDER)


def test_the_api_server_is_published_where_vnodes_reach_it() -> None:
    """kind puts that address into the certificate too."""
    assert CONFIG["networking"] == {"apiServerAddress": "172.20.0.1"}
    assert CONFIG["nodes"] == [{"role": "control-plane", "image": "kindest/node:v1"}]


def test_etcd_writes_to_the_nodes_memory_and_nobody_is_elected() -> None:
    """And nothing else of kubeadm's control plane is changed."""
    (patch,) = map(yaml.safe_load, CONFIG["kubeadmConfigPatches"])
    alone = {"extraArgs": {"leader-elect": "false"}}
    assert patch == {
        "kind": "ClusterConfiguration",
        "etcd": {"local": {"dataDir": "/tmp/etcd"}},
        "controllerManager": alone,
        "scheduler": alone,
    }
    assert "&" not in CONFIG["kubeadmConfigPatches"][0], "an anchor, which not every reader of YAML heeds"


def test_pods_start_where_no_score_may_be_lowered() -> None:
    """A patch that is no TOML would keep containerd from starting."""
    (patch,) = map(tomllib.loads, CONFIG["containerdConfigPatches"])
    assert patch["plugins"]["io.containerd.grpc.v1.cri"] == {"restrict_oom_score_adj": True}


def test_the_node_is_the_container_that_kind_will_make() -> None:
    """The one name that is not ours to choose."""
    assert ORDER.node == "vnode-suite-a-control-plane"
