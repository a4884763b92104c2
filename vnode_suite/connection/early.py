"""What is started when a cell begins, so that waits run side by side and are judged late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun

#: Clauses of the VNode under test whose observation is mostly waiting.
SLOW = (
    "NODE-02",
    "EVENT-01",
    "EVENT-02",
    "EVENT-03",
    "EVENT-04",
    "PORT-01",
    "PORT-02",
    "SCHED-01",
    "SCHED-02",
    "SCHED-04",
)


def early_work(cell: CellRun) -> Iterator[Callable[[], Any]]:
    """The looks to take at once: slow ones of the VNode under test, then every twin's that disturbs nobody."""
    from vnode_suite.connection.observing.registry import look_of

    wanted = cell.run.wanted.get(cell.cell.id)
    if wanted is None:
        return
    defects = cell.run.defects
    for clause, defect in wanted:
        # Closing is judged last, and a twin that is to be closed must have been there by then.
        if clause.startswith("CLEAN-") and defect is not None and defects.defect(defect).where == "eci":
            twin = cell.twin(defects.defect(defect))
            yield twin.pod if clause == "CLEAN-04" else twin.vnode
    if any(clause == "CLEAN-04" for clause, _ in wanted):
        yield cell.sound.pod
    cases = [case for case in wanted if not case[0].startswith("CLEAN-")]
    for clause, defect in sorted(cases, key=lambda case: (case[1] is not None, case[0] not in SLOW)):
        look = look_of(clause)
        if defect is None:
            if clause in SLOW:
                yield lambda look=look: cell.sound.observe(look)  # type: ignore[misc]
        elif defects.defect(defect).scope == "own-object":
            yield lambda look=look, defect=defect: cell.twin(defects.defect(defect)).observe(look)  # type: ignore[misc]
