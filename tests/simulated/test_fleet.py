"""The fleet as the ECI API uses it: networks, defects of the network, probes, and what a kill leaves."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.simulated.vnode.rig import FleetRig, fleet_rig, kubeconfig_text
from vnode_suite.core.modules import command, environment
from vnode_suite.core.polling import poll
from vnode_suite.simulated.fleet import FleetRefused
from vnode_suite.simulated.vnode import zygote
from vnode_suite.simulated.vnode.certificates import load_pair, self_signed
from vnode_suite.simulated.vnode.defects import API_DELAY
from vnode_suite.simulated.vpc.bridge import list_runs
from vnode_suite.simulated.vpc.errors import NetworkRefused

API_NAME = "api.vnode-suite.test"
PORT = 6443
PREFIX = "failed to get kubernetes server version, "


@pytest.fixture(scope="module", params=[pytest.param("namespaces", marks=pytest.mark.netns), "loopback"])
def fleet(request: pytest.FixtureRequest) -> Iterator[FleetRig]:
    """A fleet on each kind of network."""
    with fleet_rig(network=request.param, dns_records={API_NAME: "host"}) as rig:
        yield rig


@pytest.fixture(scope="module")
def spaces() -> Iterator[FleetRig]:
    """A fleet in namespaces, for what only they can do."""
    with fleet_rig(network="namespaces", dns_records={API_NAME: "host"}) as rig:
        yield rig


def url(host: str) -> str:
    """The version URL as the events have it."""
    return f'Get \\"https://{host}:{PORT}/version?timeout=32s\\": '


def first_message(fleet: FleetRig, host: str, *defects: str) -> str:
    """The first event of a VNode that is to reach an API server there."""
    with fleet.vnode(kubeconfig_text(f"https://{host}:{PORT}", token="t"), *defects) as vnode:
        return vnode.reports.message()


def test_the_network_says_what_it_is(fleet: FleetRig) -> None:
    """Three vSwitches in the VPC, the host in it and in none of them, and a reason where namespaces lack."""
    network = fleet.network
    assert len(network.vswitches) == 3
    assert (network.kind == "namespaces") == (network.reason == "")
    assert (network.kind == "loopback") == network.host_address.startswith("127.")
    assert bool(network.packet_rules_refusal) == (network.kind == "loopback")


def test_nobody_listening_is_refused(fleet: FleetRig) -> None:
    """The control plane's host is there, its port is closed."""
    host = fleet.network.host_address
    assert (
        first_message(fleet, host)
        == f"{PREFIX}{url(host)}dial tcp {host}:{PORT}: connect: connection refused"
    )


def test_a_name_is_resolved_in_the_vpc(fleet: FleetRig) -> None:
    """A record leads to the host, a name without one is the page's second event, and records come and go."""
    host, server = fleet.network.host_address, fleet.thread.run(fleet.fleet.dns_server())
    assert first_message(fleet, API_NAME).endswith(f"dial tcp {host}:{PORT}: connect: connection refused")
    other = "lb.kubesphere.local"
    missing = f"{PREFIX}{url(other)}dial tcp: lookup {other} on {server}: no such host"
    assert first_message(fleet, other) == missing
    fleet.thread.run(fleet.fleet.set_dns_record(other, host))
    assert first_message(fleet, other).endswith("connection refused")
    fleet.thread.run(fleet.fleet.set_dns_record(other, None))
    assert first_message(fleet, other) == missing


def test_dns_defects_are_one_vnode_s_own(fleet: FleetRig) -> None:
    """The same name fails for the defective twin, is wrong for another, and right for a sound one."""
    server = fleet.thread.run(fleet.fleet.dns_server())
    dns_host = server.split(":")[0]
    assert first_message(fleet, API_NAME, "dns-no-such-host").endswith(
        f"dial tcp: lookup {API_NAME} on {server}: no such host"
    )
    assert first_message(fleet, API_NAME, "dns-wrong-address").endswith(
        f"dial tcp {dns_host}:{PORT}: connect: connection refused"
    )
    assert f"dial tcp {fleet.network.host_address}:{PORT}" in first_message(fleet, API_NAME)


def test_a_kubeconfig_that_cannot_be_read_fails_the_vnode(fleet: FleetRig) -> None:
    """There is nothing to try again."""
    with fleet.vnode("nonsense") as vnode:
        vnode.reports.state("Failed")
        assert vnode.reports.warnings == [
            "failed to load kubeconfig: invalid configuration: no configuration has been provided"
        ]


def test_two_vnodes_have_addresses_of_their_own_in_the_vswitch(fleet: FleetRig) -> None:
    """Each is told to the caller, and the processes are two."""
    text = kubeconfig_text(f"https://{fleet.network.host_address}:{PORT}", token="t")
    with fleet.vnode(text) as one, fleet.vnode(text) as two:
        assert one.address != two.address
        processes = fleet.fleet.processes()
        assert processes[one.id] != processes[two.id]
    assert one.id not in fleet.fleet.processes()


@pytest.mark.netns
@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (
            "api-server-unreachable",
            "net/http: request canceled (Client.Timeout exceeded while awaiting headers",
        ),
        ("api-server-refused", "dial tcp {host}:6443: connect: connection refused"),
        ("no-route", "dial tcp {host}:6443: connect: no route to host"),
    ],
)
def test_a_defect_of_the_network_is_told_as_it_happened(spaces: FleetRig, defect: str, words: str) -> None:
    """While a server listens there: the twin's packets alone are treated so."""
    host = spaces.network.host_address
    with socket.create_server((host, PORT)):
        assert first_message(spaces, host, defect) == PREFIX + url(host) + words.format(host=host)
        assert spaces.probe(host, PORT)["connected"] is True
        assert spaces.probe(host, PORT, defect, timeout=1.0)["connected"] is False


def test_packets_cannot_be_dropped_on_loopback() -> None:
    """What the fallback cannot express is refused with the reason, not imitated."""
    with (
        fleet_rig(network="loopback") as rig,
        pytest.raises(
            FleetRefused, match="port-10250-dropped needs packet rules: VNodes share the machine's"
        ),
    ):
        rig.launch("{}", "port-10250-dropped")


@contextmanager
def tls_server(address: str) -> Iterator[tuple[int, str]]:
    """A server with a certificate of its own; answers its port and the certificate."""
    certificate, key = self_signed("api.test", address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, certificate, key)
    with socket.create_server((address, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_probe_sees_the_certificate_presented(fleet: FleetRig) -> None:
    """Its own certificate verifies it, another does not, and both times it is shown."""
    host = fleet.network.host_address
    with tls_server(host) as (port, certificate):
        good = fleet.probe(host, port, tls=True, ca_pem=certificate)
        bad = fleet.probe(host, port, tls=True, ca_pem=self_signed("other", host)[0])
    assert (good["error_kind"], good["peer_certificates"]) == ("", [certificate])
    assert (bad["error_kind"], bad["peer_certificates"]) == ("x509-unknown-authority", [certificate])


def test_an_unknown_vswitch_or_defect_is_refused(fleet: FleetRig) -> None:
    """With what is known."""
    with pytest.raises(FleetRefused, match="unknown defect 'x'; known: address-outside-vswitch"):
        fleet.launch("{}", "x")


SCRIPT = """
import asyncio, json, sys
from vnode_suite.simulated.fleet import FleetConfig, open_fleet
from vnode_suite.simulated.interface import VNodeOrder
async def main():
    fleet, network = await open_fleet(FleetConfig(sys.argv[1], sys.argv[2]))
    for n in range(2):
        order = VNodeOrder(f"vnd-{n}", "n", "r", "{}", False, next(iter(network.vswitches)), "sg")
        await fleet.launch(order, lambda report: None)
    print(json.dumps([fleet._nursery.pid, *fleet.processes().values()]), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextmanager
def holder_of_a_fleet(run: str, network: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process that holds a fleet of two VNodes, and the ids of zygote and VNodes."""
    command = [sys.executable, "-c", SCRIPT, run, network]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            processes = json.loads(holder.stdout.readline())
            assert len(processes) == 3
            assert all(alive(pid) for pid in processes)
            yield holder, processes
        finally:
            holder.kill()


@pytest.mark.parametrize("network", [pytest.param("namespaces", marks=pytest.mark.netns), "loopback"])
def test_nothing_outlives_a_killed_emulator(network: str) -> None:
    """After kill -9 of the process that holds the fleet: no zygote, no VNode, no network."""
    run = secrets.token_hex(4)
    with holder_of_a_fleet(run, network) as (holder, processes):
        holder.kill()
        wait_until_gone(processes)
        poll(lambda: run not in list_runs() or None, what="the network to be gone", deadline_seconds=10)


@pytest.mark.netns
def test_a_killed_zygote_takes_its_children_and_its_network() -> None:
    """After kill -9 of the zygote too the kernel leaves nothing of the network."""
    run = secrets.token_hex(4)
    with holder_of_a_fleet(run, "namespaces") as (_, processes):
        os.kill(processes[0], signal.SIGKILL)
        wait_until_gone(processes)
        poll(lambda: run not in list_runs() or None, what="the network to be gone", deadline_seconds=10)


@pytest.mark.netns
def test_where_a_firewall_keeps_members_out_loopback_addresses_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the reason told; who asked for namespaces is refused them. No interface stays."""
    monkeypatch.setattr(zygote, "firewall_refusal", lambda _: "its firewall")
    run = secrets.token_hex(4)
    with ExitStack() as stack:
        bridge, told = zygote._network(run, "auto", stack)
        assert (bridge, told["network"]) == (None, "loopback")
        assert told["reason"].startswith("its firewall; ")
        with pytest.raises(NetworkRefused, match="its firewall"):
            zygote._network(run, "namespaces", stack)
    assert run not in list_runs()


def alive(pid: int) -> bool:
    """Whether a process runs (one that is dead and not yet waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(processes: list[int]) -> None:
    """Each of them, within seconds."""
    poll(
        lambda: not any(alive(pid) for pid in processes) or None, what="processes to end", deadline_seconds=30
    )


@pytest.mark.netns
def test_what_is_slow_is_late_by_as_much_as_it_says() -> None:
    """A TLS handshake is an exchange at least: through the relay its question is late, and so is its answer."""
    with fleet_rig(network="namespaces") as rig, tls_server(rig.network.host_address) as (port, _):
        direct = rig.probe(rig.network.host_address, port, tls=True)
        slow = rig.probe(rig.network.host_address, port, "api-server-slow", tls=True)
    assert direct["error"] == slow["error"] == ""
    assert slow["peer_certificates"] == direct["peer_certificates"]
    # How long it takes without the relay is the machine's affair, and may be anything.
    assert slow["seconds"] >= 2 * API_DELAY


#: Prints the IPv4 addresses of the network that it runs in.
_ADDRESSES = """
from pyroute2 import IPRoute
with IPRoute() as ip:
    for address in ip.get_addr(family=2):
        print(address.get_attr("IFA_ADDRESS"))
"""


@pytest.mark.netns
def test_a_machine_of_the_vpc_can_be_entered() -> None:
    """A process that enters it has its address, and the runner's network no longer."""
    with fleet_rig(network="namespaces") as rig:
        pid, address = rig.thread.run(rig.fleet.add_host())
        argv = command("vnode_suite.simulated.vpc", "enter", str(pid), sys.executable, "-c", _ADDRESSES)
        seen = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert seen == ["127.0.0.1", address]


@pytest.mark.netns
def test_machines_of_the_vpc_can_be_taken_away() -> None:
    """Their processes end, and there is no end of addresses for others."""
    with fleet_rig(network="namespaces") as rig:
        pool = rig.fleet._hosts
        free = pool.free
        pids = [rig.thread.run(rig.fleet.add_host())[0] for _ in range(2)]
        assert pool.free == free - 2
        rig.thread.run(rig.fleet.remove_hosts())
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert pool.free == free
        rig.thread.run(rig.fleet.add_host())


def test_without_namespaces_there_is_no_machine_of_its_own() -> None:
    """The fallback says why, and what else can be done."""
    with fleet_rig(network="loopback") as rig, pytest.raises(FleetRefused, match="needs a namespace"):
        rig.thread.run(rig.fleet.add_host())


_USER_NAMESPACE = """
import json, sys
from tests.simulated.vnode.rig import fleet_rig, kubeconfig_text
with fleet_rig(network="namespaces") as rig:
    host = rig.network.host_address
    text = kubeconfig_text(f"https://{host}:6443", token="t")
    with rig.vnode(text) as refused, rig.vnode(text, "no-route") as unreachable:
        print(json.dumps([rig.network.kind, refused.reports.message(), unreachable.reports.message()]))
"""


def test_a_user_namespace_is_as_good_as_root() -> None:
    """`unshare -Urn` gives network, routes and packet rules to somebody without rights."""
    if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    argv = ["unshare", "-Urn", sys.executable, "-c", _USER_NAMESPACE]
    done = subprocess.run(
        argv, cwd=Path(__file__).parents[2], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kind, refused, unreachable = json.loads(done.stdout)
    assert kind == "namespaces"
    assert refused.endswith("connect: connection refused")
    assert unreachable.endswith("connect: no route to host")
