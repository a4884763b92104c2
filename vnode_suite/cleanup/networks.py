"""How the networks of a run are called, and which of them are there."""

from __future__ import annotations

from pathlib import Path

#: Bridges of simulated VPCs begin with this, then comes the network's name.
BRIDGE_PREFIX = "vs"
#: Where Linux shows the machine's links.
_LINKS = Path("/sys/class/net")
#: Of the run's id in a network's name: with three digits of the version that makes eight characters, and an interface
#: that is called after it has the fifteen that the kernel allows.
_OF_THE_RUN, _OF_THE_VERSION = 5, 3


def network_name(run: str, version: str) -> str:
    """The name of the network of one version's world: two worlds of one run are two networks."""
    return f"{run[:_OF_THE_RUN]}{version.replace('.', '')[-_OF_THE_VERSION:]}"


def bridge_of(network: str) -> Path:
    """Where the kernel shows the bridge of a simulated VPC, while there is one."""
    return _LINKS / f"{BRIDGE_PREFIX}{network}"


def networks_of(run: str) -> tuple[str, ...]:
    """The networks of a run whose bridges are there."""
    beginning = f"{BRIDGE_PREFIX}{run[:_OF_THE_RUN]}"
    bridges = (link.parent for link in _LINKS.glob(f"{beginning}*/bridge"))
    return tuple(sorted(bridge.name.removeprefix(BRIDGE_PREFIX) for bridge in bridges))
