"""What workers tell through their ledgers while they run, and what is done after one that was killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vnode_suite.cleanup.journal import Record, read
from vnode_suite.cleanup.state import run_dir
from vnode_suite.cleanup.undo import ClusterAccess, Left, standard_registry
from vnode_suite.connection.run import ledger_name
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.ledger import Event
from vnode_suite.core.polling import poll

#: How often the workers' ledgers are looked at, in seconds. A file has no watch that every system has.
_LOOK_SECONDS = 0.25
#: What the supervisor of a killed worker gets to stop its processes: TERM, 5 s, KILL, one after the other.
_SUPERVISOR_SECONDS = 30.0


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
