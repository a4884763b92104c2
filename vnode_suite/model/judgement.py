"""What was seen, and what it means for a clause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from vnode_suite.model.text import Text

T_co = TypeVar("T_co", covariant=True)


class Source(StrEnum):
    """Where something was observed."""

    CLOUD = "cloud"
    CLUSTER = "cluster"
    NETWORK = "network"
    LOCAL = "local"


class Grade(StrEnum):
    """How strong a piece of evidence is; the verdict has the weakest of its rows."""

    LIVE = "live"
    RECORDED = "recorded"
    SIMULATED = "simulated"


class Status(StrEnum):
    """How one clause ended in one cell."""

    PASSED = "passed"
    FAILED = "failed"
    INFO = "info"
    NOT_APPLICABLE = "not-applicable"
    OUT_OF_SCOPE = "out-of-scope"
    EXCLUDED = "excluded"
    COULD_NOT_RUN = "could-not-run"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A named excerpt that backs an observation; text is redacted when it enters the ledger."""

    name: str
    text: str
    #: ``text``, ``json`` or ``yaml``: how a reader should set it.
    form: str = "text"


@dataclass(frozen=True, slots=True)
class Observation(Generic[T_co]):
    """Something seen of the world: what, when, where, and the evidence."""

    value: T_co
    source: Source
    observed_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check says of an observation.

    ``holds`` is ``True`` (the clause holds), ``False`` (it does not) or ``None`` (INFO: observed, never judged).
    """

    holds: bool | None
    #: Machine-readable, such as ``pod-bound``; a defect declares the reason that it must be failed for.
    reason: str
    expected: Text
    actual: Text
    #: Overrides the clause's general remedy where the check knows better.
    remedy: Text | None = None


def holds(expected: Text, actual: Text) -> Judgement:
    """The clause holds."""
    return Judgement(True, "holds", expected, actual)


def fails(reason: str, expected: Text, actual: Text, remedy: Text | None = None) -> Judgement:
    """The clause does not hold, for *reason*."""
    return Judgement(False, reason, expected, actual, remedy)


def reports(expected: Text, actual: Text, reason: str = "reported") -> Judgement:
    """An INFO clause: seen and said, never judged."""
    return Judgement(None, reason, expected, actual)


@dataclass(frozen=True, slots=True)
class Unreached:
    """A step that was not reached, and why: what needs it could not run."""

    step: str
    reason: str
    detail: Text
    #: What to do, where whatever refused the step says so; the detail has it, too.
    remedy: Text | None = None


DefectScope = Literal["own-object", "cell-exclusive", "own-cluster"]


@dataclass(frozen=True, slots=True)
class Defect:
    """One named way of being wrong, and the clauses that must notice."""

    name: str
    #: What is wrong.
    title: Text
    #: Clause id to the reason that its check must give.
    fails: tuple[tuple[str, str], ...]
    scope: DefectScope
    #: Where the defect lives: ``vnode`` (the fleet), ``eci`` (the emulator), ``access``, ``kubeconfig``, ``request``,
    #: ``cluster`` (objects such as the DaemonSet), ``approver``, ``server``, ``observer`` (a stub beside the cluster).
    where: str
    #: Clauses that cannot run for a VNode with this defect (they follow from it).
    unreached: tuple[str, ...] = ()
    #: Lowest profile in which it is worth its time.
    profile: str = "standard"
    #: Identities for which it makes sense; empty: all.
    identities: tuple[str, ...] = ()
    #: Minors for which it makes sense; empty: all.
    minors: tuple[str, ...] = ()
    #: Whether it changes what was there before the run: every cell has it then, and nobody else's cluster may.
    shared: bool = False

    def concerns(self, identity: str, minor: str) -> bool:
        """Whether it is a defect at all for this identity, on this minor."""
        return (not self.identities or identity in self.identities) and (
            not self.minors or minor in self.minors
        )

    def reason_for(self, clause: str) -> str:
        """The declared reason for *clause* (KeyError if the defect does not fail it)."""
        return dict(self.fails)[clause]
