"""The main job end to end, undisturbed, interrupted, killed and dealt out to workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vnode_suite.cleanup.journal import read
from vnode_suite.cleanup.sweep import sweep
from vnode_suite.core.polling import poll

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

#: The closing of an interrupted run takes some 2 s on two idle cores; others may use the machine.
CLOSING_SECONDS = 60.0
TWO = ("--vnode-k8s-version", "1.18", "--vnode-k8s-version", "1.22")


def until_without_trace(job, seconds: float = CLOSING_SECONDS) -> None:
    """Wait until no process and no network of a run is left."""
    poll(
        lambda: None if job.traces() else True,
        what="the run to be without a trace",
        deadline_seconds=seconds,
        last_state=lambda: ", ".join(job.traces()),
    )


def test_quick_run_conforms(launch) -> None:
    """Exit 0, both identities judged, one control plane, nothing left."""
    job = launch()
    assert job.ended() == 0, job.output
    verdict = job.report["verdict"]
    assert (verdict["result"], verdict["evidence"], verdict["accepted"]) == ("conformant", "simulated", False)
    assert {cell["identity"] for cell in job.report["cells"]} == {"bootstrap", "serviceaccount"}
    assert {cell["server_version"] for cell in job.report["cells"]} == {"v1.22.15"}
    assert len(job.events("cluster-ready")) == 1
    assert not job.report["cleanup"]["left"]
    assert job.report["cleanup"]["created"]
    assert job.traces() == []
    # Progress is shown while scenarios run, not only between them.
    assert "1.22-bootstrap  ready" in job.output


def test_two_versions_on_two_workers(launch) -> None:
    """One control plane a version, each worker its own; one report with both."""
    pytest.importorskip("xdist")
    job = launch(*TWO, "-n", "2")
    assert job.ended() == 0, job.output
    ready = job.events("cluster-ready")
    assert sorted(event["version"] for event in ready) == ["1.18", "1.22"]
    assert len({event["shard"] for event in ready}) == 2
    assert (
        sorted(cell["server_version"] for cell in job.report["cells"]) == ["v1.18.19"] * 2 + ["v1.22.15"] * 2
    )
    assert job.report["verdict"]["result"] == "conformant"
    assert job.traces() == []


def test_terminated_run_closes_and_reports(launch) -> None:
    """SIGTERM, and the SIGINT that tox sends after it, while VNodes join."""
    job = launch()
    job.until("created", kind="VirtualNode")
    job.process.send_signal(signal.SIGTERM)
    job.process.send_signal(signal.SIGINT)
    assert job.process.wait(CLOSING_SECONDS) == 2, job.output
    assert job.report["verdict"]["result"] == "interrupted"
    assert not job.report["cleanup"]["left"]
    assert job.traces() == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_killed_run_leaves_no_process_and_a_sweep_no_folder(
    launch, workers: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``kill -9`` of pytest while VNodes join."""
    job = launch(*workers)
    job.until("created", kind="VirtualNode")
    assert job.traces()
    job.process.kill()
    job.process.wait()
    until_without_trace(job)
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path / "state"))

    def swept() -> bool | None:
        # A worker that has not noticed yet is a living run, which no sweep looks into.
        result = sweep(yes=True)
        return (result.clean and not result.living) or None

    poll(swept, what="the sweep", deadline_seconds=CLOSING_SECONDS)
    assert not list((tmp_path / "state" / "runs").iterdir())
    assert not list(Path("/tmp").glob(f"vnode-suite-{job.run_id}-*"))


def test_killed_worker_costs_its_version_only(launch, tmp_path: Path) -> None:
    """What it had not judged is an error; the other version is judged; nothing of it is left."""
    pytest.importorskip("xdist")
    job = launch(*TWO, "-n", "2")
    job.until("cluster-ready", version="1.18")
    (event,) = (event for event in job.events("cluster-ready") if event["version"] == "1.18")
    journal = tmp_path / "state" / "runs" / job.run_id / f"journal-{event['shard']}.jsonl"
    os.kill(read(journal).processes[0].pid, signal.SIGKILL)
    assert job.ended() == 12, job.output
    rows = [row for row in job.report["results"] if row["status"] in ("passed", "error")]
    assert {row["status"] for row in rows if row["cell"].startswith("1.22")} == {"passed"}
    assert "error" in {row["status"] for row in rows if row["cell"].startswith("1.18")}
    assert len(job.events("cluster-ready")) == 2
    assert not job.report["cleanup"]["left"]
    assert job.traces() == []
    assert not (tmp_path / "state" / "runs" / job.run_id).exists()
