"""The fleet's side of the zygote: starting it, having members forked, and hearing of their end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vnode_suite.simulated.vnode.channel import MemberKind
from vnode_suite.simulated.vpc.errors import NetworkRefused

#: Seconds that the zygote has to import, make the network and say so.
_OPEN_SECONDS = 30.0
#: Seconds that a process has to be forked, or to be gone after SIGKILL.
_PROCESS_SECONDS = 15.0
_LARGEST_MESSAGE = 1 << 16
#: Forks asked for at one time. The zygote makes one after another: whoever waits for a turn waits here, where the time
#: that a process has does not run yet (on a busy machine thirty in a row were seen to take longer than that).
_FORKS_AT_ONCE = 2


@dataclass(slots=True)
class Member:
    """A forked process, and our end of the socket that it speaks on."""

    name: str
    pid: int
    end: socket.socket
    #: Its exit code (negative: a signal), once it has ended and its cable is gone.
    exited: asyncio.Future[int]


class Nursery:
    """Has members forked. Raises `NetworkRefused` for what the zygote, or the machine, refuses."""

    def __init__(self, zygote: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._zygote = zygote
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._starting: dict[str, asyncio.Future[int]] = {}
        self._members: dict[str, Member] = {}
        self._turns = asyncio.Semaphore(_FORKS_AT_ONCE)
        #: What the zygote said of the network that it made.
        self.network: Mapping[str, Any] = {}
        self._loop.add_reader(control, self._hear)

    @classmethod
    async def open(cls, run_id: str, network: Literal["auto", "namespaces", "loopback"]) -> Nursery:
        """Start the zygote, and wait for the network."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            zygote = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "vnode_suite.simulated.vnode.zygote",
                f"--run-id={run_id}",
                f"--network={network}",
                f"--control={theirs.fileno()}",
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.setblocking(False)
        nursery = cls(zygote, ours)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                nursery.network = await nursery._told
        except BaseException:
            await nursery.close()
            raise
        return nursery

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._zygote.pid

    async def fork(self, kind: MemberKind, name: str, post: Mapping[str, Any]) -> Member:
        """A new member; ``post`` holds ``place``, ``dns_server`` and ``dns_port``."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        message = {"verb": "start", "kind": kind, "name": name, **post}
        member = Member(name, 0, ours, self._loop.create_future())
        started = self._starting[name] = self._loop.create_future()
        self._members[name] = member
        try:
            async with self._turns, asyncio.timeout(_PROCESS_SECONDS):
                socket.send_fds(self._control, [json.dumps(message).encode()], [theirs.fileno()])
                member.pid = await started
        except BaseException as problem:
            self._members.pop(name, None)
            ours.close()
            if isinstance(problem, TimeoutError):
                what = f"the process of {name} was not there after {_PROCESS_SECONDS:g} s: this machine is overloaded"
                raise NetworkRefused(what) from None
            raise
        finally:
            theirs.close()
            self._starting.pop(name, None)
        return member

    async def stop(self, name: str) -> None:
        """Kill a member, and wait until it is gone; one that is not there is no error."""
        member = self._members.get(name)
        if member is None:
            return
        self._control.send(json.dumps({"verb": "stop", "name": name}).encode())
        async with asyncio.timeout(_PROCESS_SECONDS):
            await asyncio.shield(member.exited)

    async def close(self) -> None:
        """Hang up: the zygote kills its children, removes the network and ends."""
        self._loop.remove_reader(self._control)
        self._control.close()
        try:
            async with asyncio.timeout(_PROCESS_SECONDS):
                await self._zygote.wait()
        except TimeoutError:
            self._zygote.kill()
            await self._zygote.wait()
        self._lose_all()

    def _hear(self) -> None:
        try:
            data = self._control.recv(_LARGEST_MESSAGE)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._control)
            self._lose_all()
            return
        message = json.loads(data)
        answers: dict[str, Callable[[], None]] = {
            "open": lambda: self._told.set_result(message),
            "refused": lambda: self._told.set_exception(NetworkRefused(message["error"])),
            "started": lambda: self._starting[message["name"]].set_result(message["pid"]),
            "failed": lambda: self._starting[message["name"]].set_exception(NetworkRefused(message["error"])),
            "exited": lambda: self._bury(message["name"], message["code"]),
        }
        # A fork that was given up in the meantime has nobody left to tell.
        with contextlib.suppress(KeyError, asyncio.InvalidStateError):
            answers[message["verb"]]()

    def _bury(self, name: str, code: int) -> None:
        self._members.pop(name).exited.set_result(code)

    def _lose_all(self) -> None:
        gone = NetworkRefused("the process that VNodes are forked from has ended")
        waiting: list[asyncio.Future[Any]] = [self._told, *self._starting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(gone)
        for name in list(self._members):
            self._bury(name, -1)
