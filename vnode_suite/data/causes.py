"""The catalogue of causes, read from `causes.toml`: what an event says about a VNode that did not come."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vnode_suite.data.tables import read_table, unknown_name
from vnode_suite.model import Text

Provocation = Literal["real", "injected", "simulated"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Texts and codes that tell of one cause."""

    #: Whole texts with ``<fields>`` (see `vnode_suite.diagnosis.patterns`).
    texts: tuple[str, ...]
    #: Error codes of the ECI API.
    codes: tuple[str, ...]
    #: Where the words come from.
    source: str
    #: The page itself gives the text and its meaning.
    documented: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause."""

    #: As `diagnose --json` names it.
    name: str
    #: The clause that it is about.
    clause: str
    #: Rank of the stage that a VNode must have reached to say so; 0 is the first.
    stage: int
    title: Text
    remedy: Text
    #: Clauses whose checks could confirm it or rule it out.
    confirm: tuple[str, ...]
    #: How a test brings it about, and the defect or service's code that does; empty: nothing here does.
    provocation: Provocation
    provoked_by: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Causes:
    """Every cause, in the order of the table."""

    all: tuple[Cause, ...]
    #: Names of the stages, first to last.
    stages: tuple[str, ...]

    def __iter__(self) -> Iterator[Cause]:
        return iter(self.all)

    @property
    def names(self) -> tuple[str, ...]:
        """Every cause's name."""
        return tuple(cause.name for cause in self.all)

    def cause(self, name: str) -> Cause:
        """The cause called *name*.

        :raises UsageError: there is none; names those that come near.
        """
        for cause in self.all:
            if cause.name == name:
                return cause
        raise unknown_name("cause", name, self.names)


@functools.cache
def load_causes() -> Causes:
    """The shipped catalogue."""
    table = read_table("causes.toml")
    stages = tuple(table["stages"])
    return Causes(tuple(_cause(record, stages) for record in table["cause"]), stages)


def _cause(record: Mapping[str, Any], stages: tuple[str, ...]) -> Cause:
    return Cause(
        name=record["name"],
        clause=record["clause"],
        stage=stages.index(record["stage"]),
        title=Text(**record["title"]),
        remedy=Text(**record["remedy"]),
        confirm=tuple(record["confirm"]),
        provocation=record["provocation"],
        provoked_by=record["provoked_by"],
        rules=tuple(
            Rule(
                texts=tuple(rule.get("texts", ())),
                codes=tuple(rule.get("codes", ())),
                source=rule["source"],
                documented=rule.get("documented", False),
            )
            for rule in record.get("rule", ())
        ),
    )
