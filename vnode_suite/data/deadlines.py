"""The one table of deadlines, read from `deadlines.toml`: the longest that a good connection may take."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.data.tables import read_table, unknown_name
from vnode_suite.model import Basis


@dataclass(frozen=True, slots=True)
class Deadline:
    """One entry as it is in force in a run."""

    name: str
    #: In seconds.
    seconds: float
    #: Where the number comes from, in words.
    source: str
    #: ``stated``, ``implied``, ``inferred`` or ``suite``.
    basis: Basis
    #: Why it is not the table's plain number: the simulated side's reason, ``set by an option``, or empty.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The table that is in force in a run."""

    all: tuple[Deadline, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every entry's name."""
        return tuple(deadline.name for deadline in self.all)

    def deadline(self, name: str) -> Deadline:
        """The entry called *name*.

        :raises UsageError: there is none; names those that come near.
        """
        for deadline in self.all:
            if deadline.name == name:
                return deadline
        raise unknown_name("deadline", name, self.names)

    def seconds(self, name: str) -> float:
        """The entry's number of seconds."""
        return self.deadline(name).seconds


@functools.cache
def _table() -> Mapping[str, Any]:
    return read_table("deadlines.toml")


def load_deadlines(overrides: Mapping[str, float], *, simulated: bool) -> Deadlines:
    """The table for a run.

    :param overrides: entries that a user changed, name to seconds; they win.
    :param simulated: the ECI side is simulated, so that shorter waits are enough where the table says why.
    :raises UsageError: an override's name is unknown or its value is no positive number.
    """
    deadlines = Deadlines(tuple(_deadline(record, simulated) for record in _table()["deadline"]))
    for name, seconds in overrides.items():
        deadlines.deadline(name)
        if not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(f"deadline {name}={seconds:g}", wanted="a positive number of seconds")
    return Deadlines(tuple(_overridden(deadline, overrides) for deadline in deadlines.all))


def _deadline(record: Mapping[str, Any], simulated: bool) -> Deadline:
    shorter = record.get("simulated") if simulated else None
    return Deadline(
        name=record["name"],
        seconds=float((shorter or record)["seconds"]),
        source=record["source"],
        basis=Basis(record["basis"]),
        why=shorter["reason"] if shorter else "",
    )


def _overridden(deadline: Deadline, overrides: Mapping[str, float]) -> Deadline:
    if deadline.name not in overrides:
        return deadline
    return Deadline(
        deadline.name,
        float(overrides[deadline.name]),
        deadline.source,
        deadline.basis,
        why="set by an option",
    )
