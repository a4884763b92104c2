"""The few requests that an approver makes, with the standard library alone.

The suite's own `KubeClient` would bring the official client along: half a second and 60 MiB for a process
that makes four kinds of request.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

#: A healthy server answers an approver's requests within milliseconds; client-go waits as long.
REQUEST_TIMEOUT_SECONDS = 32.0
#: The server ends the watch after this; an idle one is silent until then.
WATCH_SECONDS = 300


class ApiError(Exception):
    """The server refused; `status` is the HTTP status, `message` its own words."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(f"{status}: {message}")


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is, and the token that it is asked with."""

    server: str
    ca_pem: str = field(repr=False)
    token: str = field(repr=False)

    @classmethod
    def from_kubeconfig(cls, text: str) -> Access:
        """Read a kubeconfig with one cluster and a token, inline as the suite writes it or in files as the
        published ConfigMap has it (KeyError if it is another, ValueError if it is none)."""
        document = _document(text)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        if data := cluster.get("certificate-authority-data"):
            ca_pem = base64.b64decode(data).decode("ascii")
        else:
            ca_pem = Path(cluster["certificate-authority"]).read_text(encoding="ascii")
        token = user.get("token") or Path(user["tokenFile"]).read_text(encoding="ascii").strip()
        return cls(cluster["server"], ca_pem, token)


class Api:
    """One kept-open connection to the API server. Not thread-safe: each thread has its own."""

    def __init__(self, access: Access) -> None:
        parts = urlsplit(access.server)
        context = ssl.create_default_context(cadata=access.ca_pem)
        # Python 3.13 asks for extensions that the CAs of older clusters do not have.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._host, self._port, self._context = parts.hostname or "", parts.port or 443, context
        self._headers = {"Authorization": f"Bearer {access.token}", "Accept": "application/json"}
        self._connection: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request and its answer.

        :raises ApiError: the server refused.
        :raises OSError: there was no answer (http.client's own exceptions are turned into it).
        """
        try:
            # A connection that the server has closed while idle shows that only now; nothing was processed.
            return self._once(method, path, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            return self._once(method, path, body)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        connection = self._connection or self._connect(REQUEST_TIMEOUT_SECONDS)
        self._connection = connection
        try:
            headers = {**self._headers, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            if isinstance(problem, OSError):
                raise
            raise OSError(str(problem)) from problem
        return _decoded(response.status, text)

    def list(self, path: str, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        """The objects of a collection, and the version to watch it from."""
        answer = self.request("GET", f"{path}?{urlencode(query)}" if query else path)
        return answer.get("items") or [], answer.get("metadata", {}).get("resourceVersion", "")

    def watch(
        self, path: str, query: Mapping[str, str], version: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes since `version` as (type, object), until the server ends the watch."""
        connection = self._connect(WATCH_SECONDS + REQUEST_TIMEOUT_SECONDS)
        asked = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        try:
            connection.request("GET", f"{path}?{urlencode(asked)}", headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                _decoded(response.status, response.read())
            while line := response.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(int(status.get("code") or 0), str(status.get("message")))
                yield event["type"], event["object"]
        except http.client.HTTPException as problem:
            raise OSError(str(problem)) from problem
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)


def _document(text: str) -> Any:
    try:
        # As the suite hands it over: what reads YAML is a fifth of all that the process would load.
        return json.loads(text)
    except ValueError:
        import yaml
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(f"no YAML: {type(problem).__name__}") from None


def _decoded(status: int, text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if status >= 400:
        raise ApiError(status, str(body.get("message") or text[:200].decode("utf-8", "replace")))
    return body
