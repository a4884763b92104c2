"""A clause: one statement that is true or false of a real connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vnode_suite.model.text import Text


class Level(StrEnum):
    """What a clause's failure means for the verdict."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    INFO = "INFO"


class Basis(StrEnum):
    """Where a clause's statement comes from."""

    STATED = "stated"
    IMPLIED = "implied"
    INFERRED = "inferred"
    SUITE = "suite"


@dataclass(frozen=True, slots=True)
class Applies:
    """To which cells a clause applies; an empty tuple means all of them."""

    #: Minors such as ``("1.13",)``.
    minors: tuple[str, ...] = ()
    #: Of ``bootstrap``, ``serviceaccount``, ``admin``.
    identities: tuple[str, ...] = ()
    #: Of ``emulator``, ``live``, ``replay``.
    clouds: tuple[str, ...] = ()
    #: Of ``ecs``, ``idc``.
    sites: tuple[str, ...] = ()
    #: Named conditions of a run or cell, all of which must hold: ``creating``, ``several-vswitches``, ``tags-given``,
    #: ``taints-given``, ``server-by-name``, ``kube-proxy``, ``exclusion-applied``, ``security-required``,
    #: ``eci-profile``, ``generated-kubeconfig``.
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """One row of the catalogue."""

    #: Stable, such as ``DS-02``.
    id: str
    level: Level
    basis: Basis
    applies: Applies
    #: Heading of the page's section, in the suite's own words.
    page_section: Text
    #: A few words, for tables.
    title: Text
    #: The statement, in the suite's own words.
    statement: Text
    #: How it is observed.
    observed: Text
    #: What to do when it fails.
    remedy: Text
    #: Lowest profile that observes it: ``quick``, ``standard`` or ``full``.
    profile: str
    #: Why no program can observe it; such a clause is listed, never judged.
    excluded: Text | None = None
    #: Why no defect can show that the check can fail; ``None`` where the catalogue of defects has one.
    no_control: Text | None = None
    #: Name of the entry in the table of deadlines that bounds its observation.
    deadline: str | None = None
    #: Says how ``basis`` or ``level`` differs in part (``"keys inferred from the linked page"``).
    note: Text | None = None

    @property
    def chapter(self) -> str:
        """``DS`` of ``DS-02``."""
        return self.id.partition("-")[0]

    @property
    def judged(self) -> bool:
        """Whether a run gives it passed or failed (INFO is observed, never judged)."""
        return self.excluded is None and self.level is not Level.INFO
