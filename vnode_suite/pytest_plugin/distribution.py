"""A run whose versions are dealt out to pytest-xdist's workers: the controller's side.

A version stays on one worker, because its cells share one control plane. The controller runs nothing itself:
it knows what was collected, shows what the workers write into their ledgers, and answers for workers that
died.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.cleanup.journal import Record, read
from vnode_suite.cleanup.state import run_dir
from vnode_suite.cleanup.undo import ClusterAccess, Left, standard_registry
from vnode_suite.connection.run import Run, Wanted, ledger_name
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.ledger import Event
from vnode_suite.core.ledger import read as read_ledger
from vnode_suite.core.polling import poll
from vnode_suite.pytest_plugin.cases import Case, Casebook

#: What a worker is told by the controller, and what it tells at its end.
RUN_ID = "vnode_suite_run_id"
#: What a given cluster said of itself: asked once, so that all workers call its cells by one name.
LEARNT = "vnode_suite_learnt"
SECRETS = "vnode_suite_secrets"

#: A worker needs two items to run one (it hands pytest the next one too); one more keeps it from waiting.
#: Not a whole version at once: ``-x`` and the death of a worker should stop what was not begun.
_AHEAD = 3
#: How often the workers' ledgers are looked at, in seconds. A file has no watch that every system has.
_LOOK_SECONDS = 0.25
#: What an interrupted worker gets to close in order; its closing is bounded to 10 s. Then xdist ends it.
_WORKER_SECONDS = 20.0
#: What the supervisor of a killed worker gets to stop its processes: TERM, 5 s, KILL, one after the other.
_SUPERVISOR_SECONDS = 30.0


def distributes(config: pytest.Config) -> bool:
    """Whether this process is the controller of a distributed run."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return False
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


@dataclass(slots=True)
class _Load:
    """What one worker has to do: positions in the collection."""

    collection: list[str] | None = None
    to_send: deque[int] = field(default_factory=deque)
    sent: deque[int] = field(default_factory=deque)


class VersionScheduling:
    """Deals out whole versions; satisfies xdist's ``Scheduling`` protocol.

    When a worker dies, the rest of its version is dropped: another worker would have to start a second
    control plane, without the steps that came before. Versions that nobody has begun stay for the others.

    :param workers: how many take part at first.
    :param version_of: the version of a node id.
    """

    def __init__(self, workers: int, version_of: Callable[[str], str]) -> None:
        self._workers = workers
        self._version_of = version_of
        self._loads: dict[Any, _Load] = {}
        self._collected = 0
        self._waiting: deque[deque[int]] = deque()
        self.collection: list[str] | None = None
        #: Node ids that nobody will run, with the id of the worker that died.
        self.dropped: dict[str, str] = {}

    @property
    def nodes(self) -> list[Any]:
        """The workers that are alive."""
        return list(self._loads)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers as take part have collected."""
        return self._collected >= self._workers

    @property
    def tests_finished(self) -> bool:
        """Whether everything was handed out and each worker waits only for the word to run its last item."""
        if not self.collection_is_completed or self._waiting:
            return False
        return all(not load.to_send and len(load.sent) < 2 for load in self._loads.values())

    @property
    def has_pending(self) -> bool:
        """Whether anything is still to be run."""
        return bool(self._waiting) or any(load.to_send or load.sent for load in self._loads.values())

    def add_node(self, node: Any) -> None:
        """A worker is there; it has not collected yet."""
        self._loads[node] = _Load()

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected."""
        self._loads[node].collection = list(collection)
        self._collected += 1

    def schedule(self) -> None:
        """Give work to every worker that has none."""
        if self.collection is None:
            self.collection = next(
                (c for load in self._loads.values() if (c := load.collection) is not None), []
            )
            versions: dict[str, deque[int]] = {}
            for position, item in enumerate(self.collection):
                versions.setdefault(self._version_of(item), deque()).append(position)
            self._waiting.extend(versions.values())
        for node in self.nodes:
            self._feed(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """A worker has run an item."""
        load = self._loads[node]
        load.sent.remove(item_index)
        self._feed(node)

    def remove_node(self, node: Any) -> str | None:
        """A worker is gone; returns the item that it was running, if it did not end in order."""
        load = self._loads.pop(node)
        # One that ended in order has told its output; it may have been stopped (-x) before its last item.
        if self.collection is None or hasattr(node, "workeroutput") or not (load.sent or load.to_send):
            return None
        lost = [self.collection[position] for position in (*load.sent, *load.to_send)]
        self.dropped.update(dict.fromkeys(lost, node.gateway.id))
        return lost[0]

    def mark_test_pending(self, item: str) -> None:
        """Not done: an item is run once."""
        raise NotImplementedError("an item of an acceptance run is not run again")

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Not done: nothing is taken from a worker."""
        raise NotImplementedError("nothing is taken from a worker")

    def _feed(self, node: Any) -> None:
        load = self._loads[node]
        if load.collection is None or node.shutting_down:
            return
        if load.collection != self.collection:
            # The scenarios were changed meanwhile: positions would mean other items there.
            node.shutdown()
            return
        if not load.to_send and self._waiting:
            load.to_send = self._waiting.popleft()
        if more := [load.to_send.popleft() for _ in range(min(_AHEAD - len(load.sent), len(load.to_send)))]:
            load.sent.extend(more)
            node.send_runtest_some(more)
        if not load.to_send and not self._waiting:
            node.shutdown()


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
        return [
            name
            for name, node in self._nodes.items()
            if name not in self._dead
            and not hasattr(node, "workeroutput")
            and hasattr(node, "channel")
            and not node.channel.isclosed()
        ]

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


class Tail:
    """Tells of every event that workers append to their ledgers, on a thread of its own.

    :param folder: of the run.
    """

    def __init__(self, folder: Path, tell: Callable[[Event], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._told: dict[Path, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="ledger-tail", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Tell what is left to tell, and end."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        for path in sorted(self._folder.glob(ledger_name("*"))):
            for event in self._new(path):
                self._tell(event)

    def _new(self, path: Path) -> Iterator[Event]:
        with path.open("rb") as stream:
            stream.seek(self._told.get(path, 0))
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self._told[path] = self._told.get(path, 0) + len(line)
                with suppress(ValueError):
                    yield json.loads(line)


def clean_up_after(run_id: str, worker: str) -> tuple[Left, ...]:
    """Remove what a worker that was killed left; returns what could not be.

    Its supervisor does most of it and is waited for. What is in a cluster that died with the worker is gone.
    """
    path = run_dir(run_id) / f"journal-{worker}.jsonl"
    if not path.exists():
        return ()
    record = read(path)
    folders = [Path(str(e.undo["path"])) for e in record.left if e.undo.get("action") == "remove-folder"]
    with suppress(DeadlineExceeded):
        # Removing its folder is the last thing that a supervisor does.
        poll(
            lambda: None if any(folder.exists() for folder in folders) else True,
            what=f"the supervisor of {worker}",
            deadline_seconds=_SUPERVISOR_SECONDS,
            interval_seconds=0.1,
        )
    clusters = ClusterAccess(record.clusters)
    try:
        left = standard_registry(clusters).undo_all(_still_there(record))
    finally:
        clusters.close()
    if not left:
        path.unlink()
        with suppress(OSError):  # Other processes of the run have journals here.
            path.parent.rmdir()
    return left


def _still_there(record: Record) -> Iterable[Any]:
    """Entries of *record* that did not go with the worker's own processes."""
    for entry in record.left:
        reach = record.clusters.get(str(entry.undo.get("cluster")))
        lived_in_processes = reach is not None and reach.kubeconfig is None
        if not (entry.undo.get("ends_with_run") or lived_in_processes):
            yield entry
