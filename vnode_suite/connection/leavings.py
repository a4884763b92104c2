"""What a VNode writes beside its Node and never labels: its Lease, and a lock where leases are denied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnode_suite.clusters.kube import KubeError
from vnode_suite.data.versions import VersionFacts

if TYPE_CHECKING:
    from vnode_suite.connection.world import World

#: What there is at an address.
Listing = Callable[[str], Sequence[Mapping[str, Any]]]

#: Where a kubelet's Lease is, and, as a VNode on 1.13 has it, the Endpoints object that is its leader lock.
_LEASES = "/apis/coordination.k8s.io/{api}/namespaces/kube-node-lease/leases"
_LOCKS = "/api/v1/namespaces/kube-system/endpoints"


@dataclass(frozen=True, slots=True)
class Leaving:
    """One such object."""

    kind: str
    name: str
    path: str
    #: When its holder last said that it lives, as the object has it; empty where it does not say.
    renewed: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def collections(facts: VersionFacts) -> tuple[tuple[str, str], ...]:
    """Kind and address of what a VNode may leave on such a server; no Lease where it may not hold one (1.13)."""
    leases = (("Lease", _LEASES.format(api=facts.lease_api)),) if facts.lease_for_vnode else ()
    return (*leases, ("Endpoints", _LOCKS))


def leavings(world: World, names: Iterable[str], listed: Listing | None = None) -> tuple[Leaving, ...]:
    """Leases and locks of the VNodes that are called one of *names* (ids or Node names), by name alone.

    :param listed: what there is at an address, where somebody has looked already.
    """
    wanted = frozenset(name for name in names if name)
    found: list[Leaving] = []
    for kind, path in collections(world.version.facts):
        for item in (listed or world.kube.list)(path):
            name = str(item["metadata"]["name"])
            if any(each in name for each in wanted):
                renewed = str((item.get("spec") or {}).get("renewTime") or "")
                found.append(Leaving(kind, name, f"{path}/{name}", renewed))
    return tuple(found)


def remove_leavings(world: World, names: Iterable[str], listed: Listing | None = None) -> tuple[Leaving, ...]:
    """Delete them; says which there were. One that is gone already is no error."""
    found = leavings(world, names, listed)
    for each in found:
        try:
            world.kube.delete(each.path)
        except KubeError as problem:
            # The garbage collector takes a Lease with its Node.
            if problem.status != 404:
                raise
    return found
