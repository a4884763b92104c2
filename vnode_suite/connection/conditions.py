"""The named conditions of a cell, by which a clause says that it applies (:class:`vnode_suite.model.Applies`)."""

from __future__ import annotations

from vnode_suite.core.settings import Settings
from vnode_suite.model import Cell, Cloud, Identity, Provider


def conditions(settings: Settings, cell: Cell) -> frozenset[str]:
    """What holds in *cell* as far as the run's settings tell."""
    held = {"creating"}
    if cell.identity is not Identity.ADMIN:
        held.add("generated-kubeconfig")
    if len(settings.cloud.vswitches) > 1:
        held.add("several-vswitches")
    # The run's own tag is always given.
    held.add("tags-given")
    if settings.cloud.taints:
        held.add("taints-given")
    if settings.cluster.provider is not Provider.EXISTING:
        held.add("kube-proxy")
    if settings.cluster.apply_exclusion != "off":
        held |= {"kube-proxy", "exclusion-applied"}
    if settings.scope.security_required:
        held.add("security-required")
    if settings.cloud.cloud is Cloud.EMULATOR:
        held.add("failure-provokable")
    return frozenset(held)
