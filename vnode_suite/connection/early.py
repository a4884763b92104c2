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
    from vnode_suite.connection.run import Wanted
    from vnode_suite.connection.subject import Subject
    from vnode_suite.model import Observation

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
    """The looks to take at once, side by side: the VNode under test's, and every twin's that disturbs nobody.

    The longest wait begins first.
    """
    from vnode_suite.connection.observing.registry import look_of

    wanted = cell.run.wanted.get(cell.cell.id)
    if wanted is None:
        return
    defects = cell.run.defects
    awaited = _Awaited()
    looks: list[Early] = []
    cases = [case for case in wanted if not case[0].startswith("CLEAN-")]
    for clause, name in sorted(cases, key=lambda case: (case[0] not in JUDGED_LAST, case[1] is not None)):
        subject = cell.sound
        if name is not None:
            wrong = defects.defect(name)
            if wrong.scope != "own-object":
                continue
            subject = cell.twin(wrong)
        awaited.add(subject)
        look = partial(awaited.take, subject, look_of(clause))
        looks.append(Early(look, settles=clause not in JUDGED_LAST))
    yield from looks
    yield from _to_be_closed(cell, wanted)


def _to_be_closed(cell: CellRun, wanted: Wanted) -> Iterator[Early]:
    """Closing is judged last, and what is to be closed must have been there by then."""
    defects = cell.run.defects
    for clause, name in wanted:
        if clause.startswith("CLEAN-") and name is not None and defects.defect(name).where == "eci":
            twin = cell.twin(defects.defect(name))
            yield Early(twin.pod if clause == "CLEAN-04" else twin.vnode)
    if any(clause == "CLEAN-04" for clause, _ in wanted):
        yield Early(cell.sound.pod)


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
