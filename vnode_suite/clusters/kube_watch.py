"""The events of one watch request."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import urllib3

from vnode_suite.clusters.kube_types import KubeError, RawResponse, WatchEvent, decoded, error_of


class WatchStream:
    """The events of one watch request, as they come."""

    def __init__(self, response: Any, request: str) -> None:
        self._response = response.response
        self._request = request
        self._closed = False
        if response.status != 200:
            answer = RawResponse(response.status, self._response.data.decode("utf-8", "replace"))
            decoded(answer, request)
            raise KubeError(response.status, "Unexpected", answer.text[:200], request=request)

    def __iter__(self) -> Iterator[WatchEvent]:
        try:
            for line in self._lines():
                document = json.loads(line)
                if document["type"] == "ERROR":
                    raise error_of(document["object"], self._request)
                yield WatchEvent(document["type"], document["object"])
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            # The end of its time, a server that went away and our own close() look alike from here, and call
            # for the same: whoever still wants events connects anew, and hears then if nobody is there.
            return

    def close(self) -> None:
        """End the watch, also from another thread while it is waited on."""
        if self._closed:
            return
        self._closed = True
        connection = getattr(self._response, "_connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._response.close()

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        for chunk in self._response.stream(amt=None):
            pending += chunk
            *lines, pending = pending.split(b"\n")
            yield from (line for line in lines if line)
