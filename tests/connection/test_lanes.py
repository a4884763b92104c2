"""Defects of a whole cell: in force one after another where they change the same thing, side by side where not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from vnode_suite.connection import lanes
from vnode_suite.connection.observing import registry
from vnode_suite.data.defects import load_defects

#: Seconds; only a test that fails waits so long.
_LONG = 20.0


class Cell:
    """As much of a cell as a lane needs."""

    def __init__(self, name: str, *wanted: tuple[str, str | None]) -> None:
        self.cell = SimpleNamespace(id=name)
        self.run = SimpleNamespace(wanted={name: wanted}, defects=load_defects())
        self.sound = object()
        self.settled = threading.Event()

    def settle(self) -> None:
        """Until the test says so."""
        assert self.settled.wait(_LONG)


class Told:
    """What the lanes did, in order, and a way to hold them up."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.guard = threading.Lock()
        self.inside: Callable[[str, str], None] = lambda cell, defect: None

    def say(self, event: str) -> None:
        """Write it down."""
        with self.guard:
            self.events.append(event)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Effects and looks that only say that they were there."""
    told = Told()

    @contextmanager
    def effect(cell: Any, defect: str) -> Iterator[None]:
        told.say(f"+{cell.cell.id} {defect}")
        told.inside(cell.cell.id, defect)
        yield
        told.say(f"-{cell.cell.id} {defect}")

    class Subject:
        def __init__(self, cell: Any, name: str, defects: frozenset[str], **_: Any) -> None:
            self.cell, self.name = cell, name

        def observe(self, look: Any) -> None:
            told.say(f"{self.cell.cell.id} {self.name} {look}")

    monkeypatch.setattr(lanes, "taking_effect", effect)
    monkeypatch.setattr(lanes, "Subject", Subject)
    monkeypatch.setattr(registry, "look_of", lambda clause: clause)
    return told


def _run(*cells: Cell) -> lanes.Lanes:
    made = lanes.Lanes(cells)  # type: ignore[arg-type]
    made.start()
    for cell in cells:
        cell.settled.set()
    return made


def _over(made: lanes.Lanes, cell: Cell, defect: str) -> Any:
    turn = made._turns[cell.cell.id, defect]
    return turn.over.result(_LONG)


def test_a_defect_is_put_in_force_once_for_all_clauses_that_must_notice_it(told: Told) -> None:
    """Two clauses, one turn: taking a right away and giving it back is most of the work."""
    cell = Cell("1.22-bootstrap", ("PERM-05", "pods-patch-missing"), ("SCHED-04", "pods-patch-missing"))
    made = _run(cell)
    assert _over(made, cell, "pods-patch-missing").name == "pods-patch-missing"
    made.stop()
    of = "1.22-bootstrap pods-patch-missing"
    assert told.events == [f"+{of}", f"{of} PERM-05", f"{of} SCHED-04", f"-{of}"]


def test_what_is_looked_at_on_another_control_plane_takes_no_turn(told: Told) -> None:
    """The right to renew is taken away there: here it is only for the clause that asks about it."""
    missing = "selfnodeclient-missing"
    cell = Cell("1.22-bootstrap", ("PERM-04", missing), ("CREATE-07", missing))
    made = _run(cell)
    _over(made, cell, missing)
    made.stop()
    of = f"1.22-bootstrap {missing}"
    assert told.events == [f"+{of}", f"{of} PERM-04", f"-{of}"]


def test_nothing_is_put_in_force_while_a_cell_that_it_disturbs_has_looks_under_way(told: Told) -> None:
    """kube-proxy and the server's own roles are everybody's; the rights of an identity are its own cell's."""
    first = Cell("1.22-bootstrap", ("PERM-01", "system-node-role-emptied"), ("PERM-05", "pods-patch-missing"))
    second = Cell("1.22-serviceaccount")
    made = lanes.Lanes([first, second])  # type: ignore[list-item]
    made.start()
    with pytest.raises(TimeoutError):
        made._turns["1.22-bootstrap", "pods-patch-missing"].over.result(0.2)
    assert told.events == []
    first.settled.set()
    _over(made, first, "pods-patch-missing")
    with pytest.raises(TimeoutError):
        made._turns["1.22-bootstrap", "system-node-role-emptied"].over.result(0.2)
    assert not any("emptied" in event for event in told.events)
    second.settled.set()
    _over(made, first, "system-node-role-emptied")
    made.stop()


def test_what_changes_different_things_is_in_force_at_the_same_time(told: Told) -> None:
    """The approver's turn waits for the exclusion's, and that for the approver's: one after another would not end."""
    cell = Cell("1.22-bootstrap", ("KCFG-03", "approver-off"), ("DS-01", "kube-proxy-not-excluded"))
    both = threading.Barrier(2, timeout=_LONG)
    told.inside = lambda cell, defect: [both.wait(), None][1]
    made = _run(cell)
    _over(made, cell, "approver-off")
    _over(made, cell, "kube-proxy-not-excluded")
    made.stop()


def test_a_role_that_is_everybodys_is_emptied_while_no_other_cell_has_a_right_taken_away(told: Told) -> None:
    """An identity whose rights are looked at must lack only what its own turn takes."""
    first = Cell("1.22-bootstrap", ("PERM-01", "system-node-role-emptied"), ("PERM-05", "pods-patch-missing"))
    second = Cell("1.22-serviceaccount", ("PERM-05", "pods-patch-missing"), ("PERM-06", "pvc-patch-missing"))
    made = _run(first, second)
    _over(made, first, "pods-patch-missing")
    _over(made, second, "pvc-patch-missing")
    made.stop()
    began = told.events.index("+1.22-bootstrap system-node-role-emptied")
    ended = told.events.index("-1.22-bootstrap system-node-role-emptied")
    assert all("serviceaccount" not in event for event in told.events[began:ended])
    open_before = [e for e in told.events[:began] if e.startswith("+1.22-service")]
    closed_before = [e for e in told.events[:began] if e.startswith("-1.22-service")]
    assert len(open_before) == len(closed_before)


def test_a_defect_that_cannot_be_put_in_force_is_told_to_whoever_asks(told: Told) -> None:
    """And the next turn is taken all the same."""
    cell = Cell("1.22-bootstrap", ("PERM-05", "pods-patch-missing"), ("PERM-06", "pvc-patch-missing"))

    def fail(cell: str, defect: str) -> None:
        if defect == "pods-patch-missing":
            raise ValueError("somebody else grants it too")

    told.inside = fail
    made = _run(cell)
    with pytest.raises(ValueError, match="grants it too"):
        made.over(cell, load_defects().defect("pods-patch-missing"))  # type: ignore[arg-type]
    assert made.over(cell, load_defects().defect("pvc-patch-missing")).name == "pvc-patch-missing"  # type: ignore[arg-type]
    made.stop()


def test_after_a_stop_no_further_turn_begins(told: Told) -> None:
    """The one that is in force is taken back first."""
    cell = Cell("1.22-bootstrap", ("PERM-05", "pods-patch-missing"), ("PERM-06", "pvc-patch-missing"))
    stopped, inside = threading.Event(), threading.Event()

    def hold(cell: str, defect: str) -> None:
        inside.set()
        assert stopped.wait(_LONG)

    told.inside = hold
    made = _run(cell)
    assert inside.wait(_LONG)
    made.stop(wait=False)
    stopped.set()
    made.stop()
    assert made._turns["1.22-bootstrap", "pvc-patch-missing"].over.cancelled()
    assert told.events[-1] == "-1.22-bootstrap pods-patch-missing"
