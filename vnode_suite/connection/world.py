"""The world of one version: a real API server, and the ECI side that can reach it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from vnode_suite.access.kubeconfig import AdminCluster, admin_cluster
from vnode_suite.cleanup.journal import Entry
from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.kube import AccessRequest, KubeClient
from vnode_suite.connection.cell import CellRun
from vnode_suite.connection.closing import Closed, close_world
from vnode_suite.connection.cloud import CloudSide
from vnode_suite.connection.exclusion import Applied
from vnode_suite.connection.keeping import Keeping
from vnode_suite.connection.lanes import Lanes
from vnode_suite.connection.opening import OPENINGS
from vnode_suite.connection.standins import KubeProxy
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.way import Way
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.memory import pss_bytes
from vnode_suite.data.versions import KubernetesVersion
from vnode_suite.model import Cell, Grade, Provider, Text
from vnode_suite.probes import rights
from vnode_suite.probes.nodes import NodeHistory
from vnode_suite.probes.requests import RequestHistory
from vnode_suite.probes.snapshots import Snapshot

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

T = TypeVar("T")


class World:
    """One version's control plane, the ECI side beside it, and the cells that share them.

    Opened once, by whoever asks first; a failure to open is remembered, so that each cell fails with the same
    words and nothing is started twice.
    """

    def __init__(self, run: Run, version: str) -> None:
        self.run = run
        self.version_name = version
        self.version: KubernetesVersion = (
            run.versions.nearest(version)
            if run.settings.cluster.provider is Provider.EXISTING
            else run.versions.resolve(version)
        )
        self.timings: dict[str, float] = {}
        self._stack = ExitStack()
        self._guard = threading.RLock()
        self._problem: BaseException | None = None
        self._opened = False
        self._cells: dict[str, CellRun] = {}
        self._longer: Mapping[str, float] = {}
        self.lanes = Lanes(())
        self.cluster: Cluster
        self.way: Way
        self.cloud: CloudSide
        self.kube: KubeClient
        self.nodes: NodeHistory
        #: Only where an identity asks for certificates.
        self.requests: RequestHistory | None = None
        self.admin: AdminCluster
        self.kube_proxy: KubeProxy | None
        self.before: Snapshot
        self.exclusion_guard = threading.RLock()
        #: Defects in force that every cell has while one does.
        self.shared_defects: set[str] = set()
        self.shared_defects_guard = threading.Lock()
        self.closing_guard = threading.RLock()
        self.exclusion: Applied | None = None
        self.exclusion_entry: Entry | None = None
        self.closed: Closed | None = None
        #: By address, what was there when everything had been closed.
        self.after_closing: dict[str, Sequence[Mapping[str, Any]]] = {}
        self.keeping = Keeping(self)
        self._questions: tuple[AccessRequest, ...] = ()

    def open(self) -> None:
        """Start everything, once.

        :raises HarnessError: it could not be started; says what was being done.
        """
        with self._guard:
            if self._problem is not None:
                raise self._problem
            if self._opened:
                return
            try:
                self._start()
            except BaseException as problem:
                self._problem = problem
                if isinstance(problem, StepNotReached):
                    self._say_why_not(problem)
                self.close()
                raise
            self._opened = True

    def cell(self, cell: Cell) -> CellRun:
        """The run of *cell* in this world; the first one asked for starts what takes time in all of them."""
        with self._guard:
            if not self._cells:
                for each in self.run.settings.cells_of(self.version_name):
                    self._cells[each.id] = CellRun(self, each)
                for run in self._cells.values():
                    run.start_early()
                self.lanes = Lanes(self.cells)
                self.lanes.start()
            return self._cells[cell.id]

    def close(self, *, hurriedly: bool = False) -> None:
        """Close the connections, then everything that was started, in reverse order; never twice.

        :param hurriedly: nobody waits for a VNode to be gone: what is in a local cluster goes with its processes.
        """
        with self._guard:
            if self._opened and not hurriedly:
                self.measure_memory()
                with suppress(SuiteError):
                    close_world(self)
            self.lanes.stop(wait=not hurriedly)
            for cell in self._cells.values():
                cell.close(hurriedly=hurriedly)
            self._opened = False
            if self.keeping.kept:
                self.keeping.hand_over()
            # Closing the clients ends the waits of whatever a hurried closing left under way.
            self._stack.close()
            if not self.keeping.kept:
                self._gone_with_the_processes()

    def _gone_with_the_processes(self) -> None:
        """What was in the emulator is no more when it is, nor what was in a control plane of the run's own."""
        own = self.run.settings.cluster.provider is not Provider.EXISTING
        for entry in self.run.journal.left:
            if (own and entry.undo.get("cluster") == self.ref) or entry.undo.get("ends_with_run"):
                entry.undone()
                if entry.where == "cloud":
                    cell = entry.undo.get("cell")
                    self.run.ledger.write(
                        "deleted", cell=cell, kind=entry.kind, name=entry.name, where="cloud", id=""
                    )

    @property
    def ref(self) -> str:
        """Name under which the journal knows this cluster."""
        return f"{self.run.settings.cluster.provider.value}-{self.version_name}"

    def _start(self) -> None:
        began = time.monotonic()
        provider = self.run.settings.cluster.provider
        opened = OPENINGS[provider](self, self._stack)
        self.cluster, self.cloud, self.way = opened.cluster, opened.cloud, opened.way
        self.kube_proxy, self.before, self._longer = opened.kube_proxy, opened.before, opened.longer
        self.kube = self.cluster.kube
        self.admin = admin_cluster(self.cluster.document, self.cluster.context)
        self.nodes = NodeHistory(self.kube)
        self._stack.callback(self.nodes.close)
        cells = self.run.settings.cells_of(self.version_name)
        if any(cell.asks_for_certificate for cell in cells):
            self.requests = RequestHistory(self.kube)
            self._stack.callback(self.requests.close)
        self.timings |= {
            **self.cluster.timings,
            "usable": time.monotonic() - began - self.timings.get("binaries", 0.0),
        }
        self.run.ledger.write(
            "cluster-ready",
            version=self.version_name,
            cells=[cell.id for cell in cells],
            server_version=self.server_version,
            provider=provider.value,
            provenance=self.cluster.provenance,
            timings={name: round(seconds, 3) for name, seconds in self.timings.items()},
            inferred=list(self.cloud.inferred),
            network={
                "kind": self.cloud.network,
                "reason": self.cloud.network_reason,
                "host": self.cloud.host_address,
                "way": self.way.how.as_dict() if self.way.how else None,
            },
        )

    @property
    def server_version(self) -> str:
        """``gitVersion`` as the server itself says it."""
        return str(self.cluster.version_info["gitVersion"])

    def seconds(self, deadline: str) -> float:
        """An entry of the table of deadlines, at this world's pace; what the user gave is never changed."""
        own = deadline in dict(self.run.settings.scope.deadlines)
        return self.run.deadlines.seconds(deadline) + (0.0 if own else self._longer.get(deadline, 0.0))

    @property
    def cells(self) -> tuple[CellRun, ...]:
        """The cells of this world, once the first was asked for."""
        return tuple(self._cells.values())

    def vnode_ids(self) -> frozenset[str]:
        """Ids of every VNode that the run has created in this world."""
        known = (s.steps.known("vnode") for cell in self.cells for s in cell.subjects)
        return frozenset(str(outcome.product.id) for outcome in known if outcome and outcome.product)

    def questions(self, namespaces: Sequence[str]) -> tuple[AccessRequest, ...]:
        """Every verb of every resource that the server serves (see :func:`rights.questions_of`), put together once."""
        with self._guard:
            if not self._questions:
                self._questions = rights.questions_of(self.before.served, namespaces)
            return self._questions

    def _say_why_not(self, missed: StepNotReached) -> None:
        """Tell of each cell that it never began, what holds in it all the same, and which step was in the way."""
        run, unreached = self.run, missed.unreached
        for cell in run.settings.cells_of(self.version_name):
            run.ledger.write(
                "cell-started",
                cell=cell.id,
                version=cell.version,
                identity=cell.identity.value,
                provider=cell.provider.value,
                conditions=sorted(run.conditions(cell)),
                grade=Grade.SIMULATED.value,
            )
            run.ledger.write(
                "step",
                cell=cell.id,
                subject="sound",
                step=unreached.step,
                state="unreached",
                reason=unreached.reason,
                detail=unreached.detail,
                seconds=0.0,
            )

    def keeps(self, entry: Entry) -> bool:
        """Whether *entry* is to stay as it is: asked to be kept, all of it or an exclusion alone."""
        if self.keeping.kept:
            return True
        return entry is self.exclusion_entry and self.run.settings.cluster.apply_exclusion == "keep"

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """What *work* gives; how long it took is told in the report."""
        began = time.monotonic()
        try:
            return work()
        finally:
            self.timings[name] = time.monotonic() - began

    def say(self, en: str, zh: str) -> None:
        """Tell what is being done, in each cell of this world."""
        for cell in self.run.settings.cells_of(self.version_name):
            self.run.ledger.write(
                "waiting", cell=cell.id, subject="world", for_=Text(en, zh), deadline_seconds=None
            )

    def measure_memory(self) -> None:
        """Write down what every process of this version takes now, this one (which other versions share) included."""
        processes: Mapping[str, int] = {
            **self.cluster.memory_pss(),
            **self.cloud.memory_pss(),
            "suite": pss_bytes(os.getpid()),
        }
        self.run.ledger.write(
            "memory", version=self.version_name, processes=processes, total_pss_bytes=sum(processes.values())
        )
