"""What changed between two acceptance runs: verdict, clauses, timings, versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vnode_suite.model import Language, Status, Text
from vnode_suite.report.codec import encode
from vnode_suite.report.terminal import STATUS_NAMES
from vnode_suite.report.types import Report, Row

#: A duration changed if it differs by more than this share of the former, and by more than these seconds:
#: runs on one machine differ by less.
CHANGED_SHARE = 0.25
CHANGED_SECONDS = 1.0

#: Best first; between others there is no better or worse.
_RANK = {Status.PASSED: 0, Status.COULD_NOT_RUN: 1, Status.ERROR: 1, Status.FAILED: 2}


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that was asked for, or found, differently."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A clause in a cell that ended differently, or failed differently."""

    clause: str
    cell: str
    before: str
    after: str
    #: ``worse``, ``better`` or ``other``.
    kind: str
    actual: Text | None


@dataclass(frozen=True, slots=True)
class Duration:
    """A time that changed by more than the noise, in seconds."""

    cell: str
    what: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changed from one run to another."""

    before: str
    after: str
    settings: tuple[Setting, ...]
    outcomes: tuple[Outcome, ...]
    durations: tuple[Duration, ...]
    cells_added: tuple[str, ...]
    cells_removed: tuple[str, ...]
    clauses_added: tuple[str, ...]
    clauses_removed: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether a clause ended worse than before."""
        return any(outcome.kind == "worse" for outcome in self.outcomes)

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (
            self.settings
            or self.outcomes
            or self.durations
            or self.cells_added
            or self.cells_removed
            or self.clauses_added
            or self.clauses_removed
        )

    def to_json(self) -> dict[str, Any]:
        """As a program wants it."""
        data: dict[str, Any] = encode(self)
        return data


def diff(before: Report, after: Report) -> Difference:
    """Compare two runs, whatever their versions and page revisions."""
    cells = [cell.id for cell in before.cells], [cell.id for cell in after.cells]
    clauses = [clause.id for clause in before.clauses], [clause.id for clause in after.clauses]
    return Difference(
        before=before.run.id,
        after=after.run.id,
        settings=_settings(before, after),
        outcomes=_outcomes(before, after),
        durations=_durations(before, after),
        cells_added=_only_in(cells[1], cells[0]),
        cells_removed=_only_in(cells[0], cells[1]),
        clauses_added=_only_in(clauses[1], clauses[0]),
        clauses_removed=_only_in(clauses[0], clauses[1]),
    )


def _only_in(these: list[str], those: list[str]) -> tuple[str, ...]:
    known = set(those)
    return tuple(each for each in these if each not in known)


def _settings(before: Report, after: Report) -> tuple[Setting, ...]:
    pairs: list[tuple[str, Any, Any]] = [
        ("verdict", before.verdict.result.value, after.verdict.result.value),
        ("exit status", before.verdict.exit_status, after.verdict.exit_status),
        ("evidence", _value(before.verdict.evidence), _value(after.verdict.evidence)),
        ("accepted", before.verdict.accepted, after.verdict.accepted),
    ]
    for field in (
        "suite_version",
        "page_revision",
        "profile",
        "cloud",
        "site",
        "region",
        "selection",
        "controls",
    ):
        pairs.append((field.replace("_", " "), getattr(before.run, field), getattr(after.run, field)))
    former = {cell.id: cell for cell in before.cells}
    for cell in after.cells:
        if cell.id in former:
            pairs.append((f"API server of {cell.id}", former[cell.id].server_version, cell.server_version))
    levels = {clause.id: clause.level.value for clause in before.clauses}
    for clause in after.clauses:
        if clause.id in levels:
            pairs.append((f"level of {clause.id}", levels[clause.id], clause.level.value))
    return tuple(Setting(name, str(one), str(other)) for name, one, other in pairs if one != other)


def _value(grade: object) -> str:
    return str(getattr(grade, "value", "none"))


def _outcomes(before: Report, after: Report) -> tuple[Outcome, ...]:
    former = {(row.clause, row.cell): row for row in before.results}
    changed = []
    for row in after.results:
        old = former.get((row.clause, row.cell))
        if old is None:
            continue
        failed_otherwise = row.status is old.status is Status.FAILED and row.reason != old.reason
        if row.status is not old.status or failed_otherwise:
            changed.append(
                Outcome(row.clause, row.cell, old.status.value, row.status.value, _kind(old, row), row.actual)
            )
    order = {"worse": 0, "other": 1, "better": 2}
    return tuple(sorted(changed, key=lambda outcome: order[outcome.kind]))


def _kind(old: Row, new: Row) -> str:
    if old.status not in _RANK or new.status not in _RANK:
        return "worse" if new.status in (Status.FAILED, Status.ERROR) else "other"
    change = _RANK[new.status] - _RANK[old.status]
    return "worse" if change > 0 else "better" if change < 0 else "other"


def _durations(before: Report, after: Report) -> tuple[Duration, ...]:
    former = {cell.id: cell.timings for cell in before.cells}
    changed = []
    for cell in after.cells:
        if cell.id not in former:
            continue
        old, new = former[cell.id], cell.timings
        pairs = [
            ("VNode Ready", old.ready_seconds, new.ready_seconds),
            ("control plane usable", old.control_plane.get("usable"), new.control_plane.get("usable")),
            ("whole cell", old.total_seconds, new.total_seconds),
        ]
        changed += [
            Duration(cell.id, what, one, other)
            for what, one, other in pairs
            if one is not None and other is not None and _differs(one, other)
        ]
    return tuple(changed)


def _differs(one: float, other: float) -> bool:
    return abs(other - one) > max(CHANGED_SECONDS, CHANGED_SHARE * one)


def render_diff(difference: Difference, language: Language = "en") -> str:
    """The difference as lines for a person."""

    def say(english: str, chinese: str) -> str:
        return chinese if language == "zh" else english

    lines = [f"{difference.before} -> {difference.after}"]
    if difference.empty:
        return "\n".join([*lines, say("nothing changed", "没有变化")]) + "\n"
    lines += [f"  {each.name}: {each.before} -> {each.after}" for each in difference.settings]
    for title, names in (
        (say("cells added", "新增单元"), difference.cells_added),
        (say("cells removed", "减少单元"), difference.cells_removed),
        (say("clauses added", "新增条款"), difference.clauses_added),
        (say("clauses removed", "减少条款"), difference.clauses_removed),
    ):
        if names:
            lines.append(f"  {title}: {', '.join(names)}")
    marks = {"worse": "-", "better": "+", "other": "~"}
    for outcome in difference.outcomes:
        one, other = (STATUS_NAMES[status].of(language) for status in (outcome.before, outcome.after))
        said = f": {outcome.actual.of(language)}" if outcome.actual and outcome.kind == "worse" else ""
        lines.append(f"{marks[outcome.kind]} {outcome.clause} {outcome.cell}: {one} -> {other}{said}")
    lines += [
        f"~ {each.cell} {each.what}: {each.before:.1f} s -> {each.after:.1f} s"
        for each in difference.durations
    ]
    return "\n".join(lines) + "\n"
