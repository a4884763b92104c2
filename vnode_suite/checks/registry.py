"""A check and the clause that it judges; the one place where both are tied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vnode_suite.model import Judgement, Observation

T = TypeVar("T")

_CHECKS: dict[str, Check[object]] = {}


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """A pure function from an observation to a judgement, tied to one clause."""

    clause: str
    name: str
    judge: Callable[[Observation[T]], Judgement]

    def __call__(self, observation: Observation[T]) -> Judgement:
        """What the check says of *observation*."""
        return self.judge(observation)


def check(clause: str) -> Callable[[Callable[[T], Judgement]], Check[T]]:
    """Tie a function that judges an observation's value to *clause*; each clause has one check."""

    def register(judge: Callable[[T], Judgement]) -> Check[T]:
        if clause in _CHECKS:
            raise TypeError(f"{clause} has two checks: {_CHECKS[clause].name} and {judge.__qualname__}")
        name = f"{judge.__module__.removeprefix('vnode_suite.')}.{judge.__qualname__}"
        made: Check[T] = Check(clause, name, lambda observation: judge(observation.value))
        _CHECKS[clause] = made  # type: ignore[assignment]
        return made

    return register


def registered() -> dict[str, Check[object]]:
    """Every check by clause id (the chapters' modules must have been imported)."""
    return dict(_CHECKS)
