"""What is started when a cell begins, so that waits run side by side and are judged late."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vnode_suite.connection.closing import retire, tell_to_go
from vnode_suite.connection.identities import approver
from vnode_suite.connection.lanes import takes_a_turn

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.run import Wanted
    from vnode_suite.connection.subject import Subject
    from vnode_suite.model import Observation

#: Watched longest of all, so that it decides how long a run takes: nothing else takes processor time from it before
#: the VNode under test is called.
FIRST = frozenset({"NODE-02"})

#: Watched for so long that nothing else should wait for them: judged when everything else of the version is. A
#: defect that the whole cell has for a moment disturbs a heartbeat by less than its grace, and a VNode that fails
#: on purpose not at all.
JUDGED_LAST = frozenset({"CREATE-07", "NODE-02", "EVENT-01", "EVENT-02", "EVENT-03", "EVENT-04"})


#: Looked at before the rest, the longest wait first: a control waits for what does not come, or not soon, behind
#: what must have come before it (a VNode, its Pod), and the others' work hides that.
_WAITED_FOR = ("SCHED-01", "SCHED-02", "SCHED-04", "NODE-01", "NODE-04", "PRE-02", "KCFG-15", "KCFG-04")


@dataclass(frozen=True, slots=True)
class Early:
    """Work to be started when a cell begins.

    :ivar settles: it must be over before a defect is given to the whole cell.
    :ivar first: all else is started after it.
    """

    work: Callable[[], Any]
    settles: bool = True
    first: bool = False


def early_work(cell: CellRun) -> Iterator[Early]:
    """The looks to take at once, side by side: the VNode under test's, and every twin's that disturbs nobody."""
    from vnode_suite.connection.observing.registry import look_of

    wanted = cell.run.wanted.get(cell.cell.id)
    if wanted is None:
        return
    defects = cell.run.defects
    awaited = _Awaited()
    looks: list[Early] = []
    cases = [case for case in wanted if not case[0].startswith("CLEAN-")]
    for clause, name in sorted(cases, key=_rank):
        subject = cell.sound
        if name is not None:
            wrong = defects.defect(name)
            if wrong.scope == "own-cluster" or takes_a_turn(clause, wrong):
                continue
            subject = cell.twin(wrong)
        awaited.add(subject)
        look = partial(awaited.take, subject, look_of(clause))
        looks.append(Early(look, settles=clause not in JUDGED_LAST, first=clause in FIRST))
    if any(early.first for early in looks):
        yield from _before_the_call(cell)
    yield from looks
    yield from _to_be_closed(cell, wanted)


def _rank(case: tuple[str, str | None]) -> tuple[bool, int, bool, bool]:
    clause, defect = case
    wait = _WAITED_FOR.index(clause) if clause in _WAITED_FOR else len(_WAITED_FOR)
    return clause not in FIRST, wait, clause not in JUDGED_LAST, defect is not None


def _before_the_call(cell: CellRun) -> Iterator[Early]:
    """What the call waits for and what does not wait for each other: taken side by side."""
    yield Early(cell.sound.exclusion, first=True)
    if cell.cell.asks_for_certificate:
        yield Early(partial(approver, cell.sound), first=True)


def _to_be_closed(cell: CellRun, wanted: Wanted) -> Iterator[Early]:
    """Closing is judged last, and what is to be closed must have been there by then."""
    for clause, name in wanted:
        if clause.startswith("CLEAN-") and name is not None and cell.run.defects.defect(name).where == "eci":
            twin = cell.twin(cell.run.defects.defect(name))
            yield Early(twin.pod if clause == "CLEAN-04" else partial(tell_to_go, twin))
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
