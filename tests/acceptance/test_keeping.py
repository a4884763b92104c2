"""--vnode-keep: what stays after a run, how it is reached, and that a sweep takes it away."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.cleanup.sweep import sweep
from vnode_suite.clusters.kind.cluster import prepare
from vnode_suite.clusters.kind.config import cluster_name, node_name
from vnode_suite.clusters.kind.docker import Docker
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.polling import poll
from vnode_suite.core.progress import SilentProgress
from vnode_suite.data.versions import load_versions
from vnode_suite.probes.nodes import ready_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]


#: PORT-01 is not of the quick profile.
_FAILING = ("--vnode-profile=standard", "--vnode-clause=PORT-01,CLEAN", "--vnode-defect=port-10250-closed")


@pytest.mark.parametrize(("options", "status"), [(("always",), 0), (("on-failure", *_FAILING), 1)])
def test_what_is_kept_stays_until_it_is_swept(
    launch, options: tuple[str, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control plane answers and the VNodes are Ready; the sweep leaves neither process nor folder."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path / "state"))
    with _kept(launch("--vnode-keep", *options), status):
        pass


@pytest.mark.parametrize(("options", "status"), [(("always",), 0), (("on-failure", *_FAILING), 1)])
def test_what_is_kept_on_kind_stays_until_it_is_swept(
    launch,
    kind: Docker,
    options: tuple[str, ...],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The container and its network stay as well, and the sweep leaves neither."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path / "state"))
    job = launch("--vnode-cluster", "kind", "--vnode-k8s-version", "1.22", "--vnode-keep", *options)
    with _kept(job, status, "kind cluster"):
        name = cluster_name(job.run_id, "1.22")
        assert f"docker exec -it {node_name(name)} bash" in job.output
        assert kind.containers_of(name)
        assert _networks(kind, name)
    assert kind.containers_of(name) == []
    assert _networks(kind, name) == []


@contextmanager
def _kept(job: Any, status: int, *kinds: str) -> Iterator[None]:
    """Await the end of *job*, see what it keeps, and sweep after the block.

    :param kinds: of things that stay, besides those that always do.
    """
    try:
        assert job.ended() == status, job.output
        assert "vnode-suite sweep --yes takes it away" in job.output
        found = re.search(r"export KUBECONFIG=(\S+)", job.output)
        assert found, job.output
        kubeconfig = Path(found[1])
        assert kubeconfig.stat().st_mode & 0o077 == 0
        left = job.report["cleanup"]["left"]
        always = {"control plane", "VirtualNode", "Secret", "network", "folder"}
        assert {thing["kind"] for thing in left} >= always | set(kinds)
        assert all(thing["reason"].startswith("kept: ") for thing in left)
        ids = [thing["id"] for thing in left if thing["kind"] == "VirtualNode"]
        assert len(ids) == 2
        with KubeClient.from_kubeconfig_file(kubeconfig) as kube:
            nodes = {node["metadata"]["name"]: ready_of(node)[0] for node in kube.list("/api/v1/nodes")}
        assert [nodes[f"cn-shanghai.{name}"] for name in ids] == ["True", "True"]
        yield
    finally:
        result = sweep(yes=True)
    assert result.clean, result.left
    poll(lambda: None if job.traces() else True, what="everything to be gone", deadline_seconds=60)
    assert not kubeconfig.exists()


def _networks(docker: Docker, name: str) -> list[str]:
    return docker("network", "ls", "--quiet", "--filter", f"name=^{name}$").split()


@pytest.fixture
def kind() -> Docker:
    """Docker, where a kind cluster can be made; nothing half a gigabyte large is pulled for a test."""
    if importlib.util.find_spec("pytest_kind") is None:
        pytest.skip("pytest-kind is not installed (extra `kind`)")
    try:
        version = load_versions().resolve("1.22")
        return prepare(version, store=Store.default(), progress=SilentProgress()).docker
    except SuiteError as problem:
        pytest.skip(f"no kind cluster here: {problem.summary} ({problem.found})")


def test_a_conformant_run_keeps_nothing_on_failure(launch) -> None:
    """--vnode-keep on-failure is for runs that fail."""
    job = launch("--vnode-keep", "on-failure")
    assert job.ended() == 0, job.output
    assert not job.report["cleanup"]["left"]
    assert job.traces() == []
