"""The named conditions of a cell, by which a clause says that it applies (:class:`vnode_suite.model.Applies`)."""

from __future__ import annotations

from vnode_suite.core.settings import Settings
from vnode_suite.model import Cell, Cloud, Identity


def conditions(settings: Settings, cell: Cell) -> frozenset[str]:
    """What holds in *cell* as far as the run's settings tell."""
    held: set[str] = set()
    given = settings.given is not None
    if not given:
        held.add("creating")
    if cell.identity is not Identity.ADMIN and not given:
        held.add("generated-kubeconfig")
    if not given or settings.cloud.resource_group:
        held.add("resource-group-told")
    if len(settings.cloud.vswitches) > 1:
        held.add("several-vswitches")
    if not given or settings.cloud.tags:
        # The run's own tag is always given to what it makes.
        held.add("tags-given")
    if settings.cloud.taints:
        held.add("taints-given")
    learnt = settings.cluster.learnt
    if learnt is None or learnt.kube_proxy:
        # A given cluster has what it has; on one of its own the run sees to it that there is one.
        held.add("kube-proxy")
        if settings.cluster.apply_exclusion != "off":
            held.add("exclusion-applied")
    if learnt is not None and learnt.server_by_name:
        held.add("server-by-name")
    if learnt is not None and learnt.eci_profile:
        held.add("eci-profile")
    if settings.scope.security_required:
        held.add("security-required")
    if settings.cloud.cloud is Cloud.EMULATOR and not given:
        held.add("failure-provokable")
    return frozenset(held)
