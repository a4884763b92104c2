"""The process that VNodes are forked from, so that they share its imports; it also holds the run's network.

It is single-threaded and has no event loop: forking is safe. It ends, with all its children and the
network, when the fleet's end of the control socket closes, whatever killed the fleet.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import socket
from typing import Any

from vnode_suite.simulated.vpc.addresses import choose_loopback_network, host_address
from vnode_suite.simulated.vpc.bridge import Bridge
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.trials import firewall_refusal, packet_rules_refusal

#: What the fallback cannot express (the second: every API server from 1.13 to 1.22, its node proxy).
_LOOPBACK_LIMITS = (
    "packets cannot be dropped, and the API server does not go to port 10255 of a loopback address"
)


#: Where root is not to be had, a user namespace has all that is needed, in a network that only the run's processes see.
_SECOND_WAY = (
    "as another user, start the whole command under `unshare -Urn`, where user namespaces are allowed"
)


def _network(run_id: str, wanted: str, stack: contextlib.ExitStack) -> tuple[Bridge | None, dict[str, Any]]:
    """Make the network that is wanted or can be had; the answer is what the fleet is told of it."""
    reason = "loopback addresses were asked for"
    if wanted != "loopback":
        try:
            bridge = _reachable_bridge(run_id, stack)
            return bridge, {
                "network": "namespaces",
                "reason": "",
                "vpc_cidr": str(bridge.network),
                "packet_rules_refusal": packet_rules_refusal(),
            }
        except NetworkRefused as refused:
            if wanted == "namespaces":
                raise
            reason = f"{refused}; {_SECOND_WAY}"
    vpc = _loopback_network(run_id, stack)
    return None, {
        "network": "loopback",
        "reason": f"{reason}; {_LOOPBACK_LIMITS}",
        "vpc_cidr": vpc,
        "packet_rules_refusal": "VNodes share the machine's own network on loopback addresses",
    }


def _reachable_bridge(run_id: str, stack: contextlib.ExitStack) -> Bridge:
    """A bridge whose members reach this machine. Raises `NetworkRefused` where there can be none."""
    with contextlib.ExitStack() as opened:
        bridge = opened.enter_context(Bridge(run_id))
        if refusal := firewall_refusal(bridge):
            raise NetworkRefused(refusal)
        stack.push(opened.pop_all())
    return bridge


def _loopback_network(run_id: str, stack: contextlib.ExitStack) -> str:
    """A /16 of the loopback range that no other run has: its host's address is held by a bound socket."""
    for attempt in range(200):
        candidate = choose_loopback_network(run_id, attempt)
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            holder.bind((str(host_address(candidate)), 10255))
        except OSError:
            holder.close()
            continue
        stack.enter_context(holder)
        return str(candidate)
    raise NetworkRefused("no free /16 in 127.0.0.0/8: 200 runs hold one each")


def main() -> int:
    """Make the network, say so in one message, then fork at the fleet's word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--network", choices=("auto", "namespaces", "loopback"), default="auto")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    arguments = parser.parse_args()
    # Ctrl-C in a terminal reaches the whole session: the fleet decides what it means, and then hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=arguments.control) as control, contextlib.ExitStack() as stack:
        try:
            bridge, network = _network(arguments.run_id, arguments.network, stack)
        except NetworkRefused as refused:
            control.send(json.dumps({"verb": "refused", "error": str(refused)}).encode())
            return 1
        # The fleet, and a control plane that waits for the network, go on meanwhile.
        control.send(json.dumps({"verb": "open", **network}).encode())
        from vnode_suite.simulated.vnode.certificates import warm_up
        from vnode_suite.simulated.vnode.forks import Zygote

        warm_up()
        # What is imported so far is shared with the children: the collector must not touch (and so copy) it.
        gc.collect()
        gc.freeze()
        zygote = Zygote(control, bridge)
        stack.callback(zygote.close)
        zygote.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
