"""The VPC's name server and the resolver that asks it, over real datagrams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from vnode_suite.simulated.vpc.dns import LookupFailed, NameServer, StubResolver, Zone


def with_server(zone: Zone, look: Callable[[int], Awaitable[str]]) -> str:
    """Run a look-up against a server of this zone; it is given the port."""

    async def run() -> str:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: NameServer(zone), local_addr=("127.0.0.1", 0)
        )
        try:
            return await look(transport.get_extra_info("sockname")[1])
        finally:
            transport.close()

    return asyncio.run(run())


def resolve(zone: Zone, name: str, source: str = "127.0.0.1") -> str:
    """Ask a server of this zone for a name."""
    return with_server(zone, lambda port: StubResolver("127.0.0.1", port, source).resolve(name))


def test_a_record_is_answered_whatever_the_case_and_final_dot() -> None:
    """Names are compared as DNS does."""
    zone = Zone()
    zone.replace({"API.example.test.": "10.0.0.7"}, {})
    assert resolve(zone, "api.Example.test") == "10.0.0.7"


def test_an_unknown_name_is_no_such_host() -> None:
    """The failure names the name and the server."""
    with pytest.raises(LookupFailed) as failed:
        resolve(Zone({"known.test": "10.0.0.7"}), "unknown.test")
    assert failed.value.name == "unknown.test"
    assert failed.value.server.startswith("127.0.0.1:")
    assert not failed.value.timed_out


def test_a_view_is_its_asker_s_alone() -> None:
    """One asker is told another address, one nothing, all others the record."""
    zone = Zone({"api.test": "10.0.0.7"}, {"127.0.0.2": "10.0.0.8", "127.0.0.3": ""})
    assert resolve(zone, "api.test", "127.0.0.2") == "10.0.0.8"
    assert resolve(zone, "api.test", "127.0.0.4") == "10.0.0.7"
    with pytest.raises(LookupFailed):
        resolve(zone, "api.test", "127.0.0.3")


def test_a_silent_server_is_a_time_out_and_no_missing_name() -> None:
    """Nothing answers: that is another failure than a name that does not exist."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = StubResolver("127.0.0.1", silent.getsockname()[1], timeout=0.05)
        with pytest.raises(LookupFailed) as failed:
            asyncio.run(resolver.resolve("api.test"))
    assert failed.value.timed_out


def test_an_address_is_not_asked_for() -> None:
    """A literal address needs no server."""
    assert asyncio.run(StubResolver("127.0.0.1", 1).resolve("10.1.2.3")) == "10.1.2.3"


def test_garbage_is_not_answered_and_the_server_lives_on() -> None:
    """A datagram that is no question is dropped; the next question is answered."""

    async def look(port: int) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for garbage in (b"", b"\0", b"\xff" * 12, b"\0\1\1\0\0\1\0\0\0\0\0\0\x3fabc"):
                sender.sendto(garbage, ("127.0.0.1", port))
        return await StubResolver("127.0.0.1", port).resolve("api.test")

    assert with_server(Zone({"api.test": "10.0.0.7"}), look) == "10.0.0.7"
