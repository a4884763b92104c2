"""A door in one network to a server in another: bytes are carried as they are, TLS stays end to end.

A cluster that listens on this machine's loopback, or behind this machine, cannot be dialled from the simulated
VPC. Its door stands on the VPC's side of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType

_CHUNK = 64 * 1024
_STOP_SECONDS = 5.0


class Relay:
    """Listens on *host* (any free port) and carries each connection to *target*; a context manager."""

    def __init__(self, host: str, target: tuple[str, int]) -> None:
        self.host, self.port = host, 0
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Relay:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        self.port = listening.result(_STOP_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._carry, self.host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            # Whoever dials learns it as of a server that hangs up: the target's own refusal cannot be carried.
            writer.close()
            return
        try:
            await asyncio.gather(_pour(reader, back), _pour(there, writer))
        finally:
            for end in (writer, back):
                end.close()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
