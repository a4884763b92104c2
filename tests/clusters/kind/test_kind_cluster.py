"""A real kind cluster, in whatever Docker this machine has; skipped, with the reason, where there is none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vnode_suite.clusters.kind.cluster import Prepared, open_kind_cluster, prepare
from vnode_suite.clusters.kind.config import KindOrder
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import ClusterError, SuiteError
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import load_versions
from vnode_suite.probes.daemonsets import coverage

VERSION = load_versions().resolve("1.22")
NAME = "vnode-suite-test"

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture
def prepared() -> Prepared:
    """Docker, kind and a node image, as far as they are here: nothing half a gigabyte large is pulled for a test."""
    if importlib.util.find_spec("pytest_kind") is None:
        pytest.skip("pytest-kind is not installed (extra `kind`)")
    try:
        return prepare(VERSION, store=Store.default(), progress=SilentProgress())
    except SuiteError as problem:
        pytest.skip(f"no kind cluster here: {problem.summary} ({problem.found})")


def test_a_kind_cluster_has_kubeadms_own_daemonsets_running_and_goes_without_a_trace(
    prepared: Prepared, tmp_path: Path
) -> None:
    """kube-proxy and kindnet run on a real kubelet; afterwards there is no container and no network."""
    docker = prepared.docker
    order = KindOrder(NAME, prepared.image.reference, "127.0.0.1")
    gone: list[str] = []
    with open_kind_cluster(
        order, VERSION, prepared, folder=tmp_path / "kind", evidence=tmp_path, gone=lambda: gone.append(NAME)
    ) as cluster:
        kube = cluster.kube
        assert str(cluster.version_info["gitVersion"]).startswith("v1.22.")
        for name in ("kube-proxy", "kindnet"):
            seen = coverage(kube, "kube-system", name, [order.node], running=True, deadline_seconds=30).value
            assert seen.covered == (order.node,)
        assert cluster.memory_pss()["kind node"] > 2**20
        assert docker.containers_of(NAME)
    assert gone == [NAME]
    assert docker.containers_of(NAME) == []
    assert docker("network", "ls", "--quiet", "--filter", f"name=^{NAME}$").strip() == ""
    assert "kubelet" in (tmp_path / "node-1.22.log").read_text()
    assert not Path(".pytest-kind").exists()


def test_a_cluster_that_kind_cannot_make_is_an_error_with_what_kind_said(
    prepared: Prepared, tmp_path: Path
) -> None:
    """And what was half made is gone."""
    order = KindOrder(NAME, "vnode-suite/no-such-image:v1", "127.0.0.1")
    with (
        pytest.raises(ClusterError, match=r"(?s)kind 0\.20\.0 made no cluster.*no-such-image"),
        open_kind_cluster(order, VERSION, prepared, folder=tmp_path / "kind", evidence=tmp_path),
    ):
        pytest.fail("there is a cluster of no image")
    assert prepared.docker.containers_of(NAME) == []
