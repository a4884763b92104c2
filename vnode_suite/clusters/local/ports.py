"""Ports for servers that cannot be told to let the kernel choose, without two runs choosing the same.

A port is drawn from below the range that the kernel gives to outgoing connections, so that no client takes it
between our look and the server's start, and is claimed against other runs of this suite by an abstract socket
name: such a name belongs to the network namespace, as the port does, and is free again the moment its holder
is gone, however it went.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, field
from typing import Self

from vnode_suite.core.errors import ClusterError

#: Below Linux's default `ip_local_port_range` (32768-60999) and Kubernetes' NodePorts (30000-32767).
FIRST_PORT, LAST_PORT = 20000, 29999
#: Many more than could be taken by chance.
TRIES = 200


@dataclass(slots=True)
class PortClaims:
    """The ports that one cluster holds; use as a context manager, or close."""

    _claims: list[socket.socket] = field(default_factory=list)

    def claim(self, address: str) -> int:
        """A TCP port that nobody listens on at `address`."""
        chooser = random.SystemRandom()
        for _ in range(TRIES):
            port = chooser.randint(FIRST_PORT, LAST_PORT)
            claim = _claim_name(port)
            if claim is None:
                continue
            if _is_free(address, port):
                self._claims.append(claim)
                return port
            claim.close()
        raise ClusterError(
            f"no free port at {address}",
            wanted=f"one of {FIRST_PORT}-{LAST_PORT}",
            found=f"{TRIES} tries found all taken, or the address is not on this machine",
        )

    def close(self) -> None:
        """Give the ports back."""
        while self._claims:
            self._claims.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _claim_name(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0vnode-suite/port/{port}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
