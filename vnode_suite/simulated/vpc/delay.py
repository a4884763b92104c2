"""Packets that come late: a relay inside the member's own namespace, for kernels without netem.

nftables turns connections to a port over to the relay, which makes them itself (marked, so that they pass) and lets
each piece of data wait. The handshake it cannot delay: a dial succeeds at once, and its answer comes late.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence

from vnode_suite.simulated.vpc.nftables import turn_over
from vnode_suite.simulated.vpc.rules import Delay

# include/uapi/linux/netfilter_ipv4.h, include/uapi/asm-generic/socket.h
_SO_ORIGINAL_DST = 80
_SO_MARK = 36
#: What the relay's own connections carry; any number that nobody else in the namespace uses.
MARK = 0x5653
_CHUNK = 64 * 1024


class DelayingRelay:
    """Carries the connections that `Delay`s name, each way late by what they say."""

    def __init__(self, delays: Sequence[Delay]) -> None:
        self._by_port = {delay.port: delay.seconds for delay in delays}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen, and have the connections turned over. Raises `NetworkRefused` where the kernel cannot."""
        self._server = await asyncio.start_server(self._carry, "0.0.0.0", 0)  # noqa: S104 - its namespace is its own
        port = int(self._server.sockets[0].getsockname()[1])
        delays = [Delay(each, seconds) for each, seconds in self._by_port.items()]
        # The netlink library runs an event loop of its own, which it cannot in this thread.
        await asyncio.to_thread(turn_over, delays, port, MARK)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        raw: socket.socket = writer.get_extra_info("socket")
        packed = raw.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
        port, address = struct.unpack_from("!2xH4s", packed)
        seconds = self._by_port.get(port, 0.0)
        try:
            there, back = await _connect(socket.inet_ntoa(address), port)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pour(reader, back, seconds), _pour(there, writer, seconds))
        finally:
            for end in (writer, back):
                end.close()


async def _connect(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        own.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
        await asyncio.get_running_loop().sock_connect(own, (address, port))
        return await asyncio.open_connection(sock=own)
    except BaseException:
        own.close()
        raise


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seconds: float) -> None:
    """Each piece goes on *seconds* after it came; pieces do not wait for each other."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                if sink.can_write_eof():
                    sink.write_eof()
                return
            sink.write(data)
            await sink.drain()

    delivery = asyncio.create_task(deliver())
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            waiting.put_nowait((loop.time() + seconds, data))
    waiting.put_nowait((loop.time() + seconds, b""))
    with contextlib.suppress(OSError):
        await delivery
