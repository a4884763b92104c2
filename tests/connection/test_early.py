"""What is started early ends early: a VNode goes when nothing else is wanted of it."""

from __future__ import annotations

from typing import Any

import pytest

from vnode_suite.connection import early


class Subject:
    """Takes looks, and fails those that it is told to fail."""

    def __init__(self, name: str, *, fails: bool = False, sound: Subject | None = None) -> None:
        self.name = name
        self.sound = sound
        self.fails = fails
        self.looks = 0

    def observe(self, look: Any) -> None:
        """Count it."""
        self.looks += 1
        if self.fails:
            raise ValueError("the look failed")


@pytest.fixture
def retired(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the subjects that were retired, in order."""
    names: list[str] = []
    monkeypatch.setattr(early, "retire", lambda subject: names.append(subject.name))
    return names


def _look(subject: Any) -> Any:
    return subject


def test_a_twin_goes_after_its_last_look(retired: list[str]) -> None:
    """Two clauses look at the same twin: the first leaves it there."""
    twin, awaited = Subject("wrong-type-label", sound=Subject("sound")), early._Awaited()
    awaited.add(twin)  # type: ignore[arg-type]
    awaited.add(twin)  # type: ignore[arg-type]
    awaited.take(twin, _look)  # type: ignore[arg-type]
    assert retired == []
    awaited.take(twin, _look)  # type: ignore[arg-type]
    assert retired == ["wrong-type-label"]
    assert twin.looks == 2


def test_a_look_that_fails_ends_its_twin_all_the_same(retired: list[str]) -> None:
    """The failure is remembered by the twin, which needs no VNode for that."""
    twin, awaited = Subject("node-not-ready", fails=True, sound=Subject("sound")), early._Awaited()
    awaited.add(twin)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the look failed"):
        awaited.take(twin, _look)  # type: ignore[arg-type]
    assert retired == ["node-not-ready"]


def test_the_vnode_under_test_stays(retired: list[str]) -> None:
    """Clauses that are judged late still look at it."""
    sound, awaited = Subject("sound"), early._Awaited()
    awaited.add(sound)  # type: ignore[arg-type]
    awaited.take(sound, _look)  # type: ignore[arg-type]
    assert retired == []
