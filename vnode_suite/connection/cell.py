"""One cell's run: its identity in the cluster, the VNode under test, and the twins that have one defect each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TYPE_CHECKING

from vnode_suite.access.approver.beside import RunningApprover
from vnode_suite.access.creating import Making
from vnode_suite.access.objects import Naming
from vnode_suite.connection.early import Early, early_work
from vnode_suite.connection.given import GivenSubject
from vnode_suite.connection.identities import stop_approver
from vnode_suite.connection.joining import tell_its_events, tell_the_join
from vnode_suite.connection.several import early_looks, siblings
from vnode_suite.connection.subject import Subject
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.secrets import Secret
from vnode_suite.model import Cell, Defect, Grade, Source, Text

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run
    from vnode_suite.connection.world import World

#: Looks that may be taken at once: each is mostly waiting, and what waits longest must not begin last.
_EARLY_WORKERS = 40


class CellRun:
    """Everything that a scenario needs of its cell is reachable from here."""

    def __init__(self, world: World, cell: Cell) -> None:
        self._began = time.monotonic()
        self.world = world
        self.cell = cell
        self.naming = Naming(run=world.run.id, cell=cell.id)
        self.making = Making(world.kube, world.run.journal, world.ref)
        wanted = map(world.run.defects.defect, world.run.settings.scope.defects)
        injected = frozenset(defect.name for defect in wanted if defect.concerns(cell.identity, cell.minor))
        given = world.run.settings.given
        self.sound: Subject = GivenSubject(self, given) if given else Subject(self, "sound", injected)
        #: What is accepted: the VNode under test, and those beside it.
        self.vnodes = (self.sound, *siblings(self, self.sound, world.run.settings.count))
        self.approver: RunningApprover | None = None
        # Beside a VNode that was made elsewhere the cluster's own approver is what is looked at.
        self.approver_is_off = given is not None
        self.approver_access: Secret | None = None
        #: Why VNodes of this cell could not be deleted, or looked for.
        self.undeleted: list[SuiteError] = []
        #: Ids of VNodes that a call made whose answer was lost.
        self.unanswered: list[str] = []
        self._subjects: dict[str, Subject] = {each.name: each for each in self.vnodes}
        self._guard = threading.RLock()
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(_EARLY_WORKERS, thread_name_prefix=f"early-{cell.id}")
        self._early: list[Future[None]] = []
        self._all_started: Future[None] | None = None
        world.run.ledger.write(
            "cell-started",
            cell=cell.id,
            version=cell.version,
            identity=cell.identity.value,
            provider=cell.provider.value,
            conditions=sorted(world.run.conditions(cell)),
            grade=world.cloud.grade.value,
        )

    @property
    def run(self) -> Run:
        """The run that the cell belongs to."""
        return self.world.run

    def grade(self, source: Source) -> Grade:
        """How strong an observation from *source* is as evidence.

        The cluster is real, its VNode may not be: in a replay only what the service said is as good as the recording.
        """
        cloud = self.world.cloud
        if cloud.replay is not None and source is not Source.CLOUD:
            return Grade.SIMULATED
        return cloud.grade

    def seconds(self, deadline: str) -> float:
        """An entry of the table of deadlines."""
        return self.world.seconds(deadline)

    def twin(self, defect: Defect) -> Subject:
        """The twin that has *defect*; whatever the defect does not touch it shares with the VNode under test."""
        return self._subject(
            defect.name, Subject(self, defect.name, frozenset({defect.name}), sound=self.sound)
        )

    def provoked(self, cause: str) -> Subject:
        """A VNode that is made to fail on purpose, to see what it says of itself."""
        name = f"provoked:{cause}"
        return self._subject(name, Subject(self, name, frozenset({cause}), sound=self.sound, gated=False))

    def provoked_with(self, cause: str, defect: str) -> Subject:
        """As :meth:`provoked`, with a defect of the ECI side besides."""
        name = f"provoked:{cause}+{defect}"
        return self._subject(
            name, Subject(self, name, frozenset({cause, defect}), sound=self.sound, gated=False)
        )

    def _subject(self, name: str, made: Subject) -> Subject:
        with self._guard:
            return self._subjects.setdefault(name, made)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Every subject that was made so far."""
        with self._guard:
            return tuple(self._subjects.values())

    def exclusive(self, defect: Defect) -> Subject:
        """What the cell was like with *defect* in force: over when this answers, and everything as it was."""
        return self.world.lanes.over(self, defect)

    def start_early(self) -> None:
        """Begin, side by side, what the selected clauses will need and what takes time."""
        work = list(early_work(self))
        first = [early for early in work if early.first]
        self._start(first)
        rest = [early for early in work if not early.first]
        rest += [Early(look, settles=False) for look in early_looks(self)]
        self._all_started = self._pool.submit(self._start_after_the_call if first else self._start, rest)

    def _start_after_the_call(self, work: Sequence[Early]) -> None:
        # The other cells' calls too: each VNode under test is watched for as long. Every step remembers how it ended.
        for cell in self.world.cells:
            with suppress(Exception):
                cell.sound.vnode()
        self._start(work)

    def _start(self, work: Sequence[Early]) -> None:
        for early in work:
            begun = self._pool.submit(_quietly, early.work)
            if early.settles:
                self._early.append(begun)

    def settle(self) -> None:
        """Wait until nothing that was started early is still under way: a defect may disturb it otherwise."""
        # What each came to is remembered by its look, and judged where it belongs.
        if self._all_started is not None:
            wait([self._all_started])
        wait(self._early)

    def stop_early(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self, *, hurriedly: bool = False) -> None:
        """The net under everything: undo what the scenarios did not; never raises.

        :param hurriedly: wait for nothing that is under way, and undo nothing that goes with the cluster.
        """
        if hurriedly:
            self._pool.shutdown(wait=False, cancel_futures=True)
        else:
            self.stop_early()
            for subject in self.subjects:
                subject.close()
            self.release()
        stop_approver(self, at_once=hurriedly)
        tell_the_join(self)
        seconds = round(time.monotonic() - self._began, 3)
        self.run.ledger.write("cell-finished", cell=self.cell.id, seconds=seconds)

    def keep_until_closed(self, owned: AbstractContextManager[object]) -> None:
        """Leave something, already entered, to be undone when the cell is closed."""
        with self._guard:
            self._stack.push(owned)

    def release(self) -> None:
        """Undo what was left to be undone at the end."""
        self._stack.close()

    def announce(
        self,
        subject: str,
        step: str,
        state: str,
        *,
        reason: str = "",
        detail: Text | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Write a step's start or end to the ledger."""
        self.run.ledger.write(
            "step",
            cell=self.cell.id,
            subject=subject,
            step=step,
            state=state,
            reason=reason,
            detail=detail,
            seconds=round(seconds, 3),
        )
        missed = subject == self.sound.name and state == "unreached"
        if missed and (step == "node" or (step == "ready" and self.sound.node_name)):
            tell_its_events(self)


def _quietly(work: Callable[[], object]) -> None:
    # Its outcome, good or bad, is remembered by the step or the look, and judged where it belongs.
    with suppress(Exception):
        work()
