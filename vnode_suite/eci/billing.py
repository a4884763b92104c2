"""What a VNode costs, as far as it is published: the amount of resources, not their price.

Each VNode is billed for a resident node equal to an ECI instance of 2 vCPU and 8 GiB (API metadata of
CreateVirtualNode). ECI bills vCPU and memory by the second; prices differ by region and contract and are on
the product's price page, so the suite names the basis and never an amount of money. Pods' instances come on
top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RESIDENT_VCPU: Final = 2.0
RESIDENT_MEMORY_GIB: Final = 8.0


@dataclass(frozen=True, slots=True)
class CostBasis:
    """Resources that will be, or were, billed."""

    virtual_nodes: int
    #: Seconds that VNodes existed, all together.
    seconds: float

    @property
    def vcpu_hours(self) -> float:
        """vCPU hours of the resident nodes."""
        return self.seconds / 3600 * RESIDENT_VCPU

    @property
    def gib_hours(self) -> float:
        """GiB hours of the resident nodes."""
        return self.seconds / 3600 * RESIDENT_MEMORY_GIB

    def __str__(self) -> str:
        each = f"{RESIDENT_VCPU:g} vCPU and {RESIDENT_MEMORY_GIB:g} GiB each"
        hours = f"{self.vcpu_hours:.2f} vCPU-hours and {self.gib_hours:.2f} GiB-hours"
        return (
            f"{self.virtual_nodes} VNodes, {self.seconds:.0f} s in all: {hours} of resident nodes "
            f"({each}, billed by the second at the region's ECI price); Pods on them come on top"
        )


def planned(virtual_nodes: int, seconds_each: float) -> CostBasis:
    """The basis of a plan: so many VNodes, each kept for at most so long."""
    return CostBasis(virtual_nodes, virtual_nodes * seconds_each)
