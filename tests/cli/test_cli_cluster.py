"""`vnode-suite cluster`: control planes that stay."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from vnode_suite.cleanup.state import ProcessIdentity
from vnode_suite.clusters.kube import KubeClient, KubeUnreachable
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.polling import poll
from vnode_suite.model import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Command

STANDING = {
    "type": "object",
    "required": ["name", "version", "server", "kubeconfig", "pid", "started", "expires", "running"],
    "properties": {"server": {"pattern": "^https://"}, "running": {"type": "boolean"}},
}


def test_no_cluster_is_up_at_first(vnode_suite: Command) -> None:
    """Listing says so; taking one down that is not there is wrong usage."""
    assert vnode_suite.json("cluster", "list") == []
    assert vnode_suite("cluster", "down", "--all").exit_code == Exit.CONFORMANT
    done = vnode_suite("cluster", "down", "1.22")
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1)


@pytest.mark.parametrize(
    "arguments",
    [["1.12"], ["latest"], ["1.22", "--name", "../out"], ["1.22", "--address", "example.com"]],
)
def test_what_cannot_be_put_up_is_wrong_usage(vnode_suite: Command, arguments: list[str]) -> None:
    """Said before anything is fetched or started."""
    done = vnode_suite("cluster", "up", *arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (4, "", 1)


def test_programs_that_cannot_be_had_leave_nothing(
    vnode_suite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half cluster stays behind."""

    def refuse(*_: object, **__: object) -> None:
        raise ClusterError("no control plane of Kubernetes 1.22 can be had")

    monkeypatch.setattr("vnode_suite.cli.standing.obtain_binaries", refuse)
    done = vnode_suite("cluster", "up", "1.22")
    assert (done.exit_code, "can be had" in done.stderr) == (1, True)
    assert vnode_suite.json("cluster", "list") == []


@pytest.fixture
def up(vnode_suite: Command) -> Iterator[dict[str, Any]]:
    """A cluster that is up."""
    yield vnode_suite.json("cluster", "up", "1.22", "--name", "mine")
    vnode_suite("cluster", "down", "--all")


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cluster_stays_until_it_is_taken_down(vnode_suite: Command, up: dict[str, Any]) -> None:
    """It outlives the command, is found again, and leaves neither process nor file."""
    jsonschema.validate(up, STANDING)
    kubeconfig = Path(up["kubeconfig"])
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(kubeconfig.parent.stat().st_mode) == 0o700
    with KubeClient.from_kubeconfig_file(str(kubeconfig)) as kube:
        assert kube.server_version()["gitVersion"] == f"v{up['version']}"
        assert vnode_suite.json("cluster", "up", "1.22", "--name", "mine") == up
        assert vnode_suite.json("cluster", "list") == [up]
        other = vnode_suite("cluster", "up", "1.19", "--name", "mine")
        assert (other.exit_code, up["version"] in other.stderr) == (4, True)
        plain = vnode_suite("cluster", "up", "1.22", "--name", "mine")
        assert f"export KUBECONFIG={kubeconfig}" in plain.stdout
        done = vnode_suite("cluster", "down", "mine")
        assert done.stdout == "cluster mine is down\n"
        with pytest.raises(KubeUnreachable):
            kube.server_version()
    assert not kubeconfig.parent.exists()
    assert not ProcessIdentity(up["pid"], up["start"]).alive


@pytest.mark.slow
@pytest.mark.cluster
def test_a_killed_keeper_takes_its_processes_along(vnode_suite: Command, up: dict[str, Any]) -> None:
    """It is listed as dead, and can be taken down all the same."""
    with KubeClient.from_kubeconfig_file(up["kubeconfig"]) as kube:
        kube.server_version()
        os.kill(up["pid"], signal.SIGKILL)

        def gone() -> bool | None:
            try:
                kube.server_version()
            except KubeUnreachable:
                return True
            return None

        poll(gone, what="the API server to be gone", deadline_seconds=20)
    (listed,) = vnode_suite.json("cluster", "list")
    assert (listed["name"], listed["running"]) == ("mine", False)
    done = vnode_suite("cluster", "down", "mine")
    assert "had died before" in done.stdout
    assert vnode_suite.json("cluster", "list") == []


@pytest.mark.slow
@pytest.mark.cluster
def test_an_interrupted_start_leaves_nothing(vnode_suite: Command, tmp_path: Path) -> None:
    """Ctrl-C while it starts: nobody would know of a cluster that came up afterwards."""
    env = {**os.environ, "VNODE_SUITE_STATE": str(tmp_path)}
    process = vnode_suite.start("cluster", "up", "1.22", env={**env, "PYTHONPATH": _home()})
    logs = tmp_path / "clusters" / "1.22" / "control-plane" / "logs"
    poll(
        lambda: True if logs.is_dir() and any(logs.iterdir()) else None,
        what="the start to begin",
        deadline_seconds=60,
    )
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert [each.name for each in (tmp_path / "clusters").iterdir()] == ["1.22.lock"]


def _home() -> str:
    from vnode_suite.core.modules import environment

    return environment()["PYTHONPATH"]


def test_a_description_that_is_no_description_is_not_listed(
    vnode_suite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of another format does not break the list."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path))
    folder = tmp_path / "clusters" / "old"
    folder.mkdir(parents=True)
    (folder / "cluster.json").write_text(json.dumps({"name": "old"}), encoding="utf-8")
    assert vnode_suite.json("cluster", "list") == []
