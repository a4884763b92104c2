"""The verdict: one answer from all rows, where the worst wins. Pure: events and catalogue in, verdict out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vnode_suite.core.ledger import Event
from vnode_suite.data.catalogue import Catalogue
from vnode_suite.model import Basis, Exit, Grade, Level, Result, Status, worst
from vnode_suite.report.collect import Collected, collect
from vnode_suite.report.limits import limits
from vnode_suite.report.rows import rows
from vnode_suite.report.types import Row, Verdict, WaiverUse
from vnode_suite.report.waivers import uses, waived, waivers_of
from vnode_suite.report.wording import reasons, scope, stray_results

#: Strongest first.
_GRADES = (Grade.LIVE, Grade.RECORDED, Grade.SIMULATED)
_JUDGED = (Status.PASSED, Status.FAILED)
_SEEN = (*_JUDGED, Status.INFO)
#: Statuses that the run's own end may add to what the rows say; the others are derived from the rows.
_OWN_STATUSES = (Exit.INTERRUPTED, Exit.INTERNAL, Exit.USAGE, Exit.PYTEST, Exit.HARNESS)
_RESULT_OF = {
    Exit.USAGE: Result.ERROR,
    Exit.INTERNAL: Result.ERROR,
    Exit.INTERRUPTED: Result.INTERRUPTED,
    Exit.HARNESS: Result.ERROR,
    Exit.REJECTED: Result.REJECTED,
    Exit.INCOMPLETE: Result.INCOMPLETE,
    Exit.NOTHING: Result.INCOMPLETE,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the rows that it was drawn from."""

    verdict: Verdict
    rows: tuple[Row, ...]


def verdict(events: Iterable[Event], catalogue: Catalogue) -> Verdict:
    """The verdict on the run that *events* tell of."""
    return judge(collect(events), catalogue).verdict


def judge(told: Collected, catalogue: Catalogue) -> Judged:
    """The verdict, and every row."""
    run = told.run
    waivers = [waiver for each in told.runs for waiver in waivers_of(each)]
    began = told.first_at
    all_rows = rows(told, catalogue, waived(waivers, told.results, began))
    strays = told.strays(clause.id for clause in catalogue.clauses)
    used = uses(list(dict.fromkeys(waivers)), all_rows, began)
    strict = bool(run.get("strict_should"))
    exits = _exits(told, all_rows, used, strict)
    if strays:
        exits.add(Exit.HARNESS)
    status = worst(*exits)
    result = _result(exits)
    grade = _weakest(all_rows)
    profile = str(run.get("profile") or "standard")
    return Judged(
        Verdict(
            result=result,
            exit_status=status,
            evidence=grade,
            accepted=status == Exit.CONFORMANT
            and grade is Grade.LIVE
            and profile in ("standard", "full")
            and not run.get("selection"),
            scope=scope(told, all_rows),
            profile=profile,
            waivers=used,
            reasons=(*reasons(told, all_rows, used, strict), *stray_results(strays)),
            counts=dict(Counter(row.status.value for row in all_rows)),
            limits=limits(told, all_rows, catalogue.clauses),
        ),
        all_rows,
    )


def _exits(told: Collected, all_rows: Sequence[Row], used: Sequence[WaiverUse], strict: bool) -> set[Exit]:
    """Every status that something in the run asks for."""
    exits = {exit_ for row in all_rows if (exit_ := _exit_of(row, strict)) is not None}
    exits |= {Exit(status) for status in told.exit_statuses if status in _OWN_STATUSES}
    if not told.ended_in_order:
        exits.add(Exit.INTERRUPTED)
    if told.problems:
        exits.add(Exit.HARNESS)
    if any(not kept(event) for event in told.left.values()):
        exits.add(Exit.LEFT_BEHIND)
    if any(waiver.state in ("stale", "expired") for waiver in used):
        exits.add(Exit.WAIVER)
    if not any(row.status in _SEEN for row in all_rows):
        exits.add(Exit.NOTHING)
    return exits


def _exit_of(row: Row, strict: bool) -> Exit | None:
    if row.status is Status.ERROR:
        return Exit.HARNESS
    if row.level is Level.INFO:
        return None
    if row.status is Status.COULD_NOT_RUN:
        return Exit.INCOMPLETE
    if row.status is not Status.FAILED or row.waiver is not None:
        return None
    if row.level is Level.SHOULD and not strict:
        return None
    # The suite's own promise is broken by the suite: it does not reject the VNode.
    return Exit.LEFT_BEHIND if row.basis is Basis.SUITE else Exit.REJECTED


def kept(event: Event) -> bool:
    """Whether something was left because the user asked for it."""
    return str(event.get("reason") or "").startswith("kept")


def _result(exits: set[Exit]) -> Result:
    deciding = [exit_ for exit_ in exits if exit_ in _RESULT_OF]
    return _RESULT_OF[Exit(worst(*deciding))] if deciding else Result.CONFORMANT


def _weakest(all_rows: Sequence[Row]) -> Grade | None:
    grades = [row.grade for row in all_rows if row.grade is not None and row.status in _SEEN]
    return max(grades, key=_GRADES.index, default=None)
