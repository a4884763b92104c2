"""What is started when a cell begins, so that waits run side by side and are judged late."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vnode_suite.connection.closing import retire

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.subject import Subject
    from vnode_suite.model import Observation

#: Clauses of the VNode under test whose observation is mostly waiting.
SLOW = (
    "PRE-02",
    "KCFG-04",
    "KCFG-15",
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

#: Watched for so long that nothing else should wait for them: judged when everything else of the version is. A
#: defect that the whole cell has for a moment disturbs a heartbeat by less than its grace, and a VNode that fails
#: on purpose not at all.
JUDGED_LAST = frozenset({"NODE-02", "EVENT-01", "EVENT-02", "EVENT-03", "EVENT-04"})


@dataclass(frozen=True, slots=True)
class Early:
    """Work to be started at once, and whether it must be over before a defect is given to the whole cell."""

    work: Callable[[], Any]
    settles: bool = True


def early_work(cell: CellRun) -> Iterator[Early]:
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
            yield Early(twin.pod if clause == "CLEAN-04" else twin.vnode)
    if any(clause == "CLEAN-04" for clause, _ in wanted):
        yield Early(cell.sound.pod)
    cases = [case for case in wanted if not case[0].startswith("CLEAN-")]
    awaited = _Awaited()
    looks: list[Early] = []
    for clause, name in sorted(cases, key=lambda case: (case[1] is not None, case[0] not in SLOW)):
        if name is None:
            subject, early = cell.sound, clause in SLOW
        else:
            wrong = defects.defect(name)
            early = wrong.scope == "own-object"
            subject = cell.twin(wrong) if early else cell.sound
        awaited.add(subject)
        if early:
            look = partial(awaited.take, subject, look_of(clause))
            looks.append(Early(look, settles=clause not in JUDGED_LAST))
    yield from looks


class _Awaited:
    """Counts the looks that are still to be taken, so that a twin's VNode goes as soon as nothing else is wanted of it.

    Each is a process and a network namespace: fifty of them at once would be most of a run's memory.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._guard = threading.Lock()

    def add(self, subject: Subject) -> None:
        """Expect one look, taken early or not."""
        self._open[subject.name] += 1

    def take(self, subject: Subject, look: Callable[[Subject], Observation[Any]]) -> None:
        """Take it; what it came to is remembered by *subject*."""
        try:
            subject.observe(look)
        finally:
            with self._guard:
                self._open[subject.name] -= 1
                done = not self._open[subject.name]
            if done and subject.sound is not None:
                retire(subject)
