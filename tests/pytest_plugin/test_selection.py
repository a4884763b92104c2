"""Choosing and ordering as a pytest user knows it."""

from __future__ import annotations

import pytest
from tests_of_plugin import CLAUSES, Outcome, Project


def ran(outcome: Outcome) -> list[tuple[str, str]]:
    """(cell, clause) in the order in which they were judged."""
    return [(e["cell"], e["clause"]) for e in outcome.of_type("result") if e["status"] == "passed"]


def test_walk_goes_cell_by_cell_and_closes_last(project: Project) -> None:
    """Both cells of a version are closed after both were walked; what was watched meanwhile comes just before."""
    outcome = project.run()
    assert outcome.status == 0, outcome.output
    first, second = "1.22-bootstrap", "1.22-serviceaccount"
    steps = [clause for clause in CLAUSES if not clause.startswith("CLEAN") and clause != "NODE-02"]
    walk = [(cell, clause) for cell in (first, second) for clause in steps]
    closing = [(cell, clause) for clause in ("NODE-02", "CLEAN-01") for cell in (first, second)]
    assert ran(outcome) == [*walk, *closing]


def test_nobody_changes_the_order_of_the_steps(project: Project) -> None:
    """Neither a plugin that shuffles nor ``--ff``."""
    straight = ran(project.run())
    (project.folder / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items): items.reverse()\n", encoding="utf-8"
    )
    for folder in project.reports.iterdir():
        folder.rename(project.folder / f"earlier-{folder.name}")
    assert ran(project.run("--ff")) == straight


def test_mark_with_its_argument_selects_a_clause(project: Project) -> None:
    """The rest is out of scope, and the run says that it was a selection."""
    outcome = project.run("-m", "clause(id='NODE-01')")
    assert outcome.status == 0, outcome.output
    assert {clause for _, clause in ran(outcome)} == {"NODE-01"}
    assert outcome.statuses()["PRE-01", "1.22-bootstrap"] == "out-of-scope"
    assert not outcome.report["verdict"]["accepted"]


@pytest.mark.parametrize(("defect", "told"), [("port-10250-closed", True), ("vnode-never-registers", False)])
def test_a_defect_that_nothing_selected_can_notice_is_told(project: Project, defect: str, told: bool) -> None:
    """A conformant verdict would say nothing of it."""
    outcome = project.run("-m", "clause(id='NODE-01')", f"--vnode-defect={defect}")
    notes = [note["text"]["en"] for note in outcome.of_type("note") if isinstance(note["text"], dict)]
    assert [f"--vnode-defect {defect}: nothing" in note for note in notes] == [True] * told


def test_keyword_selects_a_cell(project: Project) -> None:
    """The other cell is not part of the run."""
    outcome = project.run("-k", "bootstrap")
    assert outcome.status == 0, outcome.output
    assert [cell["cell"] for cell in outcome.of_type("run-started")[0]["cells"]] == ["1.22-bootstrap"]
    assert set(outcome.statuses()) == {(clause, "1.22-bootstrap") for clause in CLAUSES}


def test_one_item_by_its_id(project: Project) -> None:
    """As pytest prints it."""
    outcome = project.run("scenarios/test_10_pre.py::test_pre_02[1.22-serviceaccount]")
    assert outcome.status == 0, outcome.output
    assert ran(outcome) == [("1.22-serviceaccount", "PRE-02")]


def test_clause_left_out_of_one_cell_is_out_of_scope_there(project: Project) -> None:
    """And judged in the other."""
    outcome = project.run("-k", "not (pre_01 and bootstrap)")
    assert outcome.status == 0, outcome.output
    statuses = outcome.statuses()
    assert statuses["PRE-01", "1.22-bootstrap"] == "out-of-scope"
    assert statuses["PRE-01", "1.22-serviceaccount"] == "passed"


def test_option_selects_chapters_and_clauses(project: Project) -> None:
    """``--vnode-clause`` again: the command line's last word is added to the first."""
    outcome = project.run("--vnode-clause", "PRE")
    assert outcome.status == 0, outcome.output


def test_nothing_selected_is_exit_five(project: Project) -> None:
    """And leaves no folder behind."""
    outcome = project.run("-k", "no_such_scenario")
    assert outcome.status == 5, outcome.output
    assert not list(project.reports.iterdir())


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_collecting_alone_runs_and_writes_nothing(project: Project, workers: tuple[str, ...]) -> None:
    """``--collect-only`` lists the items in their order."""
    outcome = project.run("--collect-only", "-q", *workers)
    assert outcome.status == 0, outcome.output
    items = [line for line in outcome.output.splitlines() if "::" in line]
    assert len(items) == 2 * len(CLAUSES)
    assert items[0] == "scenarios/test_10_pre.py::test_pre_01[1.22-bootstrap]"
    assert items[-1] == "scenarios/test_90_clean.py::test_clean_01[1.22-serviceaccount]"
    assert not list(project.reports.iterdir())


def test_failed_clause_rejects(project: Project) -> None:
    """Exit 1; all else is judged all the same."""
    outcome = project.run(fake="PRE-02@1.22=fail")
    assert outcome.status == 1, outcome.output
    assert sorted(set(outcome.statuses().values())) == ["failed", "passed"]


def test_stopping_at_the_first_failure_still_rejects(project: Project) -> None:
    """What was not looked at could not run; that is no error of the harness."""
    outcome = project.run("-x", fake="PRE-02@1.22=fail")
    assert outcome.status == 1, outcome.output
    statuses = outcome.statuses()
    assert statuses["PRE-02", "1.22-bootstrap"] == "failed"
    assert statuses["CLEAN-01", "1.22-serviceaccount"] == "could-not-run"


def test_broken_harness_is_exit_twelve(project: Project) -> None:
    """And says so for the item."""
    outcome = project.run(fake="PRE-02@1.22=break")
    assert outcome.status == 12, outcome.output
    assert outcome.statuses()["PRE-02", "1.22-bootstrap"] == "error"


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_scenario_that_cannot_be_read_is_never_zero(project: Project, workers: tuple[str, ...]) -> None:
    """Nothing is judged by halves."""
    (project.folder / "scenarios" / "test_70_port.py").write_text("import no_such_module\n", encoding="utf-8")
    outcome = project.run(*workers)
    assert outcome.status in (2, 12), outcome.output
    assert "no_such_module" in outcome.output


def test_verbose_names_each_item(project: Project) -> None:
    """With ``-v`` pytest's own lines are there; without, only progress is."""
    loud = project.run("-v").output
    assert "test_pre_01[1.22-bootstrap]" in loud
    assert "PASSED" in loud
    quiet = project.run().output
    assert "test_pre_01" not in quiet
    assert "control plane 1.22 usable" in quiet
