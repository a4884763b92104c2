"""Defects that a whole cell has for a moment: put in force, and taken back, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vnode_suite.connection import exclusion, identities
from vnode_suite.connection.standins import kube_proxy
from vnode_suite.probes.daemonsets import excluding, path_of, settled

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun


@contextmanager
def taking_effect(cell: CellRun, defect: str) -> Iterator[None]:
    """*defect* is in force while the block lasts; afterwards everything is as it was."""
    where = cell.run.defects.defect(defect).where
    if where == "access":
        with identities.holding(cell.sound).with_defect(defect):
            yield
    elif where == "approver":
        with _approver_as(cell, defect):
            yield
    elif defect == "daemonset-tolerates-everything":
        with stray_daemonset(cell):
            yield
    else:
        with _kube_proxy_terms(cell, defect):
            yield


@contextmanager
def _approver_as(cell: CellRun, defect: str) -> Iterator[None]:
    identities.stop_approver(cell)
    try:
        identities.run_approver(cell, identities.VARIANTS_BY_DEFECT[defect])
        yield
    finally:
        identities.stop_approver(cell)
        cell.approver_is_off = False


@contextmanager
def _kube_proxy_terms(cell: CellRun, defect: str) -> Iterator[None]:
    world = cell.world
    before = cell.sound.exclusion().before
    terms = exclusion.TERMS_BY_DEFECT[defect](before)
    try:
        exclusion.set_terms(world, terms)
        yield
    finally:
        exclusion.set_terms(world, excluding(before))


@contextmanager
def stray_daemonset(cell: CellRun) -> Iterator[None]:
    """A DaemonSet like a network plug-in's: it tolerates everything and nobody keeps it off."""
    # Its container is called the same, and such a name takes no dots.
    name = f"vnode-suite-{cell.run.id}-{cell.cell.id}-stray".replace(".", "-")
    making, body = cell.making, {**kube_proxy(name)}
    body["metadata"]["labels"] = {**body["metadata"]["labels"], **cell.naming.labels}
    made = making.ensure(body)
    try:
        settled(making.kube, "kube-system", name, deadline_seconds=cell.seconds("daemonset-settled"))
        yield
    finally:
        making.remove(made.object)
        making.kube.wait_for(
            path_of("kube-system", name),
            lambda found: found is None,
            deadline_seconds=cell.seconds("daemonset-settled"),
            what=f"the DaemonSet {name} to be gone",
        )
