"""What a machine must have before kind is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vnode_suite.clusters.kind.docker import DockerInfo
from vnode_suite.clusters.kind.hostchecks import INOTIFY_INSTANCES, Machine, check_host
from vnode_suite.core.errors import ClusterError
from vnode_suite.data.versions import load_versions

VERSIONS = load_versions()
V1 = DockerInfo("20.10.24", "1", "cgroupfs", "overlay2")
V2 = replace(V1, cgroup_version="2", cgroup_driver="systemd")
ROOMY = Machine(inotify_instances=512, inotify_watches=524288)


@pytest.mark.parametrize("minor", ["1.13", "1.18"])
def test_a_kubelet_before_1_19_is_refused_on_cgroup_v2(minor: str) -> None:
    """It would end with `mountpoint for cpu not found` after minutes of waiting."""
    with pytest.raises(ClusterError, match=rf"kubelet of {minor}.*cgroup v2.*--vnode-cluster local"):
        check_host(VERSIONS.resolve(minor), V2, ROOMY)


@pytest.mark.parametrize(("minor", "docker"), [("1.13", V1), ("1.22", V1), ("1.19", V2), ("1.22", V2)])
def test_what_runs_is_let_through(minor: str, docker: DockerInfo) -> None:
    """v1 suits all; v2 suits 1.19 and later."""
    check_host(VERSIONS.resolve(minor), docker, ROOMY)


def test_too_few_free_inotify_instances_are_refused_with_the_setting() -> None:
    """What is taken counts, not the limit alone."""
    taken = replace(ROOMY, inotify_instances=128, inotify_used=128 - INOTIFY_INSTANCES + 1)
    with pytest.raises(ClusterError, match=r"inotify instances.*105 of 128.*max_user_instances=512"):
        check_host(VERSIONS.resolve("1.22"), V1, taken)
    check_host(VERSIONS.resolve("1.22"), V1, replace(taken, inotify_used=128 - INOTIFY_INSTANCES))


def test_too_few_inotify_watches_are_refused() -> None:
    """Old kernels' default of 8192 is enough for a node."""
    with pytest.raises(ClusterError, match=r"watches.*512.*max_user_watches"):
        check_host(VERSIONS.resolve("1.22"), V1, replace(ROOMY, inotify_watches=512))


def test_the_limits_are_read_from_the_kernel_and_instances_counted(tmp_path: Path) -> None:
    """A process's inotify instances are its descriptors of that name."""
    limits = tmp_path / "sys" / "fs" / "inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_instances").write_text("128\n")
    (limits / "max_user_watches").write_text("8192\n")
    descriptors = tmp_path / "41" / "fd"
    descriptors.mkdir(parents=True)
    (descriptors / "0").symlink_to("/dev/null")
    (descriptors / "7").symlink_to("anon_inode:inotify")
    (tmp_path / "42").mkdir()
    assert Machine.here(tmp_path) == Machine(128, 8192, 1)


def test_without_a_linux_kernel_nothing_is_limited(tmp_path: Path) -> None:
    """Docker Desktop's limits are its own."""
    check_host(VERSIONS.resolve("1.22"), V2, Machine.here(tmp_path))
