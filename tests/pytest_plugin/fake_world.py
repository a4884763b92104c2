"""A pytest plugin (``-p fake_world``) that puts a world of nothing in place of the real one.

Scenarios of the fake project call :func:`act`, which judges the clause of the case as the variable
``FAKE`` says: ``CLAUSE@VERSION=deed`` words, divided by blanks, with the deeds of ``_DEEDS``; what is not named passes.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vnode_suite.pytest_plugin
from vnode_suite.checks.registry import Check
from vnode_suite.connection.run import Run
from vnode_suite.core.errors import HarnessError
from vnode_suite.core.secrets import Secret
from vnode_suite.model import Cell, Grade, Judgement, Observation, Source, Text
from vnode_suite.pytest_plugin.cases import Case
from vnode_suite.pytest_plugin.judging import Judge

vnode_suite.pytest_plugin.scenarios_folder = lambda: Path("scenarios").resolve()

_SAID = Text("something", "某物")


@dataclass
class FakeCell:
    """What a judge needs of a cell."""

    run: Run
    cell: Cell

    def grade(self, source: Source) -> Grade:
        """Simulated, like everything here."""
        return Grade.SIMULATED


@dataclass
class FakeWorlds:
    """Opens a world of a version once a process: an event, a process of its own, an entry in the journal."""

    opened: dict[str, Any] = field(default_factory=dict)

    def cell(self, run: Run, cell: Cell) -> FakeCell:
        """In place of ``Run.cell``."""
        if cell.version not in self.opened:
            sleeper = run.supervisor.start(
                f"world-{cell.version}", ["sleep", "600"], log=run.scratch / "sleep.log"
            )
            self.opened[cell.version] = sleeper
            run.ledger.write("cluster-ready", version=cell.version, server_version=cell.version)
            run.ledger.write("note", text=f"process {sleeper.pid} folder {run.scratch}")
        return FakeCell(run, cell)


_WORLDS = FakeWorlds()
Run.provision = lambda self, progress: None  # type: ignore[method-assign, assignment]
Run.cell = lambda self, cell: _WORLDS.cell(self, cell)  # type: ignore[method-assign, assignment, return-value]


def act(case: Case, judge: Judge) -> None:
    """Do to *case* what ``FAKE`` says."""
    for word in os.environ.get("FAKE", "").split():
        at, _, deed = word.partition("=")
        if at == f"{case.clause}@{case.cell.version}":
            _DEEDS[deed](case, judge)
            return
    _judged(case, judge, True)


def _judged(case: Case, judge: Judge, holds: bool) -> None:
    check: Check[str] = Check(case.clause, "fake", lambda _: Judgement(holds, "fake-reason", _SAID, _SAID))
    judge(check, Observation("seen", Source.LOCAL))


def _wait(case: Case, judge: Judge) -> None:
    print("waiting", flush=True)
    judge._cell.run.ledger.write("note", text="now waiting")
    threading.Event().wait(120)


def _die(case: Case, judge: Judge) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _break(case: Case, judge: Judge) -> None:
    raise HarnessError("broken on purpose")


def _leak(case: Case, judge: Judge) -> None:
    Secret("hunter2hunter2hunter2", "token")
    _judged(case, judge, True)
    # Behind the ledger's back, where only the scan of the finished files can find it.
    folder = judge._cell.run.folder / "evidence"
    (folder / "loose.txt").write_text("it is hunter2hunter2hunter2")


_DEEDS = {
    "fail": lambda case, judge: _judged(case, judge, False),
    "wait": _wait,
    "die": _die,
    "break": _break,
    "leak": _leak,
}
