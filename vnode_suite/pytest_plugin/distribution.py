"""A run whose versions are dealt out to pytest-xdist's workers: the controller's side.

A version stays on one worker, because its cells share one control plane. The controller runs nothing itself:
it knows what was collected, shows what the workers write into their ledgers, and answers for workers that
died.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pytest

from vnode_suite.cleanup.journal import read
from vnode_suite.cleanup.state import run_dir
from vnode_suite.connection.run import Run, Wanted, ledger_name
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.ledger import Event
from vnode_suite.core.ledger import read as read_ledger
from vnode_suite.core.polling import poll
from vnode_suite.pytest_plugin.cases import Case, Casebook
from vnode_suite.pytest_plugin.version_scheduling import VersionScheduling
from vnode_suite.pytest_plugin.workers import Tail, clean_up_after

#: What a worker is told by the controller, and what it tells at its end.
RUN_ID = "vnode_suite_run_id"
#: What a given cluster said of itself: asked once, so that all workers call its cells by one name.
LEARNT = "vnode_suite_learnt"
SECRETS = "vnode_suite_secrets"

#: What an interrupted worker gets to close in order; its closing is bounded to 10 s. Then xdist ends it.
_WORKER_SECONDS = 20.0


def distributes(config: pytest.Config) -> bool:
    """Whether this process is the controller of a distributed run."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return False
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


class Distribution:
    """The plugin of a controller; registered only where pytest-xdist distributes.

    :param begin: told what was collected (by cell id) as soon as it is known.
    """

    def __init__(self, run: Run, casebook: Casebook, begin: Callable[[Mapping[str, Wanted]], None]) -> None:
        self._run = run
        self._casebook = casebook
        self._begin = begin
        self._nodes: dict[str, Any] = {}
        self._dead: dict[str, str] = {}
        self._reported: set[str] = set()
        self._items: dict[str, Case | None] | None = None
        self._scheduling: VersionScheduling | None = None
        self._cells = {cell.id: cell for cell in run.settings.cells}
        self._tail = Tail(run.folder, self._seen)
        self._finished = False
        #: ``-x`` or ``--maxfail`` ended the run, which xdist calls an interruption.
        self.stopped_at_failure = False

    # -- hooks of xdist -----------------------------------------------------------------------------------

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it works for."""
        node.workerinput[RUN_ID] = self._run.id
        learnt = self._run.settings.cluster.learnt
        node.workerinput[LEARNT] = asdict(learnt) if learnt else None
        self._nodes[node.gateway.id] = node

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: object) -> VersionScheduling:
        """Ours, whatever ``--dist`` says: no other keeps a version on one worker."""
        self._scheduling = VersionScheduling(len(config.getoption("tx")), self._version_of)
        return self._scheduling

    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """The first worker that has collected says what there is."""
        if self._items is not None:
            return
        clauses = self._clauses(node.gateway.id)
        self._items = {item: self._case(item, clauses) for item in ids}
        wanted: dict[str, list[tuple[str, str | None]]] = {}
        for case in filter(None, self._items.values()):
            wanted.setdefault(case.cell.id, []).append(
                (case.clause, case.defect.name if case.defect else None)
            )
        self._begin({cell: tuple(cases) for cell, cases in wanted.items()})

    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """A worker is gone: in order, with its secrets, or not."""
        self._take_secrets(node)
        if error is not None and not hasattr(node, "workeroutput"):
            # xdist shows all of it; a traceback ends with what matters.
            reason = (str(error).strip().splitlines() or ["no reason given"])[-1].strip()
            self._dead[node.gateway.id] = reason
            message = f"the worker {node.gateway.id} died ({reason}); what it had not judged is an error"
            self._run.ledger.write("harness-error", where="xdist", message=message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what was reported."""
        if report.when in ("setup", "call", "teardown"):
            self._reported.add(report.nodeid)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell xdist's own end of a run from one by a signal."""
        self.stopped_at_failure = str(excinfo.value).startswith("stopping after")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, config: pytest.Config, data: dict[str, Any]) -> None:
        """Take over secrets that came with a report, before anybody writes down what is in it."""
        self._run.secrets.take_over(map(tuple, data.pop(SECRETS, ())))

    # -- the run ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the workers' ledgers."""
        self._tail.start()

    @property
    def items(self) -> Mapping[str, Case | None]:
        """What was collected, by node id."""
        return self._items or {}

    @property
    def lost(self) -> bool:
        """Whether a worker died."""
        return bool(self._dead)

    def stop_workers(self) -> None:
        """Have every worker that still runs close what it made, and wait until it has."""
        for name in self._living():
            path = run_dir(self._run.id) / f"journal-{name}.jsonl"
            for process in read(path).processes if path.exists() else ():
                if process.alive:
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGTERM)
        with suppress(DeadlineExceeded):
            poll(
                lambda: None if self._living() else True,
                what="the workers to close",
                deadline_seconds=_WORKER_SECONDS,
            )

    def finish(self, *, interrupted: bool) -> None:
        """What died is cleaned up after; what was collected and not reported is an error. Workers are gone.

        :param interrupted: not everything was to be run: only what dead workers left is an error.
        """
        if self._finished:
            return
        self._finished = True
        for node in self._nodes.values():
            self._take_secrets(node)
        self._tail.stop()
        for worker in self._dead:
            for left in clean_up_after(self._run.id, worker):
                self._run.ledger.write(
                    "left", kind=left.kind, name=left.name, where=left.where, id="", reason=left.reason
                )
        self._write_lost(interrupted)

    def _living(self) -> list[str]:
        # xdist notes at once that a worker has ended, however it did; its loop, which would tell us, may be over.
        return [name for name, node in self._nodes.items() if hasattr(node, "channel") and not node._down]

    def _take_secrets(self, node: Any) -> None:
        output = getattr(node, "workeroutput", None) or {}
        self._run.secrets.take_over(map(tuple, output.pop(SECRETS, ())))

    def _write_lost(self, interrupted: bool) -> None:
        from vnode_suite.pytest_plugin.outcomes import record_lost

        dropped = self._scheduling.dropped if self._scheduling else {}
        dropped = {item: worker for item, worker in dropped.items() if worker in self._dead}
        for item, case in (self._items or {}).items():
            if case is None or item in self._reported or (interrupted and item not in dropped):
                continue
            record_lost(self._run, case, item, dropped.get(item))

    def _seen(self, event: Event) -> None:
        if event.get("type") in ("result", "control"):
            self._reported.add(str(event.get("item")))
        self._run.ledger.relay(event)

    def _clauses(self, worker: str) -> Mapping[str, str]:
        """Which clause each scenario judges, as a worker wrote it down when it had collected."""
        for event in read_ledger(self._run.folder / ledger_name(worker)):
            if event["type"] == "collected":
                return dict(event["clauses"])
        return {}

    def _case(self, item: str, clauses: Mapping[str, str]) -> Case | None:
        function, _, parameters = item.partition("[")
        clause, cell = clauses.get(function), self._cells.get(parameters.rstrip("]").partition("~")[0])
        if clause is None or cell is None:
            return None
        defect = parameters.rstrip("]").partition("~")[2]
        return Case(cell, clause, self._casebook.defects.defect(defect) if defect else None)

    def _version_of(self, item: str) -> str:
        case = (self._items or {}).get(item)
        return case.cell.version if case else ""
