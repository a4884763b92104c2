"""Jobs become one run, and two runs are compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stories
from stories import Teller

from vnode_suite.core.errors import UsageError
from vnode_suite.core.ledger import Ledger, read
from vnode_suite.core.secrets import Registry
from vnode_suite.model import Exit, Result, Text
from vnode_suite.report.diff import diff, render_diff
from vnode_suite.report.integrity import verify
from vnode_suite.report.merge import merge_runs
from vnode_suite.report.render import ledgers, render


def job(folder: Path, name: str, **change: Any) -> Path:
    """One CI job's folder."""
    story = replace(stories.passing(folder / name / "events.jsonl"), run_id=name, **change)
    story.tell()
    (folder / name / "evidence").mkdir()
    (folder / name / "evidence" / "log.txt").write_text(name)
    return folder / name


def test_jobs_of_one_acceptance_run_become_one_report(tmp_path: Path) -> None:
    """All cells, all evidence, one verdict, one statement."""
    jobs = [job(tmp_path, f"job-{minor}", versions=(minor,)) for minor in ("1.20", "1.21", "1.22")]
    merged = merge_runs(jobs, tmp_path / "all", stories.catalogue())
    report = merged.report
    assert [cell.version for cell in report.cells] == ["1.20", "1.20", "1.21", "1.21", "1.22", "1.22"]
    assert report.verdict.result is Result.CONFORMANT
    assert report.run.merged == ("job-1.20", "job-1.21", "job-1.22")
    assert (tmp_path / "all" / "evidence" / "job-1.21" / "log.txt").read_text() == "job-1.21"
    assert verify(tmp_path / "all").sound
    events = list(read(tmp_path / "all" / "events.jsonl"))
    assert len({(event["shard"], event["seq"]) for event in events}) == len(events)


def test_the_worst_job_decides(tmp_path: Path) -> None:
    """One that failed, or was killed, is not outvoted."""
    well = job(tmp_path, "well", versions=("1.22",))
    failing = job(tmp_path, "failing", versions=("1.21",), failing={("DS-02", "*"): Text("bound", "绑定")})
    killed = job(tmp_path, "killed", versions=("1.20",), killed_after_cells=1)
    assert (
        merge_runs([well, failing], tmp_path / "a", stories.catalogue()).report.verdict.exit_status
        == Exit.REJECTED
    )
    found = merge_runs([well, failing, killed], tmp_path / "b", stories.catalogue()).report.verdict
    assert found.result is Result.INTERRUPTED


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"suite_version": "0.2.0"}, "suite version"),
        ({"page_revision": "2025-07"}, "page revision"),
        ({"profile": "full"}, "profile"),
        ({"cloud": "live"}, "cloud"),
        ({"selection": ["PORT"]}, "selection"),
        ({"strict": True}, "strict should"),
    ],
)
def test_jobs_that_were_asked_otherwise_are_refused(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    """One verdict over different questions would mean nothing."""
    jobs = [job(tmp_path, "one", versions=("1.21",)), job(tmp_path, "two", **change)]
    with pytest.raises(UsageError, match=named):
        merge_runs(jobs, tmp_path / "all", stories.catalogue())
    assert not (tmp_path / "all").exists()


def test_a_cell_that_was_judged_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two counts, nobody could say."""
    jobs = [job(tmp_path, "one"), job(tmp_path, "two")]
    with pytest.raises(UsageError, match=r"1\.22-bootstrap was judged twice, in one and in two"):
        merge_runs(jobs, tmp_path / "all", stories.catalogue())
    with pytest.raises(UsageError, match="given twice"):
        merge_runs([jobs[0], jobs[0]], tmp_path / "all", stories.catalogue())


def test_a_folder_that_holds_a_run_is_not_written_to(tmp_path: Path) -> None:
    """Merging never overwrites."""
    jobs = [job(tmp_path, "one", versions=("1.21",)), job(tmp_path, "two")]
    with pytest.raises(UsageError, match="holds a run already"):
        merge_runs(jobs, jobs[0], stories.catalogue())


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """With what is wanted."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"events\.jsonl"):
        ledgers(tmp_path / "empty")


def test_the_shards_of_workers_are_one_run(tmp_path: Path) -> None:
    """What xdist's workers wrote is rendered with the controller's ledger."""
    whole = list(read(stories.passing(tmp_path / "whole.jsonl").tell()))
    folder = tmp_path / "run"
    for shard in ("main", "gw0", "gw1"):
        name = "events.jsonl" if shard == "main" else f"events-{shard}.jsonl"
        Ledger(folder / name, Registry(), shard).close()
    places = {"1.22-bootstrap": "events-gw0.jsonl", "1.22-serviceaccount": "events-gw1.jsonl"}
    for event in whole:
        with (folder / places.get(str(event.get("cell")), "events.jsonl")).open("a") as stream:
            stream.write(json.dumps(event) + "\n")
    assert render(folder, stories.catalogue()).report.verdict.result is Result.CONFORMANT


def test_nothing_changed_between_a_run_and_itself(told: Teller, ledger_path: Path) -> None:
    """No noise."""
    report = told(stories.failing(ledger_path))
    found = diff(report, report)
    assert found.empty
    assert not found.worse
    assert "nothing changed" in render_diff(found)


def test_a_difference_tells_clauses_timings_and_versions(told: Teller, tmp_path: Path) -> None:
    """What got worse first, and why."""
    before = told(
        replace(stories.passing(tmp_path / "a.jsonl"), failing={("PORT-02", "*"): Text("closed", "关闭")})
    )
    after = told(
        replace(
            stories.passing(tmp_path / "b.jsonl"),
            versions=("1.22", "1.21"),
            suite_version="0.2.0",
            failing={("DS-02", "1.22-bootstrap"): Text("bound", "绑定")},
        )
    )
    slow = replace(
        after.cells[0], timings=replace(after.cells[0].timings, ready_seconds=31.0), server_version="v1.22.15"
    )
    after = replace(after, cells=(slow, *after.cells[1:]))
    found = diff(before, after)
    assert [(each.clause, each.cell, each.kind) for each in found.outcomes] == [
        ("DS-02", "1.22-bootstrap", "worse"),
        ("PORT-02", "1.22-bootstrap", "better"),
        ("PORT-02", "1.22-serviceaccount", "better"),
    ]
    assert found.worse
    assert found.cells_added == ("1.21-bootstrap", "1.21-serviceaccount")
    assert {each.name for each in found.settings} == {
        "verdict",
        "exit status",
        "suite version",
        "API server of 1.22-bootstrap",
    }
    assert [(each.cell, each.what) for each in found.durations] == [("1.22-bootstrap", "VNode Ready")]
    text = render_diff(found)
    assert "- DS-02 1.22-bootstrap: passed -> failed: bound" in text
    assert "- DS-02 1.22-bootstrap: 通过 -> 未通过: 绑定" in render_diff(found, "zh")
    assert json.loads(json.dumps(found.to_json()))["outcomes"][0]["clause"] == "DS-02"
