"""Downloads that can be resumed, notice a stall, and give up soon where there is no network."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.core.progress import Task

if TYPE_CHECKING:
    import requests

_CHUNK_BYTES = 2**16


class NotThere(SourceUnavailable):
    """The server answered that it has no such file."""


@dataclass(frozen=True, slots=True)
class Download:
    """How patient to be."""

    #: For a name to be looked up and a connection to be made. A network that is there needs well under one.
    connect_seconds: float = 4.0
    #: With no byte for so long, a transfer has stalled.
    stall_seconds: float = 15.0
    #: A stalled or broken transfer is taken up again, as long as each try brings something.
    tries: int = 4

    def check_reachable(self, url: str) -> None:
        """Do nothing if the host can be looked up and connected to (or a proxy is to be asked instead).

        :raises SourceUnavailable: it cannot, within `connect_seconds`.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if getproxies().get(parts.scheme) and not proxy_bypass(host):
            return
        outcome: list[str] = []

        def connect() -> None:
            try:
                socket.create_connection((host, port), timeout=self.connect_seconds).close()
                outcome.append("")
            except OSError as problem:
                outcome.append(str(problem))

        # Looking a name up heeds no time-out of ours, so it is left to a thread that may be left behind.
        thread = threading.Thread(target=connect, name="reachable", daemon=True)
        thread.start()
        thread.join(self.connect_seconds)
        problem = outcome[0] if outcome else f"no answer within {self.connect_seconds:g} s"
        if problem:
            raise SourceUnavailable(f"{host}:{port} cannot be reached ({problem})")

    def text(self, url: str) -> str:
        """The text at `url`.

        :raises NotThere: there is none.
        """
        with self._open(url, 0) as response:
            content: str = response.text
            return content

    def to_file(self, url: str, part: Path, task: Task) -> None:
        """Bring `part` to what `url` holds, beginning where an earlier try has left off.

        :raises SourceUnavailable: it could not be had whole; what came is kept in `part`.
        """
        problem = ""
        for _ in range(self.tries):
            before = part.stat().st_size if part.exists() else 0
            problem = self._attempt(url, part, task)
            if not problem:
                return
            if part.exists() and part.stat().st_size <= before:
                break
        raise SourceUnavailable(f"{url}: {problem}")

    def _attempt(self, url: str, part: Path, task: Task) -> str:
        """One try; says what went wrong, or nothing if the file is whole."""
        import requests

        have = part.stat().st_size if part.exists() else 0
        with self._open(url, have) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                # There is nothing after what we have; whether it is right is for the checksum to say.
                return ""
            resumed = response.status_code == requests.codes.partial_content
            if not resumed:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            if total:
                task.expect(total)
            if resumed:
                task.advance(have)
            return self._receive(response, part, "ab" if resumed else "wb", total, task)

    def _receive(
        self, response: requests.Response, part: Path, mode: str, total: int | None, task: Task
    ) -> str:
        import requests
        import urllib3

        last = time.monotonic()
        with part.open(mode) as file:
            try:
                # `read` would wait for a whole chunk, and lose the piece that came before a stall.
                while chunk := response.raw.read1(_CHUNK_BYTES):
                    file.write(chunk)
                    task.advance(len(chunk))
                    last = time.monotonic()
            except urllib3.exceptions.ReadTimeoutError:
                return f"stalled: nothing came for {time.monotonic() - last:.0f} s"
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as problem:
                return (
                    f"broke off after {file.tell()} of {total or 'unknown'} bytes ({type(problem).__name__})"
                )
            size = file.tell()
        return "" if total is None or size == total else f"ended after {size} of {total} bytes"

    def _open(self, url: str, offset: int) -> requests.Response:
        import requests

        headers = {"Range": f"bytes={offset}-"} if offset else {}
        # A program must come as it is: a packed transfer would be unpacked and not fit its length.
        headers["Accept-Encoding"] = "identity"
        try:
            response = requests.get(
                url, headers=headers, stream=True, timeout=(self.connect_seconds, self.stall_seconds)
            )
        except requests.Timeout:
            raise SourceUnavailable(f"{url} did not answer within {self.stall_seconds:g} s") from None
        except requests.RequestException as problem:
            raise SourceUnavailable(f"{url} cannot be reached ({type(problem).__name__})") from None
        if response.status_code == requests.codes.not_found:
            response.close()
            raise NotThere(f"{url} is not there")
        if (
            response.status_code >= 400
            and response.status_code != requests.codes.requested_range_not_satisfiable
        ):
            response.close()
            raise SourceUnavailable(f"{url} answered {response.status_code}")
        return response
