"""How the networks of a run are called, and which of them are there."""

from __future__ import annotations

from pathlib import Path

#: The machine's interface in a simulated VPC is called so, then comes the network's name.
_PREFIX = "vs"
#: Where Linux shows the machine's links.
_LINKS = Path("/sys/class/net")
#: Of the run's id in a network's name: with three characters more that makes eight, the most that a VPC takes.
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


def interface_of(network: str) -> Path:
    """Where the kernel shows the machine's interface in a simulated VPC, while there is one."""
    return _LINKS / f"{_PREFIX}{network}"


def networks_of(run: str) -> tuple[str, ...]:
    """The networks of a run in which this machine has an interface."""
    links = _LINKS.glob(f"{_PREFIX}{run[:_OF_THE_RUN]}*")
    return tuple(sorted(link.name.removeprefix(_PREFIX) for link in links))
