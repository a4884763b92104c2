"""The catalogue of wrongs, read from `defects.toml`: what each defect must fail, and for which reason."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnode_suite.data.tables import read_table, unknown_name
from vnode_suite.model import Defect, Profile, Text

_RANK = {profile.value: rank for rank, profile in enumerate(Profile)}


@dataclass(frozen=True, slots=True)
class Defects:
    """Every defect, in the order of the table."""

    all: tuple[Defect, ...]
    #: What a check means by a reason, in English (it is for those who write checks).
    reasons: Mapping[str, str]
    #: What needs a step: group name to clause ids, ``registered`` and the like.
    needs: Mapping[str, tuple[str, ...]]
    _controls: Mapping[str, tuple[str, ...]]
    _must_pass: Mapping[str, tuple[str, ...]]

    def __iter__(self) -> Iterator[Defect]:
        return iter(self.all)

    def __contains__(self, name: object) -> bool:
        return any(defect.name == name for defect in self.all)

    @property
    def names(self) -> tuple[str, ...]:
        """Every defect's name."""
        return tuple(defect.name for defect in self.all)

    def defect(self, name: str) -> Defect:
        """The defect called *name*.

        :raises UsageError: there is none; names those that come near.
        """
        for defect in self.all:
            if defect.name == name:
                return defect
        raise unknown_name("defect", name, self.names)

    def failing(self, clause: str) -> tuple[Defect, ...]:
        """Every defect that *clause* must notice, also those that are not its controls."""
        return tuple(defect for defect in self.all if clause in dict(defect.fails))

    def controls(self, clause: str) -> tuple[Defect, ...]:
        """The defects that show, in a run, that the check of *clause* can fail."""
        return tuple(defect for defect in self.all if clause in self._controls[defect.name])

    def controls_in(self, clause: str, *, minor: str, identity: str, profile: str) -> tuple[Defect, ...]:
        """The controls of *clause* that make sense in a cell and are worth their time in *profile*."""
        return tuple(
            defect
            for defect in self.controls(clause)
            if defect.concerns(identity, minor) and _RANK[defect.profile] <= _RANK[profile]
        )

    def tolerated_by(self, clause: str) -> tuple[Defect, ...]:
        """The oddities that *clause* must hold with all the same."""
        return tuple(defect for defect in self.all if clause in self._must_pass[defect.name])

    def expected(self, names: Sequence[str]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
        """What a run with the defects *names* must say: clause to reasons allowed, and what could not run."""
        chosen = [self.defect(name) for name in names]
        fails: dict[str, frozenset[str]] = {}
        for clause, reason in (pair for defect in chosen for pair in defect.fails):
            fails[clause] = fails.get(clause, frozenset()) | {reason}
        # A clause that one defect makes unreachable cannot fail for the other's reason.
        unreached = frozenset(clause for defect in chosen for clause in defect.unreached)
        return {clause: reasons for clause, reasons in fails.items() if clause not in unreached}, unreached


@functools.cache
def load_defects() -> Defects:
    """The shipped catalogue."""
    return parse_defects(read_table("defects.toml"))


def parse_defects(table: Mapping[str, Any]) -> Defects:
    """A catalogue from its parsed table.

    :raises ValueError: it contradicts itself (a bug of the suite: the table ships with it).
    """
    needs = {group: tuple(_expanded(members, table["needs"])) for group, members in table["needs"].items()}
    defects, controls, must_pass = [], {}, {}
    for record in table["defect"]:
        defect = _defect(record, needs)
        if defect.name in controls:
            raise ValueError(f"two defects are called {defect.name}")
        failed = tuple(dict(defect.fails))
        controls[defect.name] = tuple(record.get("control_for", failed[:1]))
        must_pass[defect.name] = tuple(record.get("must_pass", ()))
        if stray := set(controls[defect.name]) - set(failed):
            raise ValueError(f"{defect.name} is to control {sorted(stray)} without failing it")
        if unexplained := set(dict(defect.fails).values()) - set(table["reasons"]):
            raise ValueError(f"{defect.name} has reasons that are not explained: {sorted(unexplained)}")
        defects.append(defect)
    return Defects(tuple(defects), dict(table["reasons"]), needs, controls, must_pass)


def _defect(record: Mapping[str, Any], needs: Mapping[str, tuple[str, ...]]) -> Defect:
    fails = tuple(record["fails"].items())
    unreached = _expanded(record.get("unreached", ()), needs)
    return Defect(
        name=record["name"],
        title=Text(record["en"], record["zh"]),
        fails=fails,
        scope=record["scope"],
        where=record["where"],
        unreached=tuple(clause for clause in unreached if clause not in dict(fails)),
        profile=record.get("profile", Profile.STANDARD.value),
        identities=tuple(record.get("identities", ())),
        minors=tuple(record.get("minors", ())),
        shared=bool(record.get("shared", False)),
    )


def _expanded(members: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Clause ids, each once, with the members of every ``@group`` in its place."""
    found: dict[str, None] = {}
    for member in members:
        inner = _expanded(groups[member[1:]], groups) if member.startswith("@") else [member]
        found.update(dict.fromkeys(inner))
    return list(found)
