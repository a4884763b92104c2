"""``--vnode-keep``: what stays after the run, so that somebody can look at it, and how it is taken away later.

Kept are the VNodes under test with their Nodes, Pods and identity, the exclusion that protects them, and, where they
are the run's own, the control plane and the emulator. Twins always go. An approver is not kept: a certificate is not
renewed afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vnode_suite.cleanup.journal import Entry
from vnode_suite.cleanup.undo import process_undo
from vnode_suite.clusters.kind.config import cluster_name, node_name
from vnode_suite.core.documents import dump_yaml
from vnode_suite.core.ledger import Event
from vnode_suite.model import Level, Provider

if TYPE_CHECKING:
    from vnode_suite.connection.subject import Subject
    from vnode_suite.connection.world import World

#: What takes it all away again.
REMOVAL = "vnode-suite sweep --yes"
_BAD = frozenset({"failed", "could-not-run", "error"})


def kept_reason(wish: str) -> str:
    """Of each thing that stays: that it was asked for, and how it goes."""
    return f"kept: --vnode-keep {wish}; {REMOVAL} takes it away"


class Keeping:
    """Decides, once, when a world's closing begins."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._wish = world.run.settings.keep
        self._cells = frozenset(cell.id for cell in world.run.settings.cells_of(world.version_name))
        self._failed = False
        #: Whether the world stays; false until its closing has begun.
        self.kept = False
        if self._wish == "on-failure":
            world.run.ledger.subscribe(self._heed)

    def decide(self) -> None:
        """Closing begins: what was judged by now decides."""
        wanted = self._wish == "always" or (self._wish == "on-failure" and self._failed)
        # Of a VNode that was made elsewhere nothing is taken away in any case.
        self.kept = wanted and self._world.run.settings.given is None

    def holds(self, subject: Subject) -> bool:
        """Whether the VNode of *subject* stays."""
        return self.kept and subject.under_test

    def _heed(self, event: Event) -> None:
        if event.get("type") == "harness-error":
            self._failed = True
        if event.get("cell") not in self._cells:
            return
        if event.get("type") == "control" and not event.get("caught"):
            self._failed = True
        if event.get("type") == "result" and event.get("status") in _BAD:
            run = self._world.run
            clause = run.catalogue.clause(str(event["clause"]))
            advice = clause.level is not Level.MUST and not run.settings.scope.strict_should
            # A failed SHOULD is advice, and INFO is never judged.
            self._failed |= (
                not (advice and event.get("status") == "failed") and clause.level is not Level.INFO
            )

    # -- handing over ---------------------------------------------------------------------------------------

    def hand_over(self) -> None:
        """Let go of what stays, before everything else is closed; written down so that a sweep finds it."""
        world, run = self._world, self._world.run
        names = [process.name for process in run.supervisor.running() if self._is_mine(process.name)]
        if names:
            run.supervisor.keep(names)
            self._keep_supervisor()
        for where, name in self._reached_at():
            self._tell("control plane", name, where)
        for entry in world.run.journal.left:
            if self._covers(entry):
                run.kept.add(entry.id)
                if entry.undo.get("ends_with_run"):
                    id_, cell = str(entry.fact.get("id") or ""), str(entry.undo.get("cell") or "")
                    self._tell(entry.kind, entry.name, entry.where, id_, cell)

    def _tell(self, kind: str, name: str, where: str, id_: str = "", cell: str = "") -> None:
        first = self._world.run.settings.cells_of(self._world.version_name)[0].id
        reason = kept_reason(self._wish)
        self._world.run.ledger.write(
            "left", cell=cell or first, kind=kind, name=name, where=where, id=id_, reason=reason
        )

    def _is_mine(self, process: str) -> bool:
        """The emulator, and by the names that openings give the others: ``k8s-1.22/etcd``."""
        of_the_version = process.partition("/")[0].partition("-")[2] == self._world.version_name
        return of_the_version or process == self._world.cloud.process_name

    def _covers(self, entry: Entry) -> bool:
        # A kind cluster is undone by the name that Docker knows it by, not by the journal's.
        ours = entry.undo.get("cluster") in (None, self._world.ref, self._kind_cluster)
        return ours and (entry.undo.get("cell") is None or entry.undo["cell"] in self._cells)

    def _keep_supervisor(self) -> None:
        run = self._world.run
        if any(entry.undo.get("action") == "stop-process" for entry in run.journal.left):
            return
        pid = run.supervisor.pid
        run.journal.intend("processes", "what the run started", process_undo(pid), where="local").done(
            pid=pid
        )

    def _reached_at(self) -> Iterator[tuple[str, str]]:
        """How the control plane is reached, where it is the run's own: its administrator's kubeconfig, for the owner
        of the files alone."""
        world, provider = self._world, self._world.run.settings.cluster.provider
        if provider is Provider.EXISTING:
            return
        path = world.run.scratch / f"kubeconfig-{world.version_name}"
        _write_secret(path, dump_yaml(dict(world.cluster.document)))
        # What follows the colon can be given to a shell as it is.
        inside = f"  # or: docker exec -it {node_name(self._kind_cluster)} bash"
        told = inside if provider is Provider.KIND else ""
        yield "local", f"{world.server_version}: export KUBECONFIG={path}{told}"

    @property
    def _kind_cluster(self) -> str:
        return cluster_name(self._world.run.id, self._world.version_name)


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
