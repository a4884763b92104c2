"""When each defect that a whole cell has for a moment is in force: turns, in lanes that do not touch each other.

Such a defect is put in force when nothing that was started early is under way any more in the cell, or in any cell
of the version where the defect is of something that they share. What changes different things is then done side by
side: the rights of one identity, its approver, kube-proxy's DaemonSet. A scenario that is judged on such a twin waits
for its turn to be over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnode_suite.connection.exclusive import taking_effect
from vnode_suite.connection.subject import Subject

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.model import Defect

#: Clauses whose twins are looked at on a control plane beside the one that is judged: of the cell nothing changes.
_LOOKED_AT_ELSEWHERE = frozenset({"CREATE-07"})


def takes_a_turn(clause: str, defect: Defect) -> bool:
    """Whether *clause* is shown to fail with *defect* in force in the whole cell, and not on a twin beside it."""
    return defect.scope == "cell-exclusive" and clause not in _LOOKED_AT_ELSEWHERE


@dataclass(frozen=True, slots=True)
class Turn:
    """One defect of one cell, and the clauses that must notice it.

    :ivar over: the subject that has the defect, once everything that is wanted of it was seen.
    """

    cell: CellRun
    defect: Defect
    clauses: tuple[str, ...]
    over: Future[Subject] = field(default_factory=Future)

    @property
    def is_everybodys(self) -> bool:
        """Whether other cells would notice: kube-proxy's DaemonSet and the server's own roles are shared."""
        return self.defect.where == "cluster" or self.defect.shared

    @property
    def lane(self) -> str:
        """What the defect changes: kube-proxy is the whole cluster's, rights and approver are a cell's own."""
        where = self.defect.where
        return where if where == "cluster" else f"{where} {self.cell.cell.id}"

    def take(self) -> None:
        """Put the defect in force, look, and take it back; what came of it is in :attr:`over`."""
        from vnode_suite.connection.observing.registry import look_of

        cell, name = self.cell, self.defect.name
        try:
            with taking_effect(cell, name):
                subject = Subject(cell, name, frozenset({name}), sound=cell.sound, fresh=True)
                for clause in self.clauses:
                    # A look that fails is remembered by the subject, and judged where it belongs.
                    with suppress(Exception):
                        subject.observe(look_of(clause))
        except BaseException as problem:
            self.over.set_exception(problem)
        else:
            self.over.set_result(subject)


class Lanes:
    """The turns of one version's cells, and the threads that take them."""

    def __init__(self, cells: Sequence[CellRun]) -> None:
        self._cells = cells
        self._turns = {(cell.cell.id, turn.defect.name): turn for cell in cells for turn in turns_of(cell)}
        self._rights: Mapping[str, threading.Lock] = {cell.cell.id: threading.Lock() for cell in cells}
        self._given_up = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Take every turn as soon as nothing is disturbed by it."""
        lanes: dict[str, list[Turn]] = {}
        for turn in self._turns.values():
            lanes.setdefault(turn.lane, []).append(turn)
        if lanes:
            self._pool = ThreadPoolExecutor(len(lanes), thread_name_prefix="lane")
            for turns in lanes.values():
                # What has to wait for the other cells comes last.
                self._pool.submit(self._drive, sorted(turns, key=lambda turn: turn.is_everybodys))

    def over(self, cell: CellRun, defect: Defect) -> Subject:
        """The subject that had *defect*, once its turn is over.

        :raises Exception: the defect could not be put in force, or not be taken back.
        """
        return self._turns[cell.cell.id, defect.name].over.result()

    def stop(self, *, wait: bool = True) -> None:
        """Begin no further turn."""
        self._given_up.set()
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)

    def _drive(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            for cell in self._cells if turn.is_everybodys else (turn.cell,):
                cell.settle()
            if self._given_up.is_set():
                turn.over.cancel()
                continue
            with ExitStack() as held:
                for lock in self._locks(turn):
                    held.enter_context(lock)
                turn.take()

    def _locks(self, turn: Turn) -> Iterator[threading.Lock]:
        """In the order of the cells: two turns that want both never wait for each other."""
        if turn.defect.where == "access":
            for cell, lock in self._rights.items():
                if turn.is_everybodys or cell == turn.cell.cell.id:
                    yield lock


def turns_of(cell: CellRun) -> Iterator[Turn]:
    """One turn for each defect that is wanted in *cell*, in the order in which they are judged."""
    clauses: dict[str, list[str]] = {}
    for clause, name in cell.run.wanted.get(cell.cell.id, ()):
        if name is not None and takes_a_turn(clause, cell.run.defects.defect(name)):
            clauses.setdefault(name, []).append(clause)
    for name, each in clauses.items():
        yield Turn(cell, cell.run.defects.defect(name), tuple(each))
