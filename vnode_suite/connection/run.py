"""One acceptance run: what every cell of it shares, and the folder that it writes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from vnode_suite.cleanup.journal import Entry, Journal
from vnode_suite.cleanup.undo import process_undo
from vnode_suite.clusters.kind.cluster import prepare
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.store import Store
from vnode_suite.connection.cell import CellRun
from vnode_suite.connection.conditions import conditions
from vnode_suite.connection.emulators import Emulators
from vnode_suite.connection.world import World
from vnode_suite.core.ledger import Ledger
from vnode_suite.core.processes import Supervisor
from vnode_suite.core.progress import Progress, SilentProgress
from vnode_suite.core.secrets import REGISTRY, Registry
from vnode_suite.core.settings import Settings
from vnode_suite.data.catalogue import Catalogue, load_catalogue
from vnode_suite.data.deadlines import Deadlines, load_deadlines
from vnode_suite.data.defects import Defects, load_defects
from vnode_suite.data.versions import Versions, load_versions
from vnode_suite.model import Cell, Cloud, Provider

#: What was selected of one cell: clauses, each alone or with a defect to show that its check can fail.
Wanted = tuple[tuple[str, str | None], ...]


@dataclass(slots=True)
class Run:
    """Owns the ledger, the journal, the processes and the worlds of one run; a context manager.

    :ivar id: eight characters of ``a-z0-9``; names everything that the run makes.
    :ivar folder: ``<report-dir>/<run-id>``, what a reader gets.
    """

    settings: Settings
    id: str
    folder: Path
    shard: str = "main"
    progress: Progress = field(default_factory=SilentProgress)
    #: By cell id; what is started early so that it can be judged late.
    wanted: Mapping[str, Wanted] = field(default_factory=dict)

    secrets: Registry = REGISTRY
    ledger: Ledger = field(init=False)
    journal: Journal = field(init=False)
    supervisor: Supervisor = field(init=False)
    #: Shared by the worlds, which are opened one after the other.
    emulators: Emulators = field(init=False)
    scratch: Path = field(init=False)
    catalogue: Catalogue = field(init=False)
    defects: Defects = field(init=False)
    deadlines: Deadlines = field(init=False)
    versions: Versions = field(init=False)
    _ending: Entry = field(init=False)
    #: Entries of the journal that stay because the user asked for it.
    kept: set[int] = field(init=False, default_factory=set)
    _worlds: dict[str, World] = field(init=False, default_factory=dict)
    _guard: threading.RLock = field(init=False, default_factory=threading.RLock)

    def __post_init__(self) -> None:
        scope = self.settings.scope
        self.folder = self.folder.absolute()
        (self.folder / "evidence").mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(self.folder / ledger_name(self.shard), self.secrets, self.shard)
        self.catalogue = load_catalogue(scope.page_revision)
        self.defects = load_defects()
        self.deadlines = _deadlines(self.settings)
        self.versions = load_versions()

    def __enter__(self) -> Run:
        # Keys, kubeconfigs and etcd's data live here and go with the run; nothing of it is evidence.
        self.scratch = Path(tempfile.mkdtemp(prefix=f"vnode-suite-{self.id}-"))
        self.journal = Journal.open(self.id, shard=self.shard, scratch=self.scratch)
        self.supervisor = Supervisor(log=self.scratch / "supervisor.log")
        self.supervisor.at_end(["rm", "-rf", str(self.scratch)])
        undo = process_undo(self.supervisor.pid, ends_by_itself=True)
        self._ending = self.journal.intend("process", "supervisor", undo, where="local")
        self.emulators = Emulators(self)
        if self.wanted and self.settings.cluster.provider in _OWN:
            # The first thing that is waited for; a given cluster's has a way out of its VPC, which is not known yet.
            self.emulators.start_early()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def provision(self, progress: Progress) -> None:
        """Have the programs of every version's control plane in the store, one version after the other.

        :raises SuiteError: a version's cannot be had, or this machine cannot run it; lists what was tried.
        """
        provider = self.settings.cluster.provider
        for version in map(self.versions.resolve, self.settings.versions if provider in _OWN else ()):
            if provider is Provider.KIND:
                prepare(version, store=Store.default(), progress=progress)
            else:
                obtain_binaries(version, progress=progress)

    def world(self, version: str) -> World:
        """The world of one version, opened when it is first asked for: one control plane a version, never two."""
        with self._guard:
            if version not in self._worlds:
                self._worlds[version] = World(self, version)
            world = self._worlds[version]
        world.open()
        return world

    def conditions(self, cell: Cell) -> frozenset[str]:
        """The named conditions that hold in *cell* (see :mod:`vnode_suite.connection.conditions`)."""
        return conditions(self.settings, cell)

    def cell(self, cell: Cell) -> CellRun:
        """The run of one cell, in its version's world."""
        return self.world(cell.version).cell(cell)

    @property
    def is_outlived(self) -> bool:
        """Whether what the run makes stays when its processes end: then it is undone, however long that takes."""
        given = self.settings.cluster.provider is Provider.EXISTING
        return given or self.settings.cloud.cloud is not Cloud.EMULATOR

    def leave(self, version: str, *, hurriedly: bool = False) -> None:
        """Close the world of *version*, if it was opened: its processes make room for the next one's."""
        with self._guard:
            world = self._worlds.pop(version, None)
        if world is not None:
            world.close(hurriedly=hurriedly)

    def close(self, *, hurriedly: bool = False) -> None:
        """Close every world and stop every process; never raises for something that is already gone.

        :param hurriedly: the run was interrupted; see :meth:`World.close`.
        """
        hurriedly = hurriedly and not self.is_outlived
        for version in list(self._worlds):
            # The supervisor stops what is left, and the journal knows what could not be undone.
            with contextlib.suppress(Exception):
                self.leave(version, hurriedly=hurriedly)
        with contextlib.suppress(Exception):
            self.emulators.close()
        self.supervisor.close()
        self._ending.undone()
        if not self.kept:
            shutil.rmtree(self.scratch, ignore_errors=True)
        self.journal.close()


#: Providers whose clusters are the run's own.
_OWN = (Provider.LOCAL, Provider.KIND)
#: Entries that a cluster decides and not the simulated side: of a given one nothing is known to be quick, and a kind
#: cluster is as kubeadm makes it.
_OF_THE_CLUSTER = (
    "rights-visible",
    "certificate-issued",
    "daemonset-settled",
    "pod-gone",
    "objects-gone",
    "stays-ready",
)


def _deadlines(settings: Settings) -> Deadlines:
    simulated = settings.cloud.cloud is not Cloud.LIVE
    changed = dict(settings.scope.deadlines)
    if simulated and settings.cluster.provider is not Provider.LOCAL:
        real = load_deadlines({}, simulated=False)
        changed = {name: real.seconds(name) for name in _OF_THE_CLUSTER} | changed
    return load_deadlines(changed, simulated=simulated)


def ledger_name(shard: str) -> str:
    """Name of a shard's ledger in the run's folder."""
    return "events.jsonl" if shard == "main" else f"events-{shard}.jsonl"
