"""The main job end to end, undisturbed, interrupted, killed and dealt out to workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vnode_suite.cleanup.journal import read
from vnode_suite.cleanup.sweep import sweep
from vnode_suite.core.polling import poll

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]

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


def test_an_administrator_s_credential_may_be_used_as_it_is(launch) -> None:
    """Conformant, with what it could do beyond need said; the control is a credential that may do nothing."""
    chosen = ("--vnode-identity", "admin", "--vnode-clause", "PERM,KCFG-11,KCFG-12")
    job = launch("--vnode-profile", "standard", "--vnode-controls", "on", *chosen)
    assert job.ended() == 0, job.output
    said = {row["clause"]: row["actual"] for row in job.report["results"]}
    assert "delete secrets" in said["KCFG-11"]
    assert "system:serviceaccount:kube-system:" in said["KCFG-12"]
    caught = {row["clause"] for row in job.report["controls"] if row["defect"] == "admin-without-rights"}
    assert {"PERM-01", "PERM-02", "PERM-05", "PERM-06"} <= caught
    assert all(row["caught"] for row in job.report["controls"])
    assert not job.report["cleanup"]["left"]


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


#: Clause, last day and what becomes of the waiver where NODE-03 fails and NODE-01 holds.
HOLDS = ("NODE-03", "2999-12-31", "used")
STALE = ("NODE-01", "2999-12-31", "stale")
OVER = ("NODE-01", "2020-01-31", "expired")


@pytest.mark.parametrize(("waivers", "status"), [((HOLDS,), 0), ((HOLDS, STALE), 13), ((HOLDS, OVER), 13)])
def test_a_waiver_stands_beside_the_status_and_ends(
    launch, tmp_path: Path, waivers: tuple[tuple[str, str, str], ...], status: int
) -> None:
    """The failure stays one, with the reason beside it; a waiver that excuses nothing or is over exits 13."""
    row = '[[waiver]]\nclause = "{}"\ncell = "*"\nreason = "ticket 7"\nowner = "platform"\nexpires = {}\n'
    file = tmp_path / "waivers.toml"
    file.write_text("".join(row.format(*each[:2]) for each in waivers), encoding="utf-8")
    job = launch(
        f"--vnode-waivers={file}",
        "--vnode-profile=standard",
        "--vnode-identity=serviceaccount",
        "--vnode-clause=NODE-01,NODE-03",
        "--vnode-defect=wrong-type-label",
    )
    assert job.ended() == status, job.output
    results = {each["clause"]: each for each in job.report["results"]}
    assert (results["NODE-03"]["status"], results["NODE-03"]["waiver"]) == ("failed", "ticket 7")
    assert (results["NODE-01"]["status"], results["NODE-01"]["waiver"]) == ("passed", None)
    told = [(each["clause"], each["expires"], each["state"]) for each in job.report["verdict"]["waivers"]]
    assert told == list(waivers)
    assert "Waived: NODE-03" in job.output


@pytest.mark.long
def test_renewals_are_watched_on_a_control_plane_of_their_own(launch) -> None:
    """Two renewals in time; the right taken away and a VNode that never asks are named; standard says it looks not."""
    job = launch(
        "--vnode-profile=full",
        "--vnode-controls=on",
        "--vnode-identity=bootstrap",
        "--vnode-clause=CREATE-07",
    )
    assert job.ended() == 0, job.output
    (row,) = [row for row in job.report["results"] if row["clause"] == "CREATE-07"]
    assert (row["status"], "2 renewals" in row["actual"]) == ("passed", True)
    (signer,) = [each["text"] for each in row["evidence"] if each["name"] == "signed by"]
    assert "kube-controller-manager v1.22" in signer
    caught = {each["defect"]: each["observed_reason"] for each in job.report["controls"]}
    assert caught == {"renewal-stops": "not-renewed", "selfnodeclient-missing": "renewal-not-approved"}
    assert job.traces() == []


@pytest.mark.long
def test_a_defect_fails_what_it_declares_and_nothing_else() -> None:
    """The five ways of breaking a join that the sweep is first asked for, each against a sound run."""
    five = ("approver-off", "kubeconfig-wrong-ca", "pods-patch-missing", "port-10255-closed")
    done = subprocess.run(
        [sys.executable, "benchmarks/defect_sweep.py", *five, "kube-proxy-not-excluded"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.returncode, "5 defects, 0 not as declared" in done.stdout) == (0, True), done.stdout
