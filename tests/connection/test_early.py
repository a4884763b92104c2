"""What is started early ends early: a VNode goes when nothing else is wanted of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.connection import early


class Subject:
    """Takes looks, and fails those that it is told to fail."""

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name = name
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


def _awaited(*subjects: Subject) -> tuple[Any, Subject]:
    sound = Subject("sound")
    return early._Awaited(SimpleNamespace(sound=sound, subjects=(sound, *subjects))), sound  # type: ignore[arg-type]


def _look(subject: Any) -> Any:
    return subject


def test_a_twin_goes_after_its_last_look(retired: list[str]) -> None:
    """Two clauses look at the same twin: the first leaves it there."""
    twin = Subject("events-empty")
    awaited, _ = _awaited(twin)
    awaited.add("NODE-01", twin)
    awaited.add("NODE-04", twin)
    awaited.take("NODE-01", twin, _look)
    assert retired == []
    awaited.take("NODE-04", twin, _look)
    assert retired == ["events-empty"]
    assert twin.looks == 2


def test_a_look_that_fails_ends_its_twin_all_the_same(retired: list[str]) -> None:
    """The failure is remembered by the twin, which needs no VNode for that."""
    twin = Subject("node-not-ready", fails=True)
    awaited, _ = _awaited(twin)
    awaited.add("NODE-02", twin)
    with pytest.raises(ValueError, match="the look failed"):
        awaited.take("NODE-02", twin, _look)
    assert retired == ["node-not-ready"]


def test_the_vnode_under_test_stays(retired: list[str]) -> None:
    """Clauses that are judged late still look at it."""
    awaited, sound = _awaited()
    awaited.add("NODE-02", sound)
    awaited.take("NODE-02", sound, _look)
    assert retired == []


def test_vnodes_that_fail_on_purpose_go_with_the_last_look_at_events(retired: list[str]) -> None:
    """The clauses on events and their controls share them."""
    provoked, near_miss = Subject("provoked:no-route"), Subject("near-miss-time-out")
    awaited, sound = _awaited(near_miss, provoked)
    awaited.add("EVENT-04", sound)
    awaited.add("EVENT-02", near_miss)
    awaited.take("EVENT-04", sound, _look)
    assert "provoked:no-route" not in retired
    awaited.take("EVENT-02", near_miss, _look)
    assert set(retired) == {"near-miss-time-out", "provoked:no-route"}


def test_a_look_that_is_not_taken_early_keeps_the_vnodes_it_needs(retired: list[str]) -> None:
    """What is only expected is still to come."""
    provoked = Subject("provoked:no-route")
    awaited, sound = _awaited(provoked)
    awaited.add("EVENT-04", sound)
    awaited.add("EVENT-01", sound)
    awaited.take("EVENT-04", sound, _look)
    assert retired == []
