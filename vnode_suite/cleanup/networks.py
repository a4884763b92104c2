"""How the networks of a run are called, and which of them are there."""

from __future__ import annotations

from pathlib import Path

#: Bridges of simulated VPCs begin with this, then comes the network's name.
BRIDGE_PREFIX = "vs"
#: Where Linux shows the machine's links.
_LINKS = Path("/sys/class/net")
#: Of the run's id in a network's name: with three characters more that makes eight, and an interface that is called
#: after it has the fifteen that the kernel allows.
_OF_THE_RUN = 5
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def network_name(run: str, shard: str, number: int) -> str:
    """The name of the network of a shard's emulator: no two of one run, and of its workers, are called the same.

    :param shard: ``main``, or pytest-xdist's name of the worker.
    :param number: of the emulator in its shard, from 0 on.
    """
    worker = 0 if shard == "main" else int(shard.removeprefix("gw")) + 1
    places = (worker // len(_DIGITS), worker, number)
    return run[:_OF_THE_RUN] + "".join(_DIGITS[place % len(_DIGITS)] for place in places)


def bridge_of(network: str) -> Path:
    """Where the kernel shows the bridge of a simulated VPC, while there is one."""
    return _LINKS / f"{BRIDGE_PREFIX}{network}"


def networks_of(run: str) -> tuple[str, ...]:
    """The networks of a run whose bridges are there."""
    beginning = f"{BRIDGE_PREFIX}{run[:_OF_THE_RUN]}"
    bridges = (link.parent for link in _LINKS.glob(f"{beginning}*/bridge"))
    return tuple(sorted(bridge.name.removeprefix(BRIDGE_PREFIX) for bridge in bridges))
