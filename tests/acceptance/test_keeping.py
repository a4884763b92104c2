"""--vnode-keep: what stays after a run, how it is reached, and that a sweep takes it away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vnode_suite.cleanup.sweep import sweep
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.polling import poll
from vnode_suite.probes.nodes import ready_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]


#: PORT-01 is not of the quick profile.
_FAILING = ("--vnode-profile=standard", "--vnode-clause=PORT-01,CLEAN", "--vnode-defect=port-10250-closed")


@pytest.mark.parametrize(("options", "status"), [(("always",), 0), (("on-failure", *_FAILING), 1)])
def test_what_is_kept_stays_until_it_is_swept(
    launch, options: tuple[str, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control plane answers and the VNodes are Ready; the sweep leaves neither process nor folder."""
    job = launch("--vnode-keep", *options)
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path / "state"))
    try:
        assert job.ended() == status, job.output
        assert "vnode-suite sweep --yes takes it away" in job.output
        found = re.search(r"export KUBECONFIG=(\S+)", job.output)
        assert found, job.output
        kubeconfig = Path(found[1])
        assert kubeconfig.stat().st_mode & 0o077 == 0
        left = job.report["cleanup"]["left"]
        assert {thing["kind"] for thing in left} >= {
            "control plane",
            "VirtualNode",
            "Secret",
            "network",
            "folder",
        }
        assert all(thing["reason"].startswith("kept: ") for thing in left)
        ids = [thing["id"] for thing in left if thing["kind"] == "VirtualNode"]
        assert len(ids) == 2
        with KubeClient.from_kubeconfig_file(kubeconfig) as kube:
            nodes = {node["metadata"]["name"]: ready_of(node)[0] for node in kube.list("/api/v1/nodes")}
        assert [nodes[f"cn-shanghai.{name}"] for name in ids] == ["True", "True"]
    finally:
        result = sweep(yes=True)
    assert result.clean, result.left
    poll(lambda: None if job.traces() else True, what="everything to be gone", deadline_seconds=60)
    assert not kubeconfig.exists()


def test_a_conformant_run_keeps_nothing_on_failure(launch) -> None:
    """--vnode-keep on-failure is for runs that fail."""
    job = launch("--vnode-keep", "on-failure")
    assert job.ended() == 0, job.output
    assert not job.report["cleanup"]["left"]
    assert job.traces() == []
