"""Every clause in every cell has a status: what was observed, or the reason why nothing was."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.core.ledger import Event
from vnode_suite.data.catalogue import Catalogue, not_applicable
from vnode_suite.model import Clause, Grade, Status, Text
from vnode_suite.report.collect import Collected, as_text
from vnode_suite.report.types import Control, Evidence, Row

#: Each profile observes what those before it do.
PROFILES = ("quick", "standard", "full")


@dataclass(frozen=True, slots=True)
class _Derived:
    status: Status
    reason: str
    actual: Text


def rows(told: Collected, catalogue: Catalogue, waived: dict[tuple[str, str], str]) -> tuple[Row, ...]:
    """A row for every clause of *catalogue* in every cell, in their order.

    :param waived: reason of the waiver by (clause, cell), for the failures that have one.
    """
    return tuple(
        _row(told, catalogue, clause, cell, waived) for clause in catalogue.clauses for cell in told.cells
    )


def _row(
    told: Collected, catalogue: Catalogue, clause: Clause, cell: str, waived: dict[tuple[str, str], str]
) -> Row:
    info = told.cells[cell]
    clause = catalogue.in_cell(
        clause, identity=str(info.get("identity", "")), conditions=_conditions(info, clause)
    )
    event = told.results.get((clause.id, cell))
    derived = _derived(told, clause, cell, event)
    known: Event = event or {}
    status = derived.status if derived else Status(str(known.get("status")))
    failed = status in (Status.FAILED, Status.COULD_NOT_RUN, Status.ERROR)
    return Row(
        clause=clause.id,
        level=clause.level,
        basis=clause.basis,
        cell=cell,
        status=status,
        waiver=waived.get((clause.id, cell)),
        grade=_grade(known, told.cells[cell]) if event is not None else None,
        reason=derived.reason if derived else str(known.get("reason") or ""),
        expected=as_text(known.get("expected")) or (clause.statement if failed else None),
        actual=derived.actual if derived else as_text(known.get("actual")),
        remedy=(as_text(known.get("remedy")) or clause.remedy)
        if status is Status.FAILED
        else as_text(known.get("remedy")),
        observed_at=str(known.get("observed_at") or known.get("at") or ""),
        observed_from=str(known.get("observed_from") or ""),
        evidence=evidence(known),
        needs=str(known["needs"]) if known.get("needs") else None,
        item=str(known.get("item") or ""),
        seconds=float(known.get("seconds") or 0.0),
        control=_control_state(told, clause, cell),
    )


def _conditions(info: Event, clause: Clause) -> tuple[str, ...]:
    """The cell's named conditions; those of a cell that was never started are taken to hold."""
    return tuple(info["conditions"]) if info.get("conditions") is not None else clause.applies.conditions


def _derived(told: Collected, clause: Clause, cell: str, event: Event | None) -> _Derived | None:
    """The status that no event gives, or that overrules the one given; None: the event's stands."""
    if clause.excluded is not None:
        return _Derived(Status.EXCLUDED, "excluded", clause.excluded)
    beside = told.controls.get((clause.id, cell), {})
    missed = [defect for defect, control in beside.items() if not control.get("caught")]
    if missed:
        return _Derived(Status.ERROR, "control-not-caught", _not_caught(", ".join(missed)))
    if event is not None:
        known = event.get("status") in set(Status)
        return None if known else _Derived(Status.ERROR, "unknown-status", _unknown(str(event.get("status"))))
    info = told.cells[cell]
    run = told.run
    why_not = not_applicable(
        clause,
        version_minor=".".join(str(info.get("version", "")).split(".")[:2]),
        identity=str(info.get("identity", "")),
        cloud=str(run.get("cloud") or "emulator"),
        site=str(run.get("site") or "ecs"),
        conditions=_conditions(info, clause),
    )
    if why_not is not None:
        return _Derived(Status.NOT_APPLICABLE, "not-applicable", why_not)
    return _out_of_scope(run, clause) or _absent(told, cell)


def _out_of_scope(run: Event, clause: Clause) -> _Derived | None:
    said = as_text((run.get("out_of_scope") or {}).get(clause.id))
    if said is not None:
        return _Derived(Status.OUT_OF_SCOPE, "not-in-this-run", said)
    selection = run.get("selection")
    if selection and clause.id not in selection and clause.chapter not in selection:
        return _Derived(
            Status.OUT_OF_SCOPE,
            "not-selected",
            Text(
                f"Not among the clauses selected ({', '.join(selection)}).",
                f"不在所选条款之内（{'、'.join(selection)}）。",
            ),
        )
    profile = str(run.get("profile") or "standard")
    if _rank(clause.profile) > _rank(profile):
        return _Derived(
            Status.OUT_OF_SCOPE,
            "profile",
            Text(
                f"Observed from profile {clause.profile} on; this run had profile {profile}.",
                f"从 {clause.profile} 档位起才观测；本次运行的档位为 {profile}。",
            ),
        )
    return None


def _absent(told: Collected, cell: str) -> _Derived:
    if not told.ended_in_order:
        return _Derived(
            Status.COULD_NOT_RUN,
            "interrupted",
            Text(
                "The run was over before this clause was looked at.",
                "运行在观测本条款之前就已终止。",
            ),
        )
    return _Derived(
        Status.ERROR,
        "vanished",
        Text(
            "The run ended in order, but no result of this clause reached the ledger.",
            "运行正常结束，但账本中没有本条款的结果。",
        ),
    )


def _not_caught(defects: str) -> Text:
    return Text(
        f"The check did not fail for a twin with the defect {defects}: a check that cannot fail proves "
        "nothing.",
        f"对带有缺陷 {defects} 的对照对象，检查未判为失败：不会失败的检查什么也证明不了。",
    )


def _unknown(status: str) -> Text:
    return Text(
        f"The ledger gives a status that is not known: {status}.", f"账本给出了未知的状态：{status}。"
    )


def _rank(profile: str) -> int:
    return PROFILES.index(profile) if profile in PROFILES else len(PROFILES)


def _grade(event: Event, cell: Event) -> Grade | None:
    said = event.get("grade") or cell.get("grade")
    return Grade(said) if said in set(Grade) else None


def _control_state(told: Collected, clause: Clause, cell: str) -> str:
    states = [bool(control.get("caught")) for control in told.controls.get((clause.id, cell), {}).values()]
    if states:
        return "caught" if all(states) else "missed"
    return "none-possible" if clause.no_control is not None or not clause.judged else "not-run"


def evidence(event: Event) -> tuple[Evidence, ...]:
    """The excerpts of an event."""
    return tuple(
        Evidence(str(item.get("name", "")), str(item.get("text", "")), str(item.get("form") or "text"))
        for item in event.get("evidence") or ()
        if isinstance(item, dict)
    )


def controls(told: Collected) -> tuple[Control, ...]:
    """The negative controls, in the order in which they were run."""
    return tuple(
        Control(
            clause=str(event["clause"]),
            cell=str(event["cell"]),
            defect=str(event.get("defect") or ""),
            expected_reason=str(event.get("expected_reason") or ""),
            observed_reason=str(event.get("observed_reason") or ""),
            caught=bool(event.get("caught")),
            expected=as_text(event.get("expected")),
            actual=as_text(event.get("actual")),
            evidence=evidence(event),
            item=str(event.get("item") or ""),
            seconds=float(event.get("seconds") or 0.0),
        )
        for of_one_row in told.controls.values()
        for event in of_one_row.values()
    )
