"""The docker command: what is asked of it, and what a person is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from vnode_suite.clusters.kind.docker import Docker
from vnode_suite.core.errors import ClusterError

DockerThat = Callable[..., Any]


def test_a_machine_without_docker_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And which provider needs none."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterError, match=r"no docker command on PATH.*--vnode-cluster local"):
        Docker.find()


@pytest.mark.parametrize(
    "answer",
    [
        (1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."),
        '{"ServerErrors": ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock."]}',
    ],
)
def test_a_daemon_that_does_not_answer_is_one_error_whatever_the_client_makes_of_it(
    docker_that: DockerThat, answer: Any
) -> None:
    """Clients of some releases end with 0 and say it in a field."""
    with pytest.raises(ClusterError, match=r"does not answer.*Cannot connect.*DOCKER_HOST"):
        docker_that({("info",): answer}).docker.info()


def test_the_daemon_says_which_cgroups_there_are(docker_that: DockerThat) -> None:
    """What kubelets depend on."""
    said = '{"ServerVersion": "20.10.24", "CgroupVersion": "1", "CgroupDriver": "cgroupfs", "Driver": "overlay2"}'
    info = docker_that({("info",): said}).docker.info()
    assert (info.version, info.cgroup_version, info.storage_driver) == ("20.10.24", "1", "overlay2")


def test_a_command_that_fails_says_what_docker_said(docker_that: DockerThat) -> None:
    """The end of its standard error, and which command it was."""
    with pytest.raises(ClusterError, match=r"`docker network rm` failed.*has active endpoints"):
        docker_that({("network", "rm"): (1, "network k has active endpoints")}).docker("network", "rm", "k")


def test_a_pipe_fails_with_either_of_its_ends(docker_that: DockerThat) -> None:
    """An archive that was cut off must not become an image."""
    fake = docker_that({("import",): "sha256:1"})
    with pytest.raises(ClusterError, match="exit 3 and 0"):
        fake.docker.pipe([sys.executable, "-c", "raise SystemExit(3)"], "import", "-", "x")
    assert fake.docker.pipe([sys.executable, "-c", "pass"], "import", "-", "x").strip() == "sha256:1"


def test_a_cluster_is_removed_with_volumes_and_network(docker_that: DockerThat) -> None:
    """kind itself leaves the network."""
    fake = docker_that({("ps",): "c1\nc2", ("network", "ls"): "n1"})
    fake.docker.remove_cluster("vnode-suite-a")
    assert fake.calls == [
        ["ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster=vnode-suite-a"],
        ["rm", "--force", "--volumes", "c1", "c2"],
        ["network", "ls", "--quiet", "--filter", "name=^vnode-suite-a$"],
        ["network", "rm", "vnode-suite-a"],
    ]


def test_removing_a_cluster_that_is_gone_is_no_error(docker_that: DockerThat) -> None:
    """The nets come more than once."""
    fake = docker_that({})
    fake.docker.remove_cluster("vnode-suite-a")
    assert [call[0] for call in fake.calls] == ["ps", "network"]
