"""The world of one version: a real API server, and the ECI side that can reach it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import yaml

from vnode_suite.access.kubeconfig import AdminCluster, admin_cluster
from vnode_suite.cleanup.journal import Entry
from vnode_suite.clusters.kube import AccessRequest, KubeClient
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, LocalCluster, start_local_cluster
from vnode_suite.connection.cell import CellRun
from vnode_suite.connection.closing import Closed, close_world
from vnode_suite.connection.cloud import CloudSide, open_cloud
from vnode_suite.connection.exclusion import Applied
from vnode_suite.connection.standins import KubeProxy, stand_in_for_kubeadm
from vnode_suite.core.errors import SuiteError
from vnode_suite.data.versions import KubernetesVersion
from vnode_suite.model import Cell, Text
from vnode_suite.eci import sdk
from vnode_suite.probes import rights
from vnode_suite.probes.nodes import NodeHistory
from vnode_suite.probes.snapshots import Snapshot, dump

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

#: How soon a lost heartbeat shows, in seconds (kube-controller-manager's default: 40 and 5). Long enough for a
#: simulated VNode on two busy cores to be a few seconds late with its renewal.
NODE_MONITOR_GRACE = 8.0
NODE_MONITOR_PERIOD = 1.0


class World:
    """One version's control plane, the ECI side beside it, and the cells that share them.

    Opened once, by whoever asks first; a failure to open is remembered, so that each cell fails with the same
    words and nothing is started twice.
    """

    def __init__(self, run: Run, version: str) -> None:
        self.run = run
        self.version_name = version
        self.version: KubernetesVersion = run.versions.resolve(version)
        self.timings: dict[str, float] = {}
        self._stack = ExitStack()
        self._guard = threading.RLock()
        self._problem: BaseException | None = None
        self._opened = False
        self._cells: dict[str, CellRun] = {}
        self.cluster: LocalCluster
        self.cloud: CloudSide
        self.kube: KubeClient
        self.nodes: NodeHistory
        self.admin: AdminCluster
        self.kube_proxy: KubeProxy
        self.before: Snapshot
        self.exclusion_guard = threading.RLock()
        self.closing_guard = threading.RLock()
        self.exclusion: Applied | None = None
        self.exclusion_entry: Entry | None = None
        self.closed: Closed | None = None
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
            return self._cells[cell.id]

    def close(self, *, hurriedly: bool = False) -> None:
        """Close the connections, then everything that was started, in reverse order; never twice.

        :param hurriedly: nobody waits for a VNode to be gone: what is in a local cluster goes with its processes.
        """
        with self._guard:
            if self._opened and not hurriedly:
                self._measure_memory()
                with suppress(SuiteError):
                    close_world(self)
            for cell in self._cells.values():
                cell.close(hurriedly=hurriedly)
            self._opened = False
            # Closing the clients ends the waits of whatever a hurried closing left under way.
            self._stack.close()
            self._gone_with_the_processes()

    def _gone_with_the_processes(self) -> None:
        """What was in the control plane and in the emulator is no more when they are."""
        for entry in self.run.journal.left:
            if entry.undo.get("cluster") == self.ref or entry.where == "cloud":
                entry.undone()

    @property
    def ref(self) -> str:
        """Name under which the journal knows this cluster."""
        return f"local-{self.version_name}"

    def _start(self) -> None:
        ledger, began = self.run.ledger, time.monotonic()
        cells = [cell.id for cell in self.run.settings.cells_of(self.version_name)]
        binaries = self._timed("binaries", lambda: obtain_binaries(self.version, progress=self.run.progress))
        self._say(f"starting Kubernetes {binaries.version}", f"正在启动 Kubernetes {binaries.version}")
        # The ECI SDK takes half a second to import: long done when the control plane is up.
        sdk.preload()
        self.cloud = self._stack.enter_context(open_cloud(self.run, self.version_name))
        self.run.journal.cluster(self.ref, kubeconfig=None, context=None, server="")
        self.cluster = self._stack.enter_context(
            start_local_cluster(
                self.version,
                self.run.scratch / f"cluster-{self.version_name}",
                self.run.supervisor,
                binaries=binaries,
                name=f"k8s-{self.version_name}",
                settings=ControlPlaneSettings(
                    address=self.cloud.host_address,
                    node_monitor_grace_seconds=NODE_MONITOR_GRACE,
                    node_monitor_period_seconds=NODE_MONITOR_PERIOD,
                ),
            )
        )
        self.kube = self._stack.enter_context(KubeClient.from_kubeconfig_text(self.cluster.admin_kubeconfig))
        self.admin = admin_cluster(yaml.safe_load(self.cluster.admin_kubeconfig))
        self.kube_proxy = stand_in_for_kubeadm(self.kube, self.version)
        self.before = dump(self.kube)
        self.nodes = NodeHistory(self.kube)
        self._stack.callback(self.nodes.close)
        self.timings |= {
            **self.cluster.timings,
            "usable": time.monotonic() - began - self.timings["binaries"],
        }
        ledger.write(
            "cluster-ready",
            version=self.version_name,
            cells=cells,
            server_version=self.server_version,
            provider="local",
            provenance=self.cluster.provenance,
            timings={name: round(seconds, 3) for name, seconds in self.timings.items()},
            network={
                "kind": self.cloud.network,
                "reason": self.cloud.network_reason,
                "host": self.cloud.host_address,
            },
        )

    @property
    def server_version(self) -> str:
        """``gitVersion`` as the server itself says it."""
        return str(self.cluster.version_info["gitVersion"])

    @property
    def cells(self) -> tuple[CellRun, ...]:
        """The cells of this world, once the first was asked for."""
        return tuple(self._cells.values())

    def vnode_ids(self) -> frozenset[str]:
        """Ids of every VNode that the run has created in this world."""
        known = (s.steps.known("vnode") for cell in self.cells for s in cell.subjects)
        return frozenset(str(outcome.product.id) for outcome in known if outcome and outcome.product)

    def questions(self, namespaces: Sequence[str]) -> tuple[AccessRequest, ...]:
        """Every verb of every resource that the server serves (see :func:`rights.served_questions`), asked once."""
        with self._guard:
            if not self._questions:
                self._questions = rights.served_questions(self.kube, namespaces)
            return self._questions

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        began = time.monotonic()
        try:
            return work()
        finally:
            self.timings[name] = time.monotonic() - began

    def _say(self, en: str, zh: str) -> None:
        for cell in self.run.settings.cells_of(self.version_name):
            self.run.ledger.write(
                "waiting", cell=cell.id, subject="world", for_=Text(en, zh), deadline_seconds=None
            )

    def _measure_memory(self) -> None:
        processes: Mapping[str, int] = {**self.cluster.memory_pss(), **self.cloud.memory_pss()}
        self.run.ledger.write(
            "memory", version=self.version_name, processes=processes, total_pss_bytes=sum(processes.values())
        )
