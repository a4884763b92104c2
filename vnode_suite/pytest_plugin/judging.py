"""How a scenario judges: an observation goes to a check, and what the check says goes to the ledger."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from vnode_suite.checks.registry import Check
from vnode_suite.connection.cell import CellRun
from vnode_suite.connection.several import Each, judge_each
from vnode_suite.model import Judgement, Level, Observation, Status
from vnode_suite.pytest_plugin.cases import Case

T = TypeVar("T")


class ClauseFailed(Exception):
    """A judged clause does not hold: what was expected, what was found, what to do."""

    def __init__(self, clause: str, judgement: Judgement, remedy: str) -> None:
        self.judgement = judgement
        super().__init__(
            f"{clause} failed ({judgement.reason})\n"
            f"  expected: {judgement.expected.en}\n"
            f"  actual:   {judgement.actual.en}\n"
            f"  remedy:   {remedy}"
        )


class ControlNotCaught(Exception):
    """The check did not fail on a twin with a defect that it must notice: it proves nothing."""


class Judge:
    """Calls a check for the running item's case and records what it says."""

    def __init__(self, cell: CellRun, case: Case, item: str) -> None:
        self._cell = cell
        self._case = case
        self._item = item
        self._began = time.monotonic()
        #: Set once a judgement was recorded, for the terminal and JUnit.
        self.status: Status | None = None
        self.judgement: Judgement | None = None

    def __call__(self, check: Check[T], observed: Observation[T] | Each[T]) -> None:
        """Judge what was observed of the VNode, or of each of several.

        :raises ClauseFailed: the clause does not hold, and it is a MUST (or a SHOULD under strict rules).
        :raises ControlNotCaught: this is a control, and the check failed to fail for the declared reason.
        :raises StepNotReached: one of several could not be looked at, and none of the others fails.
        """
        if check.clause != self._case.clause:
            raise TypeError(f"{check.name} judges {check.clause}, this scenario is {self._case.clause}")
        if isinstance(observed, Each):
            judgement, observation = judge_each(check, observed)
        else:
            judgement, observation = check(observed), observed
        self.judgement = judgement
        if self._case.defect is None:
            self._record_result(judgement, observation)
        else:
            self._record_control(judgement, observation)

    def _record_result(self, judgement: Judgement, observation: Observation[Any]) -> None:
        catalogue = self._cell.run.catalogue
        clause = catalogue.in_cell(
            catalogue.clause(self._case.clause),
            identity=self._case.cell.identity.value,
            conditions=self._cell.run.conditions(self._case.cell),
        )
        remedy = judgement.remedy or clause.remedy
        if judgement.holds is None or clause.level is Level.INFO:
            self.status = Status.INFO
        else:
            self.status = Status.PASSED if judgement.holds else Status.FAILED
        self._cell.run.ledger.write(
            "result",
            cell=self._case.cell.id,
            clause=clause.id,
            status=self.status.value,
            remedy=remedy.as_dict() if self.status is Status.FAILED else None,
            observed_from=observation.source.value,
            observed_at=observation.observed_at,
            grade=self._cell.grade(observation.source).value,
            needs=None,
            **self._common(judgement, observation),
        )
        rejects = clause.level is Level.MUST or self._cell.run.settings.scope.strict_should
        if self.status is Status.FAILED and rejects:
            raise ClauseFailed(clause.id, judgement, remedy.en)

    def _record_control(self, judgement: Judgement, observation: Observation[Any]) -> None:
        defect = self._case.defect
        assert defect is not None  # noqa: S101 - narrowing for the type checker
        expected = defect.reason_for(self._case.clause)
        caught = judgement.holds is False and judgement.reason == expected
        self._cell.run.ledger.write(
            "control",
            cell=self._case.cell.id,
            clause=self._case.clause,
            defect=defect.name,
            expected_reason=expected,
            observed_reason=judgement.reason,
            caught=caught,
            **self._common(judgement, observation),
        )
        if not caught:
            raise ControlNotCaught(
                f"{self._case.clause} must fail with reason {expected!r} on a twin with the defect "
                f"{defect.name!r}, and said {judgement.reason!r}\n"
                f"  expected: {judgement.expected.en}\n"
                f"  actual:   {judgement.actual.en}"
            )

    def _common(self, judgement: Judgement, observation: Observation[Any]) -> dict[str, Any]:
        return {
            "reason": judgement.reason,
            "expected": judgement.expected.as_dict(),
            "actual": judgement.actual.as_dict(),
            "evidence": [{"name": e.name, "form": e.form, "text": e.text} for e in observation.evidence],
            "item": self._item,
            "seconds": round(time.monotonic() - self._began, 3),
        }
