"""The page's groups, pictures and commands."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import stories
from markupsafe import escape
from stories import Teller

from vnode_suite.core.ledger import read
from vnode_suite.model import Status, Text
from vnode_suite.report.document import build
from vnode_suite.report.figures import marks, ready_chart, timeline
from vnode_suite.report.html import bilingual, render_html
from vnode_suite.report.html_view import view
from vnode_suite.report.reproduce import reproduce

NARROWED = "--vnode-identity bootstrap --vnode-clause DS-02"


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ("pytest", "pytest --region cn-shanghai --vnode-k8s-version 1.22"),
        (
            "pytest --region cn-beijing -n 2 --vnode-k8s-version all --vnode-identity=admin"
            " --vnode-site idc -q",
            "pytest --region cn-beijing --vnode-site idc -q --vnode-k8s-version 1.22",
        ),
        (
            "pytest --kubeconfig 'my file' --region=cn-shanghai",
            "pytest --kubeconfig 'my file' --region=cn-shanghai",
        ),
    ],
)
def test_the_command_repeats_one_clause_in_one_cell(
    told: Teller, ledger_path: Path, argv: str, wanted: str
) -> None:
    """What the run was given stays, cells and clauses are narrowed, nothing is given twice."""
    import shlex

    report = told(stories.passing(ledger_path))
    report = replace(report, run=replace(report.run, argv=tuple(shlex.split(argv))))
    assert reproduce(report, "DS-02", report.cells[0]) == f"{wanted} {NARROWED}"


def test_cells_that_ended_alike_are_one_group(told: Teller, ledger_path: Path) -> None:
    """Ten versions that passed take one paragraph; the one that did not stands apart with its evidence."""
    story = replace(
        stories.failing(ledger_path),
        versions=stories.MINORS,
        failing={("DS-02", "1.19-bootstrap"): Text("bound", "绑定")},
    )
    found = view(told(story))
    (entry,) = [each for _, entries in found.chapters for each in entries if each.clause.id == "DS-02"]
    assert sorted(len(group.rows) for group in entry.groups) == [1, 19]
    assert entry.worst is Status.FAILED
    (trouble,) = found.failures
    assert [row.cell for row in trouble.group.rows] == ["1.19-bootstrap"]


def test_the_steps_are_drawn_with_the_timeline(ledger_path: Path) -> None:
    """A run that told only its steps has a picture all the same; a step not reached is a warning."""
    events = [event for event in read(stories.incomplete(ledger_path).tell()) if event["type"] != "timeline"]
    joins = view(build(events, stories.catalogue())).joins
    assert {join.cell for join in joins} == {"1.22-bootstrap", "1.22-serviceaccount"}
    said = {mark.entry.text.en: mark.entry.severity for mark in joins[0].marks}
    assert said["kubeconfig generated"] == "normal"
    assert said["not reached: ready"] == "warning"


def test_twins_are_drawn_only_where_their_defect_was_missed(ledger_path: Path) -> None:
    """A page with every twin of ten versions would be read by nobody."""
    path = stories.Story(ledger_path, missed=("DS-02",)).tell()
    events = list(read(path))
    moments = [event for event in events if event["type"] == "timeline"]
    twins = [{**moment, "subject": twin} for moment in moments for twin in ("ds-broken", "pre-broken")]
    joins = view(build([*events, *twins], stories.catalogue())).joins
    assert {join.subject for join in joins} == {"sound", "ds-broken"}


def test_no_disc_of_a_timeline_covers_another(told: Teller, ledger_path: Path) -> None:
    """However close two moments of a lane lie, both numbers can be read."""
    report = told(stories.passing(ledger_path))
    entry = report.timeline[0]
    crowded = [replace(entry, at=f"2026-03-01T08:00:00.{number:03d}Z") for number in range(20)]
    svg = timeline(marks([*crowded, replace(entry, at="2026-03-01T08:10:00.000Z")]), "x")
    places = sorted(float(x) for x in re.findall(r'cx="([\d.]+)"', svg))
    assert len(places) == 21
    assert min(after - before for before, after in pairwise(places)) >= 20


def test_the_chart_needs_two_cells(told: Teller, ledger_path: Path) -> None:
    """One bar says nothing that the table does not."""
    report = told(stories.passing(ledger_path))
    assert ready_chart(report.cells).count("<rect") == 2
    assert ready_chart(report.cells[:1]) == ""


def test_backticks_set_code_and_nothing_else_becomes_markup() -> None:
    """A remedy names commands; whatever else it holds is text."""
    shown = bilingual(Text("run `sweep --yes` <now>", "运行 `sweep --yes`"))
    assert "run <code>sweep --yes</code> &lt;now&gt;" in shown


def test_a_join_that_failed_is_explained_by_the_services_events(told: Teller, ledger_path: Path) -> None:
    """Cause and remedy in words, once for all cells, beside the step that was not reached; the raw event too."""
    prepared = view(told(stories.incomplete(ledger_path)))
    (blocked,) = [each for each in prepared.blocked if each.step == "ready"]
    assert [cause.name for cause in blocked.causes] == ["api-server-unreachable"]
    assert blocked.causes[0].remedy is not None
    assert len(blocked.events) == 1
    page = render_html(prepared.report)
    assert "dial tcp 10.0.0.1:6443: i/o timeout" in page
    assert str(escape(blocked.causes[0].title.zh)) in page
