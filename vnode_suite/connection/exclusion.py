"""Keeping kube-proxy off VNodes, as the page asks, and giving the DaemonSet back as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnode_suite.checks.ds import EXCLUSION_TERM
from vnode_suite.core.errors import HarnessError
from vnode_suite.probes.daemonsets import (
    affinity_patch,
    excluding,
    path_of,
    required_terms,
    restoring_patch,
    settled,
)

if TYPE_CHECKING:
    from vnode_suite.connection.world import World


Terms = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to kube-proxy's DaemonSet.

    :ivar before: its terms as they were.
    :ivar restoring: the merge patch that makes its affinity what it was, key for key.
    :ivar at: when the patch was acted on, on the monotonic clock; ``None`` where nothing was patched.
    """

    before: tuple[Mapping[str, Any], ...]
    restoring: Mapping[str, Any]
    at: float | None


def applied(world: World) -> Applied:
    """Apply the exclusion once in *world*, unless it is off or the run itself has a defect of it.

    The DaemonSet's controller has acted on it when this returns, so that a VNode that joins now meets it.
    """
    with world.exclusion_guard:
        if world.exclusion is None:
            world.exclusion = _apply(world)
        return world.exclusion


_LINUX = {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}
_NOWHERE = {
    "matchExpressions": [
        {"key": "vnode-suite/nowhere", "operator": "Exists"},
        *EXCLUSION_TERM["matchExpressions"],
    ]
}
#: Defects of the exclusion: what is made of kube-proxy's own terms, instead of keeping VNodes out of each.
TERMS_BY_DEFECT: Mapping[str, Callable[[Terms], list[Any] | None]] = {
    "kube-proxy-not-excluded": lambda before: list(before) or None,
    "kube-proxy-affinity-in-one-term": lambda before: [*excluding(before), _LINUX],
    "kube-proxy-affinity-excludes-everything": lambda before: [_NOWHERE],
}


def _apply(world: World) -> Applied:
    proxy = world.kube_proxy
    if proxy is None:
        return Applied((), {}, None)
    path = path_of(proxy.namespace, proxy.name)
    there = world.kube.get(path)
    before, restoring = required_terms(there), restoring_patch(there)
    if world.run.settings.cluster.apply_exclusion == "off":
        return Applied(before, restoring, None)
    wrong = [TERMS_BY_DEFECT[name] for name in world.run.settings.scope.defects if name in TERMS_BY_DEFECT]
    entry = world.run.journal.intend(
        "DaemonSet affinity",
        f"{proxy.namespace}/{proxy.name}",
        {
            "action": "patch-object",
            "cluster": world.ref,
            "path": path,
            "patch": restoring,
        },
    )
    set_terms(world, wrong[0](before) if wrong else excluding(before))
    entry.done()
    world.exclusion_entry = entry
    return Applied(before, restoring, time.monotonic())


def set_terms(world: World, terms: Any) -> None:
    """Make *terms* kube-proxy's required node affinity (``None``: none), and wait until it is acted on."""
    _patch(world, affinity_patch(terms))


def _patch(world: World, patch: Mapping[str, Any]) -> None:
    proxy = world.kube_proxy
    if proxy is None:
        raise HarnessError("there is no kube-proxy DaemonSet to patch")
    world.kube.patch(path_of(proxy.namespace, proxy.name), patch)
    settled(
        world.kube,
        proxy.namespace,
        proxy.name,
        deadline_seconds=world.seconds("daemonset-settled"),
    )


def revert(world: World) -> None:
    """Give the DaemonSet its own terms back, unless it was asked to stay patched."""
    with world.exclusion_guard:
        done = world.exclusion
        if done is None or done.at is None:
            return
        if world.run.settings.cluster.apply_exclusion == "keep":
            _leave(world)
            return
        _patch(world, done.restoring)
        if world.exclusion_entry is not None:
            world.exclusion_entry.undone()
        world.exclusion = Applied(done.before, done.restoring, None)


def _leave(world: World) -> None:
    """Write down that the exclusion stays on request, so that no sweep reverts it later."""
    entry, world.exclusion_entry = world.exclusion_entry, None
    if entry is None:
        return
    entry.undone()
    for cell in world.cells[:1]:
        world.run.ledger.write(
            "left",
            cell=cell.cell.id,
            kind=entry.kind,
            name=entry.name,
            where=entry.where,
            id="",
            reason="kept: --vnode-apply-exclusion keep",
        )
