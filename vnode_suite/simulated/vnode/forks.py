"""Forking the members of one run's VPC at the fleet's word, and burying them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, NoReturn

from vnode_suite.simulated.vnode.member import Post, serve
from vnode_suite.simulated.vpc.bridge import Bridge
from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.namespace import Place, die_with_parent, leave_for_own_namespace

#: Largest control message, in bytes; they hold addresses and names only.
_LARGEST_MESSAGE = 1 << 16
#: Seconds that a child has to unshare its namespace.
_UNSHARE_SECONDS = 10.0


@dataclass(slots=True)
class Child:
    """One forked member."""

    name: str
    pid: int
    pidfd: int


@dataclass(slots=True)
class Zygote:
    """Forks members at the fleet's word."""

    control: socket.socket
    bridge: Bridge | None = None
    children: dict[int, Child] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> None:
        """Serve until the fleet hangs up."""
        self.selector.register(self.control, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.control:
                    message, descriptors, _, _ = socket.recv_fds(self.control, _LARGEST_MESSAGE, 1)
                    if not message:
                        return
                    self._obey(json.loads(message), descriptors)
                else:
                    self._bury(key.data)

    def close(self) -> None:
        """Kill every child, wait for each, and remove nothing else: the network is its context's to remove."""
        for child in self.children.values():
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        for child in self.children.values():
            os.waitpid(child.pid, 0)

    def _obey(self, order: Mapping[str, Any], descriptors: list[int]) -> None:
        if order["verb"] == "stop":
            for child in self.children.values():
                if child.name == order["name"]:
                    signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            return
        end = socket.socket(fileno=descriptors[0])
        try:
            child = self._fork(order, end)
        except (NetworkRefused, OSError) as error:
            self._say(verb="failed", name=order["name"], error=str(error))
        else:
            self._say(verb="started", name=child.name, pid=child.pid)
        finally:
            end.close()

    def _fork(self, order: Mapping[str, Any], end: socket.socket) -> Child:
        place = Place(**{**order["place"], "connected": tuple(order["place"]["connected"])})
        # The name server stands on the machine itself.
        namespaced = self.bridge is not None and order["kind"] != "names"
        post = Post(order["kind"], place, namespaced, order["dns_server"], order["dns_port"])
        ready, unshared = os.pipe()
        plugged, go = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _close_all_but(end.fileno(), unshared, plugged)
            _be_member(post, order["name"], parent, end, unshared, plugged)
        os.close(unshared)
        os.close(plugged)
        child = Child(order["name"], pid, os.pidfd_open(pid))
        try:
            if self.bridge is not None and namespaced:
                self._plug_in(self.bridge, child, IPv4Address(place.address), ready)
            os.write(go, b".")
        except BaseException:
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(child.pidfd)
            raise
        finally:
            os.close(ready)
            os.close(go)
        self.children[pid] = child
        self.selector.register(child.pidfd, selectors.EVENT_READ, child)
        return child

    @staticmethod
    def _plug_in(bridge: Bridge, child: Child, address: IPv4Address, ready: int) -> None:
        if not select.select([ready], [], [], _UNSHARE_SECONDS)[0] or not os.read(ready, 1):
            raise NetworkRefused(f"the process of {child.name} made no network namespace")
        bridge.plug(child.pid, address)

    def _bury(self, child: Child) -> None:
        self.selector.unregister(child.pidfd)
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        del self.children[child.pid]
        self._say(verb="exited", name=child.name, code=os.waitstatus_to_exitcode(status))

    def _say(self, **message: Any) -> None:
        # A fleet that is gone is noticed, and answered, where it is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.control.send(json.dumps(message).encode())


def _close_all_but(*kept: int) -> None:
    previous = 2
    for descriptor in sorted(kept):
        os.closerange(previous + 1, descriptor)
        previous = descriptor
    os.closerange(previous + 1, os.sysconf("SC_OPEN_MAX"))


def _be_member(
    post: Post, name: str, parent: int, end: socket.socket, unshared: int, plugged: int
) -> NoReturn:
    """The whole life of a forked process. It never returns into the zygote's code."""
    code = 1
    try:
        die_with_parent(parent, name)
        if post.namespaced:
            leave_for_own_namespace()
            os.write(unshared, b".")
        os.close(unshared)
        if os.read(plugged, 1):
            os.close(plugged)
            serve(post, end)
        code = 0
    except NetworkRefused as refused:
        sys.stderr.write(f"{name}: {refused}\n")
    except EOFError:
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
