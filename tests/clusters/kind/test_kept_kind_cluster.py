"""--vnode-keep on kind, without Docker: what is left alone at the end, what is told of it, and what a sweep does."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from vnode_suite.cleanup.sweep import sweep
from vnode_suite.clusters.kind import cluster as kind_cluster
from vnode_suite.clusters.kind.cluster import Prepared, open_kind_cluster
from vnode_suite.clusters.kind.config import KindOrder, cluster_name, node_name
from vnode_suite.clusters.kind.docker import DockerInfo
from vnode_suite.clusters.kind.nodeimage.build import NodeImage
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.core.documents import dump_yaml
from vnode_suite.core.errors import ClusterError
from vnode_suite.data.versions import load_versions

DockerThat = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
VERSION = load_versions().resolve("1.22")
NAME = cluster_name("kept0001", "1.22")
_KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://10.77.0.1:6443",
                "certificate-authority-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
            },
        }
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
}

#: What a run of one version does when it ends, with `sleep` for the emulator; a fake docker is on its PATH.
_RUN = """
import json, pathlib, sys
from types import SimpleNamespace
from vnode_suite.clusters.kind.config import cluster_name
from vnode_suite.connection.keeping import Keeping
from vnode_suite.connection.run import Run
from vnode_suite.core.modules import command
from vnode_suite.core.settings import CloudSettings, ClusterSettings, ReportSettings, ScopeSettings, Settings
from vnode_suite.model import Cell, Identity, Provider

home = pathlib.Path(sys.argv[1])
settings = Settings(
    cells=(Cell("1.22", Identity.BOOTSTRAP, Provider.KIND),),
    cluster=ClusterSettings(Provider.KIND),
    cloud=CloudSettings(),
    scope=ScopeSettings(),
    report=ReportSettings(),
    keep="always",
)
with Run(settings, "kept0001", home / "report") as run:
    run.supervisor.start("simulated-1.22", ["sleep", "600"], log=home / "log")
    name = cluster_name(run.id, "1.22")
    undo = {"action": "remove-kind-cluster", "cluster": name}
    run.journal.intend("kind cluster", name, undo, where="local").done()
    run.supervisor.at_end(command("vnode_suite.clusters.kind", "remove", name))
    cluster = SimpleNamespace(document={"kind": "Config"})
    cloud = SimpleNamespace(process_name="simulated-1.22")
    keeping = Keeping(
        SimpleNamespace(
            run=run, version_name="1.22", ref="kind-1.22", cluster=cluster, cloud=cloud, server_version="v1.22.15"
        )
    )
    keeping.decide()
    keeping.hand_over()
print(json.dumps(sorted(entry.kind for entry in run.journal.left if entry.id in run.kept)))
print(json.dumps(sorted(entry.kind for entry in run.journal.left)))
"""


class _Kind:
    """pytest-kind's `KindCluster`, which only notes what it was told to do."""

    told: ClassVar[list[str]] = []
    fails = False

    def __init__(self, name: str, *, kubeconfig: Path, **_: Any) -> None:
        self._kubeconfig = kubeconfig

    def create(self, _config: Path) -> None:
        self.told.append("create")
        if self.fails:
            raise subprocess.CalledProcessError(1, "kind")
        self._kubeconfig.write_text(dump_yaml(_KUBECONFIG), encoding="utf-8")

    def delete(self) -> None:
        self.told.append("delete")


class _Kube:
    """An API server whose nodes and Pods are ready at once."""

    server = "https://10.77.0.1:6443"

    @classmethod
    def from_kubeconfig_text(cls, _text: str) -> _Kube:
        return cls()

    def __enter__(self) -> _Kube:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def wait_for(self, *_: Any, **__: Any) -> None:
        return

    wait_for_list = wait_for

    def server_version(self) -> dict[str, str]:
        return {"gitVersion": "v1.22.15"}


@pytest.fixture
def made(
    docker_that: DockerThat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[str], list[list[str]], list[str]]]:
    """Make a cluster that is to be kept or not, and say what was asked of kind and of Docker, and what is gone."""
    module = ModuleType("pytest_kind")
    module.KindCluster = _Kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytest_kind", module)
    monkeypatch.setattr(kind_cluster, "KubeClient", _Kube)
    monkeypatch.setattr(_Kind, "told", [])
    fake = docker_that({("ps",): "c1", ("network", "ls"): "n1"})
    prepared = Prepared(
        fake.docker,
        DockerInfo("20.10", "1", "cgroupfs", "overlay2"),
        Binary("kind", "0.20.0", Path("/nowhere/kind"), {}),
        NodeImage("vnode-suite/node:v1.22.15", "sha256:1"),
    )

    def make(*, keeps: bool, fails: bool = False) -> tuple[list[str], list[list[str]], list[str]]:
        monkeypatch.setattr(_Kind, "fails", fails)
        gone: list[str] = []
        with open_kind_cluster(
            KindOrder(NAME, prepared.image.reference, "10.77.0.1"),
            VERSION,
            prepared,
            folder=tmp_path / "kind",
            evidence=tmp_path,
            keeps=lambda: keeps,
            gone=lambda: gone.append(NAME),
        ):
            pass
        return _Kind.told, fake.calls, gone

    make.calls = lambda: fake.calls  # type: ignore[attr-defined]
    return make


def test_a_cluster_that_is_kept_is_neither_deleted_nor_called_gone(made: Any) -> None:
    """Only its node's logs are taken; what would remove it later still stands."""
    told, calls, gone = made(keeps=True)
    assert (told, gone) == (["create"], [])
    assert [call[0] for call in calls] == ["exec"]


def test_a_cluster_that_is_not_kept_goes_with_its_network(made: Any) -> None:
    """kind deletes it, and Docker is asked for what kind leaves."""
    told, calls, gone = made(keeps=False)
    assert (told, gone) == (["create", "delete"], [NAME])
    assert ["network", "rm", NAME] in calls


def test_a_cluster_that_was_half_made_is_not_kept(made: Any) -> None:
    """There is nothing in it to look at."""
    with pytest.raises(ClusterError, match="made no cluster"):
        made(keeps=True, fails=True)
    assert ["network", "rm", NAME] in made.calls()


def test_a_kept_cluster_is_told_of_and_goes_with_the_sweep(
    docker_that: DockerThat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor of what is kept leaves it alone until the sweep, which removes it, processes and folder."""
    state = tmp_path / "state"
    fake = docker_that({("ps",): "c1", ("network", "ls"): "n1"})
    environment = os.environ | {
        "PATH": f"{fake.home}:{os.environ['PATH']}",
        "VNODE_SUITE_STATE": str(state),
        "PYTHONPATH": str(ROOT),
    }
    monkeypatch.setenv("PATH", environment["PATH"])
    answer = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        assert answer.returncode == 0, answer.stderr
        kept, left = map(json.loads, answer.stdout.splitlines())
        assert kept == left == ["folder", "kind cluster", "processes"]
        told = [json.loads(line) for line in (tmp_path / "report" / "events.jsonl").read_text().splitlines()]
        (line,) = [event["name"] for event in told if event["type"] == "left"]
        kubeconfig = Path(line.partition("KUBECONFIG=")[2].split()[0])
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        assert line.endswith(f"docker exec -it {node_name(NAME)} bash")
        assert fake.calls == []
    finally:
        result = sweep(yes=True, state=state)
    assert result.clean, result.left
    assert {one.entry.kind for one in result.removed} == {"folder", "kind cluster", "processes"}
    assert ["rm", "--force", "--volumes", "c1"] in fake.calls
    assert ["network", "rm", NAME] in fake.calls
    assert not kubeconfig.exists()
