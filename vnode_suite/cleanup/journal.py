"""The journal of a run: what it is about to make, what it made, what it has undone. Only ever appended to.

An intent is on the disk before the thing is made. So whatever a killed run left behind is named in a file
that outlives it, with how to undo it; the worst that a crash can do is name something that was never made.

One JSON object a line:
    {"state": "run", "run": "k3x9", "host", "process": {"pid", "start"}}      at each opening
    {"state": "cluster", "ref": "1.22", "kubeconfig": path|null, "context", "server"}
    {"state": "intended", "entry": 1, "kind": "Secret", "name": "...", "where": "cluster", "undo": {...}}
    {"state": "created", "entry": 1, "fact": {"uid": "..."}}
    {"state": "undone", "entry": 1}
    {"state": "closed"}                                              nothing is left; the file goes next

Never a secret: a cluster is named by the path of a kubeconfig, never by its text.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from vnode_suite.cleanup.state import ProcessIdentity, host, run_dir

Where = Literal["cloud", "cluster", "local"]
FILE_NAME = "journal.jsonl"


class State(StrEnum):
    """How far an entry is."""

    INTENDED = "intended"
    CREATED = "created"
    UNDONE = "undone"


@dataclass(slots=True)
class Entry:
    """One thing that the run made or was about to make."""

    id: int
    kind: str
    name: str
    where: Where
    #: `{"action": name of an undoing, ...}`: all that undoing it takes, without secrets.
    undo: Mapping[str, Any]
    state: State = State.INTENDED
    #: What became known when it was made, such as an object's uid.
    fact: Mapping[str, Any] = field(default_factory=dict)
    _journal: Journal | None = field(default=None, repr=False, compare=False)

    def done(self, **fact: Any) -> None:
        """It was made."""
        self.state, self.fact = State.CREATED, {**self.fact, **fact}
        self._append({"state": "created", "entry": self.id, "fact": dict(self.fact)})

    def undone(self) -> None:
        """It is gone, or was never made."""
        if self.state is not State.UNDONE:
            self.state = State.UNDONE
            self._append({"state": "undone", "entry": self.id})

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._journal is not None:
            self._journal._append(line)


@dataclass(frozen=True, slots=True)
class ClusterReach:
    """How a cluster is reached again; a local one is gone with its processes and has no path."""

    ref: str
    kubeconfig: str | None = None
    context: str | None = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A journal as it was read."""

    run: str
    #: Every process that had the journal open: a controller and its workers.
    processes: tuple[ProcessIdentity, ...]
    clusters: Mapping[str, ClusterReach]
    entries: tuple[Entry, ...]
    closed: bool
    #: The machines that those processes run or ran on.
    hosts: frozenset[str] = frozenset()

    @property
    def alive(self) -> bool:
        """Whether any process of the run still runs: then everything in it is in use."""
        return any(process.alive for process in self.processes)

    @property
    def elsewhere(self) -> bool:
        """Whether it is another machine's (homes may be shared): here nobody can tell whether it lives."""
        return not self.hosts <= {host()}

    @property
    def left(self) -> tuple[Entry, ...]:
        """What was made, or may have been, and not undone; the last made first."""
        return tuple(entry for entry in reversed(self.entries) if entry.state is not State.UNDONE)


class Journal:
    """The journal of a living run. Thread-safe; several processes of one run each keep a file of their own.

    :param worker: name of this process's part, such as xdist's `gw0`; the controller has none.
    """

    def __init__(self, run: str, *, state: Path | None = None, worker: str = "") -> None:
        self.run = run
        self.folder = run_dir(run, state)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = self.folder / (f"journal-{worker}.jsonl" if worker else FILE_NAME)
        earlier = read(self.path) if self.path.exists() else None
        self._entries: list[Entry] = list(earlier.entries) if earlier else []
        for entry in self._entries:
            entry._journal = self
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(self.path, flags, 0o600)
        if earlier is None:
            _sync_folder(self.folder)
        me = ProcessIdentity.mine()
        self._append(
            {"state": "run", "run": run, "host": host(), "process": {"pid": me.pid, "start": me.start}}
        )

    @classmethod
    def open(
        cls, run: str, *, shard: str = "main", scratch: Path | None = None, state: Path | None = None
    ) -> Self:
        """The journal of one process of a run.

        :param shard: `main` for the controller, else the worker's name.
        :param scratch: the process's temporary folder, written down so that a sweep finds it.
        """
        journal = cls(run, state=state, worker="" if shard == "main" else shard)
        if scratch is not None:
            entry = journal.intend(
                "folder", scratch.name, {"action": "remove-folder", "path": str(scratch)}, where="local"
            )
            entry.done()
        return journal

    def cluster(self, ref: str, *, kubeconfig: Path | None, context: str | None, server: str) -> None:
        """Say how the cluster that undoings call `ref` is reached again; no path for a local one."""
        path = None if kubeconfig is None else str(Path(kubeconfig).expanduser().absolute())
        self._append(
            {"state": "cluster", "ref": ref, "kubeconfig": path, "context": context, "server": server}
        )

    def intend(self, kind: str, name: str, undo: Mapping[str, Any], *, where: Where = "cluster") -> Entry:
        """Say that something is about to be made; it is on the disk when this returns.

        :param undo: see `Entry.undo`.
        """
        with self._lock:
            entry = Entry(len(self._entries) + 1, kind, name, where, dict(undo), _journal=self)
            self._entries.append(entry)
        self._append(
            {
                "state": "intended",
                "entry": entry.id,
                "kind": kind,
                "name": name,
                "where": where,
                "undo": dict(undo),
            }
        )
        return entry

    @property
    def left(self) -> tuple[Entry, ...]:
        """What was made, or may have been, and not undone; the last made first."""
        with self._lock:
            return tuple(entry for entry in reversed(self._entries) if entry.state is not State.UNDONE)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything ever intended, in order."""
        with self._lock:
            return tuple(self._entries)

    def close(self) -> None:
        """Close the file; the journal of a run that left nothing is removed, as nobody will need it."""
        if self._file < 0:
            return
        for entry in self.left:
            # The last thing that a run removes is the folder that it works in.
            if entry.undo.get("action") == "remove-folder" and not Path(str(entry.undo["path"])).exists():
                entry.undone()
        nothing_left = not self.left
        if nothing_left:
            self._append({"state": "closed"})
        os.close(self._file)
        self._file = -1
        if nothing_left:
            self.path.unlink(missing_ok=True)
            with suppress(OSError):  # Another process of the run has its own journal here.
                self.folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        data = json.dumps({**line, "at": at}, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            # One write of one line with O_APPEND: a crash can at worst cut the last line short.
            os.write(self._file, data)
            os.fsync(self._file)


def read(path: Path) -> Record:
    """Read a journal, whatever state its run left it in; a last line cut short is left out."""
    return _record(path.parent.name, _lines(path))


def read_run(folder: Path) -> Record:
    """Read all journals of a run as one."""
    records = [read(path) for path in sorted(folder.glob("journal*.jsonl"))]
    return Record(
        run=folder.name,
        processes=tuple(process for record in records for process in record.processes),
        clusters={ref: reach for record in records for ref, reach in record.clusters.items()},
        entries=tuple(entry for record in records for entry in record.entries),
        closed=bool(records) and all(record.closed for record in records),
        hosts=frozenset(name for record in records for name in record.hosts),
    )


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            yield document


def _record(run: str, lines: Iterable[Mapping[str, Any]]) -> Record:
    processes: list[ProcessIdentity] = []
    clusters: dict[str, ClusterReach] = {}
    entries: dict[int, Entry] = {}
    hosts: set[str] = set()
    closed = False
    for line in lines:
        closed = line.get("state") == "closed"
        match line.get("state"):
            case "run":
                processes.append(ProcessIdentity(int(line["process"]["pid"]), str(line["process"]["start"])))
                hosts.add(str(line.get("host") or host()))
            case "cluster":
                reach = ClusterReach(
                    line["ref"], line.get("kubeconfig"), line.get("context"), line.get("server", "")
                )
                clusters[reach.ref] = reach
            case "intended":
                entries[line["entry"]] = Entry(
                    line["entry"], line["kind"], line["name"], line["where"], line["undo"]
                )
            case "created" if line["entry"] in entries:
                entries[line["entry"]].state = State.CREATED
                entries[line["entry"]].fact = line.get("fact") or {}
            case "undone" if line["entry"] in entries:
                entries[line["entry"]].state = State.UNDONE
    return Record(run, tuple(processes), clusters, tuple(entries.values()), closed, frozenset(hosts))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
