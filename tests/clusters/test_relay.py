"""A relay carries bytes both ways and says nothing of its own."""

from __future__ import annotations

import socket
import threading

from vnode_suite.clusters.relay import Relay

_PATIENCE = 30.0


def _echo_once() -> tuple[str, int]:
    """A server that sends back what one client sent until it ended its half, and then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as client:
            while data := client.recv(4096):
                client.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    host, port = listener.getsockname()
    return str(host), int(port)


def _everything(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def test_carries_every_byte_both_ways() -> None:
    """What goes in comes out at the target, and its answer comes back, ends of streams included."""
    sent = bytes(range(256)) * 2000
    with (
        Relay("127.0.0.1", _echo_once()) as relay,
        socket.create_connection((relay.host, relay.port), _PATIENCE) as client,
    ):

        def send() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        threading.Thread(target=send).start()
        assert _everything(client) == sent


def test_hangs_up_when_nobody_is_at_the_target() -> None:
    """A client of a relay to a closed port sees the end of the stream, and does not wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()
    with (
        Relay("127.0.0.1", closed) as relay,
        socket.create_connection((relay.host, relay.port), _PATIENCE) as client,
    ):
        assert _everything(client) == b""


def test_ends_with_its_block() -> None:
    """After the block nobody listens, and a connection that was open is closed."""
    with Relay("127.0.0.1", _echo_once()) as relay:
        client = socket.create_connection((relay.host, relay.port), _PATIENCE)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    with client:
        assert _everything(client) == b""
    with socket.socket() as other:
        other.settimeout(_PATIENCE)
        assert other.connect_ex((relay.host, relay.port)) != 0
