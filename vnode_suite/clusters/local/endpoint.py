"""One TLS endpoint of a process that is just starting: asked often, with as little as will do.

The client in `vnode_suite.clusters.kube` is for a server that is up; importing it takes half a second of a
core that a starting API server could use.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A starting server that accepts a connection and does not answer within this is asked again.
REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said; status 0 if it could not be reached."""

    status: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether it was a yes."""
        return 200 <= self.status < 300


class Endpoint:
    """HTTPS requests to one address, one after the other on one connection where it lasts."""

    def __init__(
        self, host: str, port: int, *, ca_pem: str, certificate: Path | None = None, key: Path | None = None
    ):
        context = ssl.create_default_context(cadata=ca_pem)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=REQUEST_SECONDS)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask once; whatever keeps an answer from coming is an `Answer` of status 0 with the reason."""
        headers = {"Accept": "application/json"}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, payload, headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.read().decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            return Answer(0, str(problem) or type(problem).__name__)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
