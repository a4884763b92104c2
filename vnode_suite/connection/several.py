"""Several VNodes in one cell (``--vnode-count``): each is looked at, and the worst of them decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vnode_suite.checks.registry import Check
from vnode_suite.connection import creating
from vnode_suite.connection.products import Created
from vnode_suite.connection.steps import StepNotReached, step
from vnode_suite.connection.subject import Subject
from vnode_suite.model import Evidence, Judgement, Observation, Text

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun

T = TypeVar("T")

#: Clauses that a VNode fulfils by itself; the others are about the cluster, the request or the identity, which all
#: VNodes of a cell share.
PER_VNODE = frozenset(
    {
        *("CREATE-01", "CREATE-04", "CREATE-05", "CREATE-06", "CREATE-09", "CREATE-10", "CREATE-11"),
        *("NODE-01", "NODE-02", "NODE-03", "NODE-04", "NODE-05", "NODE-06"),
        *("PORT-01", "PORT-02", "PORT-03", "DS-02", "DS-04", "DS-06", "DS-07"),
        *("SCHED-01", "SCHED-02", "SCHED-04"),
    }
)


class Sibling(Subject):
    """Another VNode of the cell, connected beside the first with the same identity and kubeconfig."""

    @property
    def under_test(self) -> bool:
        """Like the first, and unlike a twin."""
        return True

    @step("vnode")
    def vnode(self) -> Created:
        """CreateVirtualNode answers an id."""
        self.preconditions()
        self.exclusion()
        return creating.create(self)


def siblings(cell: CellRun, first: Subject, count: int) -> Iterator[Sibling]:
    """The VNodes of *cell* beside the *first*: ``sound-2`` and so on."""
    for number in range(2, count + 1):
        yield Sibling(cell, f"{first.name}-{number}", first.defects, sound=first, number=number)


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What was seen of one VNode, or why it could not be looked at."""

    vnode: str
    observation: Observation[T] | None
    missed: StepNotReached | None = None


@dataclass(frozen=True, slots=True)
class Each(Generic[T]):
    """What was seen of each VNode of a cell."""

    seen: tuple[Seen[T], ...]


def observe_each(cell: CellRun, look: Callable[[Subject], Observation[T]]) -> Each[T]:
    """Look at every VNode of *cell*."""
    return Each(tuple(_seen(subject, look) for subject in cell.vnodes))


def _seen(subject: Subject, look: Callable[[Subject], Observation[T]]) -> Seen[T]:
    try:
        observation = subject.observe(look)
    except StepNotReached as missed:
        return Seen(_called(subject), None, missed)
    return Seen(_called(subject), observation)


def _called(subject: Subject) -> str:
    """A VNode's id, else the subject's name."""
    outcome = subject.steps.known("vnode")
    return str(outcome.product.id) if outcome and outcome.product else subject.name


def judge_each(check: Check[T], each: Each[T]) -> tuple[Judgement, Observation[T]]:
    """The judgement on all of them: one that fails fails the clause; the evidence says it of each.

    :raises StepNotReached: none fails, and one could not be looked at.
    """
    judged = [
        (seen.vnode, check(seen.observation), seen.observation) for seen in each.seen if seen.observation
    ]
    failed = [row for row in judged if row[1].holds is False]
    missed = next((seen for seen in each.seen if seen.missed is not None), None)
    if missed is not None and missed.missed is not None and not failed:
        why = missed.missed.unreached
        detail = Text(f"{missed.vnode}: {why.detail.en}", f"{missed.vnode}:{why.detail.zh}")
        raise StepNotReached(replace(why, detail=detail))
    telling = failed or judged
    _, worst, observation = telling[0]
    said = [(name, judgement.actual) for name, judgement, _ in telling]
    count = f"{len(failed)}/{len(each.seen)}: " if failed else ""
    actual = Text(
        count + "; ".join(f"{name}: {text.en}" for name, text in said),
        count + ";".join(f"{name}:{text.zh}" for name, text in said),
    )
    return replace(worst, actual=actual), replace(observation, evidence=_evidence(each, judged))


def _evidence(each: Each[T], judged: list[tuple[str, Judgement, Observation[T]]]) -> tuple[Evidence, ...]:
    lines = [f"{name}: {judgement.reason}: {judgement.actual.en}" for name, judgement, _ in judged]
    lines += [f"{seen.vnode}: could not run: {seen.missed}" for seen in each.seen if seen.missed is not None]
    own = [
        replace(piece, name=f"{name}: {piece.name}")
        for name, _, observation in judged
        for piece in observation.evidence
    ]
    return (Evidence("each VNode", "\n".join(lines)), *own)


def early_looks(cell: CellRun) -> Iterator[Callable[[], Any]]:
    """What takes time with the VNodes beside the first, to be begun with the cell."""
    from vnode_suite.connection.observing.registry import look_of

    wanted = {clause for clause, defect in cell.run.wanted.get(cell.cell.id, ()) if defect is None}
    for subject in cell.vnodes[1:]:
        if "CLEAN-04" in wanted:
            yield subject.pod
        for clause in sorted(wanted & PER_VNODE):
            yield partial(subject.observe, look_of(clause))
