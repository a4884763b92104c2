"""What the page shows, prepared from the report: groups instead of rows, excerpts within a budget."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vnode_suite.model import Level, Status, Text
from vnode_suite.report.collect import as_text
from vnode_suite.report.endings import counts
from vnode_suite.report.figures import Mark, marks
from vnode_suite.report.reproduce import reproduce
from vnode_suite.report.types import (
    CellReport,
    ClauseInfo,
    Control,
    Evidence,
    Report,
    Row,
    StepReport,
    TimelineEntry,
    VNodeEvent,
)

#: Most characters of one excerpt of a row that needs a person's eye; the whole is in ``report.json``.
LONG_EXCERPT = 6000
#: Most characters of one excerpt of a row that is well.
SHORT_EXCERPT = 1500
#: Most characters of excerpts of rows that are well, in the whole page: it stays below 5 MB for the full
#: matrix.
EXCERPT_BUDGET = 1_200_000
#: However small its share of the budget, an excerpt keeps so many characters.
LEAST_EXCERPT = 160

_TROUBLE = (Status.FAILED, Status.COULD_NOT_RUN, Status.ERROR)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of evidence that several cells may share."""

    name: str
    text: str
    form: str
    cut: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The cells in which one clause ended in the same way."""

    rows: tuple[Row, ...]
    excerpts: tuple[Excerpt, ...]

    @property
    def first(self) -> Row:
        """Stands for all of them."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """One clause with how it ended."""

    clause: ClauseInfo
    groups: tuple[Group, ...]
    controls: tuple[Control, ...]

    @property
    def worst(self) -> Status:
        """The status that matters most among its cells."""
        order = [Status.ERROR, Status.FAILED, Status.COULD_NOT_RUN, Status.PASSED, Status.INFO]
        statuses = [group.first.status for group in self.groups]
        return min(
            statuses,
            key=lambda s: order.index(s) if s in order else len(order),
            default=Status.NOT_APPLICABLE,
        )


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that the service's events name, in words."""

    name: str
    title: Text
    remedy: Text | None
    #: The event's text that named it.
    matched: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure, or an error, told in plain words."""

    clause: ClauseInfo
    group: Group
    commands: tuple[str, ...]
    events: tuple[VNodeEvent, ...]
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """What could not run for want of one step."""

    step: str
    detail: Text | None
    rows: tuple[Row, ...]
    #: What the service says, where the step is part of the VNode's way from the call to Ready.
    events: tuple[VNodeEvent, ...]
    causes: tuple[Cause, ...]

    @property
    def clauses(self) -> tuple[str, ...]:
        """Ids, each once."""
        return tuple(dict.fromkeys(row.clause for row in self.rows))

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids, each once."""
        return tuple(dict.fromkeys(row.cell for row in self.rows))


@dataclass(frozen=True, slots=True)
class Join:
    """How one VNode joined."""

    cell: str
    subject: str
    marks: tuple[Mark, ...]
    steps: tuple[StepReport, ...]
    events: tuple[VNodeEvent, ...]


@dataclass(frozen=True, slots=True)
class ControlLine:
    """The same negative control in all cells where it had the same outcome."""

    clause: str
    expected_reason: str
    observed_reason: str
    #: Cells.
    caught: tuple[str, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The page, in the order in which it is read."""

    report: Report
    failures: tuple[Trouble, ...]
    advice: tuple[Trouble, ...]
    errors: tuple[Trouble, ...]
    blocked: tuple[Blocked, ...]
    #: Clauses by chapter.
    chapters: tuple[tuple[str, tuple[Entry, ...]], ...]
    by_clause: dict[str, list[Row]]
    #: Ids of the first cell of each version, before which the matrix leaves a gap.
    firsts: frozenset[str]
    #: Versions with the cells of each.
    columns: tuple[tuple[str, tuple[CellReport, ...]], ...]
    joins: tuple[Join, ...]
    controls: tuple[tuple[str, tuple[ControlLine, ...]], ...]

    def is_advice(self, row: Row) -> bool:
        """Whether *row* is a failure that does not count against the verdict."""
        return row.status is Status.FAILED and not counts(row, self.report)


def view(report: Report) -> View:
    """Prepare the page of *report*."""
    by_clause: dict[str, list[Row]] = defaultdict(list)
    for row in report.results:
        by_clause[row.clause].append(row)
    share = _share(report.results)
    entries = tuple(
        Entry(
            clause,
            _groups(by_clause[clause.id], share),
            tuple(control for control in report.controls if control.clause == clause.id),
        )
        for clause in report.clauses
    )
    troubles = _troubles(report, entries)
    columns = tuple(
        (version, tuple(group))
        for version, group in itertools.groupby(report.cells, key=lambda cell: cell.version)
    )
    return View(
        report=report,
        failures=tuple(
            t for t in troubles if t.group.first.status is Status.FAILED and counts(t.group.first, report)
        ),
        advice=tuple(
            t for t in troubles if t.group.first.status is Status.FAILED and not counts(t.group.first, report)
        ),
        errors=tuple(t for t in troubles if t.group.first.status is Status.ERROR),
        blocked=_blocked(report),
        chapters=tuple(
            (chapter, tuple(group))
            for chapter, group in itertools.groupby(entries, key=lambda e: e.clause.chapter)
        ),
        by_clause=by_clause,
        firsts=frozenset(cells[0].id for _, cells in columns),
        columns=columns,
        joins=_joins(report),
        controls=_controls(report.controls),
    )


def _share(rows: Iterable[Row]) -> int:
    """Characters that each excerpt of a row that is well may have."""
    sizes = [
        min(len(e.text), SHORT_EXCERPT) for row in rows if row.status not in _TROUBLE for e in row.evidence
    ]
    if sum(sizes) <= EXCERPT_BUDGET:
        return SHORT_EXCERPT
    return max(LEAST_EXCERPT, EXCERPT_BUDGET // len(sizes))


def _groups(rows: Sequence[Row], share: int) -> tuple[Group, ...]:
    alike: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        key = (row.status, row.reason, row.expected, row.actual, row.remedy, row.waiver, row.needs, row.grade)
        alike[key].append(row)
    return tuple(Group(tuple(group), _excerpts(group, share)) for group in alike.values())


def _excerpts(rows: Sequence[Row], share: int) -> tuple[Excerpt, ...]:
    most = LONG_EXCERPT if rows[0].status in _TROUBLE else share
    shared: dict[Evidence, list[str]] = defaultdict(list)
    for row in rows:
        for evidence in row.evidence:
            shared[evidence].append(row.cell)
    return tuple(
        Excerpt(e.name, e.text[:most], e.form, len(e.text) > most, tuple(dict.fromkeys(cells)))
        for e, cells in shared.items()
    )


def _troubles(report: Report, entries: Iterable[Entry]) -> tuple[Trouble, ...]:
    told = []
    for entry in entries:
        for group in entry.groups:
            if group.first.status not in (Status.FAILED, Status.ERROR):
                continue
            cells = {row.cell for row in group.rows}
            told.append(
                Trouble(
                    clause=entry.clause,
                    group=group,
                    commands=(reproduce(report, entry.clause.id, report.cell(group.first.cell)),),
                    events=_first_alike(
                        e for e in report.vnode_events if e.cell in cells and e.subject == "sound"
                    ),
                    causes=_causes(report, cells, entry.clause),
                )
            )
    return tuple(sorted(told, key=lambda trouble: trouble.clause.level is not Level.MUST))


def _causes(report: Report, cells: set[str], clause: ClauseInfo | None) -> tuple[Cause, ...]:
    """Causes of a join that failed in *cells*; of those that a clause is not about, none but for a Node's clauses."""
    named = {
        str(cause.get("cause")): Cause(
            str(cause.get("cause")),
            as_text(cause.get("title")) or Text(str(cause.get("cause")), str(cause.get("cause"))),
            as_text(cause.get("remedy")),
            str(cause.get("matched") or ""),
        )
        for diagnosis in report.diagnoses
        if diagnosis.get("cell") in cells and diagnosis.get("subject", "sound") == "sound"
        for cause in diagnosis.get("causes") or ()
        if clause is None or clause.chapter == "NODE" or cause.get("clause") in (clause.id, None)
    }
    return tuple(named.values())


def _first_alike(events: Iterable[VNodeEvent]) -> tuple[VNodeEvent, ...]:
    return tuple({(event.reason, event.message): event for event in events}.values())


def _blocked(report: Report) -> tuple[Blocked, ...]:
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in report.results:
        if row.status is Status.COULD_NOT_RUN:
            waiting[row.needs or row.reason].append(row)
    unreached = {
        step.step: step.detail
        for step in report.steps
        if step.state == "unreached" and step.subject == "sound"
    }
    return tuple(_blocked_by(report, step, unreached.get(step), rows) for step, rows in waiting.items())


def _blocked_by(report: Report, step: str, detail: Text | None, rows: list[Row]) -> Blocked:
    cells = {row.cell for row in rows} if step in ("node", "ready") else set()
    events = _first_alike(e for e in report.vnode_events if e.cell in cells and e.subject == "sound")
    return Blocked(
        step, detail or rows[0].actual, tuple(rows), events, _causes(report, cells, None) if cells else ()
    )


#: Lane and words of the steps of connecting a VNode; another one stands in the suite's lane by its own name.
_STEPS: dict[str, tuple[str, Text]] = {
    "identity": ("cluster", Text("identity and its rights made", "身份与权限已建立")),
    "kubeconfig": ("suite", Text("kubeconfig generated", "kubeconfig 已生成")),
    "preconditions": ("network", Text("preconditions of the call looked at", "已检查创建前提")),
    "exclusion": ("cluster", Text("kube-proxy kept off VNodes", "已对 VNode 排除 kube-proxy")),
    "vnode": ("cloud", Text("VNode created", "VNode 已创建")),
    "node": ("cluster", Text("Node registered", "节点已注册")),
    "ready": ("cluster", Text("Node is Ready", "节点就绪")),
    "schedulable": (
        "cluster",
        Text("open to Pods: the not-ready taint is gone", "可调度：not-ready 污点已去除"),
    ),
    "pod": ("cluster", Text("Pod runs on it", "Pod 已在其上运行")),
}


#: Taken by the suite for itself, at times that say nothing of the VNode.
_BESIDE_THE_JOIN = frozenset({"certificate", "credential"})


def _entry_of(step: StepReport) -> TimelineEntry:
    lane, said = _STEPS.get(step.step, ("suite", Text(step.step, step.step)))
    reached = step.state == "reached"
    missed = Text(f"not reached: {step.step}", f"未到达：{step.step}")
    severity = "normal" if reached else "warning"
    return TimelineEntry(
        step.cell, step.subject, lane, step.at, "suite", said if reached else missed, severity
    )


def _joins(report: Report) -> tuple[Join, ...]:
    entries: dict[tuple[str, str], list[TimelineEntry]] = defaultdict(list)
    for entry in report.timeline:
        entries[entry.cell, entry.subject].append(entry)
    told_better = {(entry.cell, entry.subject, entry.step) for entry in report.timeline if entry.step}
    for step in report.steps:
        ended = step.state in ("reached", "unreached") and step.step not in _BESIDE_THE_JOIN
        if ended and (step.cell, step.subject, step.step) not in told_better:
            entries[step.cell, step.subject].append(_entry_of(step))
    # A twin's join is as it had to be, unless its defect was not noticed; all of them are in report.json.
    missed = {(control.cell, control.defect) for control in report.controls if not control.caught}
    joins = [
        Join(
            cell,
            subject,
            marks(told),
            tuple(s for s in report.steps if (s.cell, s.subject) == (cell, subject)),
            tuple(e for e in report.vnode_events if (e.cell, e.subject) == (cell, subject)),
        )
        for (cell, subject), told in entries.items()
        if subject == "sound" or (cell, subject) in missed
    ]
    order = {cell.id: number for number, cell in enumerate(report.cells)}
    return tuple(sorted(joins, key=lambda join: (join.subject != "sound", order.get(join.cell, len(order)))))


def _controls(controls: Iterable[Control]) -> tuple[tuple[str, tuple[ControlLine, ...]], ...]:
    alike: dict[tuple[str, str, str, str], list[Control]] = defaultdict(list)
    for control in controls:
        alike[control.defect, control.clause, control.expected_reason, control.observed_reason].append(
            control
        )
    by_defect: dict[str, list[ControlLine]] = defaultdict(list)
    for (defect, clause, expected, observed), group in alike.items():
        by_defect[defect].append(
            ControlLine(
                clause,
                expected,
                observed,
                tuple(each.cell for each in group if each.caught),
                tuple(each.cell for each in group if not each.caught),
            )
        )
    return tuple((defect, tuple(lines)) for defect, lines in by_defect.items())
