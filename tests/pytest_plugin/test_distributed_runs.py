"""Runs with ``-n 2`` in a world of nothing: nothing vanishes, nothing moves, nothing is started twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests_of_plugin import CLAUSES, Outcome, Project

pytest.importorskip("xdist")
pytestmark = pytest.mark.slow

TWO = ("--vnode-k8s-version", "1.18", "--vnode-k8s-version", "1.22")
THREE = (*TWO, "--vnode-k8s-version", "1.20")


def shards(outcome: Outcome, type_: str) -> list[tuple[str, str]]:
    """(shard, version) of events of one type."""
    return sorted((event["shard"], event["version"]) for event in outcome.of_type(type_))


def test_versions_are_dealt_out_and_one_report_is_written(project: Project) -> None:
    """Two versions, two workers, one control plane each; everything is in one report."""
    outcome = project.run(*TWO, "-n", "2")
    assert outcome.status == 0, outcome.output
    assert [version for _, version in shards(outcome, "cluster-ready")] == ["1.18", "1.22"] or [
        version for _, version in shards(outcome, "cluster-ready")
    ] == ["1.22", "1.18"]
    assert len({shard for shard, _ in shards(outcome, "cluster-ready")}) == 2
    assert len(outcome.statuses()) == 4 * len(CLAUSES)
    assert set(outcome.statuses().values()) == {"passed"}
    # Workers' events are shown while they happen.
    assert "control plane 1.18" in outcome.output
    assert not list((project.folder / "state" / "runs").glob("*"))


@pytest.mark.parametrize("order", ["--dist=load", "--dist=loadgroup", "--dist=worksteal"])
def test_no_dist_option_splits_a_version(project: Project, order: str) -> None:
    """Ours is the scheduler, whatever is asked for."""
    outcome = project.run("-n", "2", order)
    assert outcome.status == 0, outcome.output
    assert len(shards(outcome, "cluster-ready")) == 1


def test_run_is_told_by_the_controller_alone(project: Project) -> None:
    """One beginning and one end, with what was wanted."""
    outcome = project.run(*TWO, "-n", "2")
    (begun,) = outcome.of_type("run-started")
    (ended,) = outcome.of_type("run-finished")
    assert begun["shard"] == ended["shard"] == "main"
    assert {cell["version"] for cell in begun["cells"]} == {"1.18", "1.22"}
    assert ended["exit_status"] == 0


def test_items_of_a_killed_worker_become_errors(project: Project) -> None:
    """Each of them, on no other worker; the other versions go on, and what the worker had is gone."""
    outcome = project.run(*THREE, "-n", "2", fake="NODE-01@1.18=die")
    assert outcome.status == 12, outcome.output
    statuses = outcome.statuses()
    judged_before = {("PRE-01", "1.18-bootstrap"), ("PRE-02", "1.18-bootstrap")}
    lost = {key for key, status in statuses.items() if status == "error"}
    assert lost == {key for key in statuses if key[1].startswith("1.18")} - judged_before
    assert {status for key, status in statuses.items() if key not in lost} == {"passed"}
    assert len(shards(outcome, "cluster-ready")) == 3
    assert "died" in outcome.output
    for note in outcome.of_type("note"):
        process, folder = re.findall(r"process (\d+) folder (\S+)", note["text"])[0]
        assert not Path("/proc", process).exists()
        assert not Path(folder).exists()
    assert not outcome.report["cleanup"]["left"]
    assert not list((project.folder / "state" / "runs").glob("*"))


def test_worker_that_dies_each_time_does_not_hang_the_run(project: Project) -> None:
    """Its item is not run again."""
    outcome = project.run("-n", "2", fake="PRE-01@1.22=die")
    assert outcome.status == 12, outcome.output
    assert set(outcome.statuses().values()) == {"error"}
    assert len(shards(outcome, "cluster-ready")) == 1


def test_secrets_of_workers_are_known_where_files_are_scanned(project: Project) -> None:
    """A worker's secret in a loose file is found by the controller."""
    outcome = project.run(*TWO, "-n", "2", fake="NODE-01@1.18=leak")
    assert outcome.status == 12, outcome.output
    assert "a secret (token) is in evidence/loose.txt" in outcome.output.replace("\n  ", " ")
    assert not [e for e in outcome.events if "hunter2" in str(e)]


def test_secrets_of_a_killed_worker_are_known_too(project: Project) -> None:
    """They came with its reports."""
    outcome = project.run(*TWO, "-n", "2", fake="PRE-02@1.18=leak NODE-01@1.18=die")
    assert "a secret (token) is in evidence/loose.txt" in outcome.output.replace("\n  ", " ")


def test_failure_stops_all_workers_with_x(project: Project) -> None:
    """``-x`` rejects and says what was not looked at, as without ``-n``."""
    outcome = project.run(*TWO, "-n", "2", "-x", fake="PRE-01@1.18=fail")
    assert outcome.status == 1, outcome.output
    statuses = outcome.statuses()
    assert statuses["PRE-01", "1.18-bootstrap"] == "failed"
    assert statuses["CLEAN-01", "1.18-serviceaccount"] == "could-not-run"


def test_nothing_selected_is_exit_five(project: Project) -> None:
    """Also where nobody but workers collects."""
    outcome = project.run("-n", "2", "-k", "no_such_scenario")
    assert outcome.status == 5, outcome.output
    assert not list(project.reports.iterdir())
