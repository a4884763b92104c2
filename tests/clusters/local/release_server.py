"""A server laid out like the official release download, that can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from vnode_suite.clusters.local.store import Platform

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def content_of(component: str) -> bytes:
    """What the server gives for a component: 300 KiB that differ from the others'."""
    return (f"{component}\n".encode() * (300 * 1024 // (len(component) + 1) + 1))[: 300 * 1024]


@dataclass(slots=True)
class Misbehaviour:
    """What goes wrong, by component."""

    #: Closes the connection after so many bytes of each answer.
    truncate_after: dict[str, int] = field(default_factory=dict)
    #: Sends so many bytes and then nothing more.
    stall_after: dict[str, int] = field(default_factory=dict)
    #: Publishes the checksum of something else.
    wrong_checksum: set[str] = field(default_factory=set)
    #: Kinds of checksum that are published.
    kinds: tuple[str, ...] = ("sha512", "sha256")
    #: Takes no notice of Range.
    no_ranges: bool = False


class ReleaseServer:
    """The server, with what it was asked for."""

    def __init__(self, patch: str) -> None:
        platform = Platform.here()
        self.folder = f"/v{patch}/bin/{platform.os}/{platform.arch}"
        self.wrong = Misbehaviour()
        self.requests: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def downloads(self, component: str) -> list[str]:
        """The Range of each request for a component's program."""
        return [ranges for path, ranges in self.requests if path == f"{self.folder}/{component}"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range", "")))
                folder, _, name = self.path.rpartition("/")
                component, _, kind = name.partition(".")
                if folder != outer.folder or component not in COMPONENTS:
                    self.send_error(404)
                elif kind:
                    self.give_checksum(component, kind)
                else:
                    self.give_program(component)

            def give_checksum(self, component: str, kind: str) -> None:
                if kind not in outer.wrong.kinds:
                    self.send_error(404)
                    return
                what = b"else" if component in outer.wrong.wrong_checksum else content_of(component)
                digits = hashlib.new(kind, what).hexdigest().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(digits)))
                self.end_headers()
                self.wfile.write(digits)

            def give_program(self, component: str) -> None:
                content = content_of(component)
                start = 0
                ranges = self.headers.get("Range")
                if ranges and not outer.wrong.no_ranges:
                    start = int(ranges.removeprefix("bytes=").removesuffix("-"))
                    if start >= len(content):
                        self.send_error(416)
                        return
                body = content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                cut = outer.wrong.truncate_after.get(
                    component, outer.wrong.stall_after.get(component, len(body))
                )
                self.wfile.write(body[:cut])
                self.wfile.flush()
                if component in outer.wrong.stall_after:
                    outer.released.wait(30)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler


@contextmanager
def release_server(patch: str) -> Iterator[ReleaseServer]:
    """A running server."""
    server = ReleaseServer(patch)
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.server.shutdown()
        server.server.server_close()
        thread.join()
