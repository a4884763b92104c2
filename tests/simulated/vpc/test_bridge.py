"""The bridge, its cables, and their removal; packet rules as the kernel carries them out."""

from __future__ import annotations

import json
import multiprocessing
import secrets
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from multiprocessing.connection import Connection

import pytest
from pyroute2.nftables.main import NFTables

from vnode_suite.core.polling import poll
from vnode_suite.simulated.vpc.addresses import host_address, vswitch_networks
from vnode_suite.simulated.vpc.bridge import Bridge, interface_name, list_runs, remove_run
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import Place, configure_interface, leave_for_own_namespace
from vnode_suite.simulated.vpc.nftables import apply_rules
from vnode_suite.simulated.vpc.rules import PacketRule
from vnode_suite.simulated.vpc.trials import firewall_refusal

pytestmark = pytest.mark.netns

#: Each member listens on it.
LISTENING = 8080
#: nf_tables.h: a verdict.
DROP = 0
#: Forked from one that has imported what they need: an import takes far longer than what most of them do.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def run_id() -> str:
    """A fresh one."""
    return secrets.token_hex(4)


def live_in_namespace(place: Place, rules: list[PacketRule], told: Connection) -> None:
    """A member's process: unshare, wait for the cable, configure, then dial what it is told to."""
    leave_for_own_namespace()
    told.send("unshared")
    told.recv()
    configure_interface(place)
    apply_rules(rules)
    with socket.create_server((place.address, LISTENING)):
        told.send("configured")
        dial_as_told(told)


def dial_as_told(told: Connection) -> None:
    """Dial what comes over the pipe, and say what came of it, until the other end is closed."""
    while True:
        try:
            host, port = told.recv()
        except EOFError:
            return
        try:
            socket.create_connection((host, port), 1.0).close()
            told.send("connected")
        except OSError as error:
            told.send("timed out" if isinstance(error, TimeoutError) else error.strerror)


class Member:
    """A process in a namespace of the bridge's VPC."""

    def __init__(self, bridge: Bridge, address: IPv4Address, rules: list[PacketRule]) -> None:
        self.address = address
        self.pipe, theirs = multiprocessing.Pipe()
        place = Place(str(address), str(bridge.network))
        self.process = PROCESSES.Process(target=live_in_namespace, args=(place, rules, theirs), daemon=True)
        self.process.start()
        theirs.close()
        assert self.pipe.recv() == "unshared"
        assert self.process.pid is not None
        bridge.plug(self.process.pid, address)
        self.pipe.send("plugged")
        assert self.pipe.recv() == "configured"

    def dial(self, host: str, port: int) -> str:
        """What comes of a connection from inside."""
        self.pipe.send((host, port))
        return str(self.pipe.recv())

    def end(self) -> None:
        """Hang up, and wait for it."""
        self.pipe.close()
        self.process.join()


def interfaces() -> set[str]:
    """Every interface of this namespace."""
    return {name for _, name in socket.if_nameindex()}


def test_two_runs_at_once_have_networks_apart_and_leave_nothing() -> None:
    """Each is known by its run; leaving the context removes both whole."""
    one, two = run_id(), run_id()
    with Bridge(one) as first, Bridge(two) as second:
        assert not first.network.overlaps(second.network)
        assert {one, two} <= list_runs().keys()
        assert {interface_name(one), interface_name(two)} <= interfaces()
    names = (interface_name(one), interface_name(two))
    assert [name for name in interfaces() if name.startswith(names)] == []


def test_the_command_lists_and_removes_what_a_killed_run_left() -> None:
    """A network whose owner hangs is found by its run id and taken from the machine."""
    run = run_id()
    bridge = Bridge(run)
    bridge.__enter__()
    command = [sys.executable, "-m", "vnode_suite.simulated.vpc"]
    listed = json.loads(subprocess.run([*command, "list"], capture_output=True, check=True).stdout)
    assert listed[run] == [interface_name(run)]
    removed = json.loads(subprocess.run([*command, "remove", run], capture_output=True, check=True).stdout)
    assert removed == {"removed": listed[run]}
    assert run not in list_runs()
    assert remove_run(run) == []
    bridge.__exit__(None, None, None)


def test_a_run_id_that_names_no_interface_is_refused() -> None:
    """The kernel's names are short, and a run id goes into one."""
    for wrong in ("", "toolongforit", "Upper", "a/b"):
        with pytest.raises(NetworkRefused, match="a run id is 1 to 8"):
            Bridge(wrong)


@pytest.mark.slow
def test_rules_are_one_member_s_own() -> None:
    """Refused, dropped and unreachable are told apart by the kernel, and a member without rules connects."""
    with Bridge(run_id()) as bridge, socket.socket() as listener:
        host = str(host_address(bridge.network))
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        addresses = iter(vswitch_networks(bridge.network, 1)[0].hosts())
        outcomes = {}
        for name, rules in {
            "none": [],
            "drop": [PacketRule("out", "drop", port)],
            "reset": [PacketRule("out", "reset", port)],
            "unreachable": [PacketRule("out", "host-unreachable", port)],
            "other port": [PacketRule("out", "drop", port + 1)],
            "inbound openings": [PacketRule("in", "drop", opening_only=True)],
        }.items():
            outcomes[name] = Member(bridge, next(addresses), rules).dial(host, port)
    assert outcomes == {
        "none": "connected",
        "drop": "timed out",
        "reset": "Connection refused",
        "unreachable": "No route to host",
        "other port": "connected",
        "inbound openings": "connected",
    }


def test_what_is_outside_the_vpc_is_swallowed() -> None:
    """An address that the VPC is not connected to neither answers nor refuses, and no packet leaves."""
    with Bridge(run_id()) as bridge:
        member = Member(bridge, vswitch_networks(bridge.network, 1)[0][10], [])
        assert member.dial("203.0.113.1", 6443) == "timed out"


def hold_a_bridge(run: str, told: Connection) -> None:
    """A process that owns a network until it is killed."""
    with Bridge(run):
        told.send("made")
        told.recv()


def test_a_network_goes_with_its_owner_also_after_kill_9() -> None:
    """The kernel takes the bridge away with its namespace, and the machine's cable with the bridge."""
    run = run_id()
    pipe, theirs = multiprocessing.Pipe()
    owner = PROCESSES.Process(target=hold_a_bridge, args=(run, theirs))
    owner.start()
    theirs.close()
    assert pipe.recv() == "made"
    assert run in list_runs()
    owner.kill()
    owner.join()
    poll(lambda: run not in list_runs() or None, what=f"{run} to go", deadline_seconds=10)


def enter_a_machine_that_drops(hook: str) -> None:
    """Go to a machine of one's own, where all that passes a hook of the kernel's is dropped."""
    leave_for_own_namespace()
    nft = NFTables(nfgen_family=socket.AF_INET)
    nft.table("add", name="machine")
    nft.chain("add", table="machine", name="c", hook=hook, type="filter", priority=0, policy=DROP)
    nft.close()


def a_machine_that_forwards_nothing(told: Connection) -> None:
    """Docker's policy, and two members of a VPC: the one dials the other."""
    enter_a_machine_that_drops("forward")
    with Bridge(run_id()) as bridge:
        hosts = vswitch_networks(bridge.network, 1)[0].hosts()
        one, other = (Member(bridge, address, []) for address in (next(hosts), next(hosts)))
        told.send(one.dial(str(other.address), LISTENING))
        one.end()
        other.end()


@pytest.mark.slow
def test_members_reach_each_other_past_the_machine_s_firewall() -> None:
    """Docker lets the kernel drop what passes a bridge of the machine's (bridge-nf-call-iptables)."""
    pipe, theirs = multiprocessing.Pipe()
    machine = PROCESSES.Process(target=a_machine_that_forwards_nothing, args=(theirs,))
    machine.start()
    theirs.close()
    assert pipe.recv() == "connected"
    machine.join()
    assert machine.exitcode == 0


def a_machine_that_lets_nothing_in(told: Connection) -> None:
    """A firewall's usual policy, and what is said of it."""
    enter_a_machine_that_drops("input")
    with Bridge(run_id()) as bridge:
        told.send(firewall_refusal(bridge))


def test_a_firewall_that_lets_no_member_in_is_named() -> None:
    """Before a run finds that no VNode comes, and blames the API server."""
    with Bridge(run_id()) as bridge:
        assert firewall_refusal(bridge) == ""
    pipe, theirs = multiprocessing.Pipe()
    machine = PROCESSES.Process(target=a_machine_that_lets_nothing_in, args=(theirs,))
    machine.start()
    theirs.close()
    assert "its firewall must let in what comes from vs" in pipe.recv()
    machine.join()
