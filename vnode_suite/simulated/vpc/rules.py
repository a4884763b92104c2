"""What may be done to the packets of one member of the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["in", "out"]
Action = Literal["drop", "reset", "host-unreachable"]


@dataclass(frozen=True, slots=True)
class PacketRule:
    """TCP packets that come in or go out are not let through; without a port, all ports' are."""

    direction: Direction
    action: Action
    #: Destination port.
    port: int | None = None
    #: Only packets that open a connection, as a stateful firewall judges.
    opening_only: bool = False
    #: Only packets from this IPv4 address; empty for anybody's.
    source: str = ""


@dataclass(frozen=True, slots=True)
class Delay:
    """TCP connections to this port, made by the member or to it, are late by *seconds* each way."""

    port: int
    seconds: float
