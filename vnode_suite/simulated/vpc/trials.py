"""What this machine allows of a VPC: tried by a child that is a member for a moment, as no file tells it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from vnode_suite.simulated.vpc.addresses import host_address, hosts_network
from vnode_suite.simulated.vpc.bridge import Bridge
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import Place, configure_interface, leave_for_own_namespace
from vnode_suite.simulated.vpc.nftables import apply_rules
from vnode_suite.simulated.vpc.rules import PacketRule

#: For a connection over a cable of this very machine, however busy it is: a lost packet is sent again after one second,
#: and after three (RFC 6298).
_DIAL_SECONDS = 6.0


def packet_rules_refusal() -> str:
    """Why this machine takes no packet rules, "" if it does."""

    def put_some() -> None:
        leave_for_own_namespace()
        apply_rules([PacketRule("out", "drop", 1), PacketRule("out", "reset", 1), PacketRule("in", "drop")])

    return _refusal_of_child(put_some)


def firewall_refusal(bridge: Bridge) -> str:
    """Why members do not reach this machine, on which the API server and the name server are; "" if they do."""
    machine, member = str(host_address(bridge.network)), hosts_network(bridge.network)[-2]
    ours, theirs = socket.socketpair()
    with socket.create_server((machine, 0)) as listener, ours, theirs:

        def dial() -> None:
            ours.close()
            leave_for_own_namespace()
            theirs.send(b".")
            theirs.recv(1)
            configure_interface(Place(str(member), str(bridge.network)))
            try:
                socket.create_connection(listener.getsockname(), _DIAL_SECONDS).close()
            except OSError as error:
                raise NetworkRefused(
                    f"this machine is not reached from a simulated VPC ({error}); its firewall must let in what comes "
                    f"from {bridge.name}, as with `iptables -I INPUT -i vs+ -j ACCEPT`"
                ) from error

        def plug(pid: int) -> None:
            # A child that is refused its namespace ends, and nothing comes.
            theirs.close()
            if ours.recv(1):
                bridge.plug(pid, member)
                ours.send(b".")

        return _refusal_of_child(dial, plug)


def _refusal_of_child(trial: Callable[[], None], beside: Callable[[int], None] = lambda _pid: None) -> str:
    """What *trial* is refused in a forked process, "" if nothing is.

    :param beside: what this process does meanwhile, told the child's id.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            trial()
        except NetworkRefused as refused:
            os.write(writing, str(refused).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        beside(pid)
        with os.fdopen(reading) as answer:
            return answer.read()
    finally:
        os.waitpid(pid, 0)
