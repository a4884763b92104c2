"""The VNode's own small client of the Kubernetes API: JSON over HTTPS, and watches."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from vnode_suite.simulated.vnode.certificates import (
    client_context,
    judge_server_certificate,
    presented_chain,
    unverified_context,
)
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.failures import ApiFailure, transport_words, unexpected_status
from vnode_suite.simulated.vnode.kubeconfig import ClusterAccess
from vnode_suite.simulated.vpc.dns import StubResolver

#: Largest line of a watch, in bytes: etcd takes no object above 1.5 MiB.
#: How long any other request may take, in seconds: client-go's own time-out, unscaled.
_PATIENCE = 32.0
_LONGEST_LINE = 2 * 1024 * 1024
#: Seconds after which a watch is opened anew (client-go: 5 to 10 minutes).
WATCH_SECONDS = 300
_TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


@dataclass(frozen=True, slots=True)
class Dialling:
    """How a VNode opens connections: which name server it asks, and from which address it speaks."""

    resolver: StubResolver
    #: Source address, where the machine has several (the loopback fallback); else "".
    source: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch, or one object of the list before it (``ADDED``)."""

    type: str
    object: Mapping[str, Any]


class _VpcResolver(AbstractResolver):
    def __init__(self, stub: StubResolver) -> None:
        self._stub = stub

    async def resolve(self, host: str, port: int = 0, family: Any = AF_INET) -> list[ResolveResult]:
        """Ask the VPC's name server."""
        address = await self._stub.resolve(host)
        return [ResolveResult(hostname=host, host=address, port=port, family=AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


class ApiServer:
    """One identity's connection to one API server. Every method raises `ApiFailure`."""

    def __init__(self, access: ClusterAccess, dialling: Dialling, clock: Clock, timeout: float) -> None:
        self.access = access
        self._dialling = dialling
        self._clock = clock
        #: Of discovery: client-go bounds nothing else. A scaled one must not fail what a busy server merely delays.
        self._discovery_timeout = timeout
        self._timeout = max(timeout, _PATIENCE)
        try:
            self._tls = client_context(access)
        except ValueError as error:
            raise ApiFailure("configuration", str(error)) from error
        headers = {"Accept": "application/json", "User-Agent": "virtual-kubelet/v1.0"}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=_VpcResolver(dialling.resolver),
                local_addr=(dialling.source, 0) if dialling.source else None,
                limit=0,
                family=AF_INET,
                happy_eyeballs_delay=None,
            ),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_LONGEST_LINE,
            # The environment's proxies are the machine's, not the VPC's.
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection; running watches end."""
        await self._session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read an object or a list."""
        return await self._request("GET", path, query=query)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""
        return await self._request("POST", path, body=body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object."""
        return await self._request("PUT", path, body=body)

    async def patch(self, path: str, body: Mapping[str, Any], kind: str = "merge") -> dict[str, Any]:
        """Patch an object; ``kind`` is ``merge`` or ``strategic``."""
        return await self._request("PATCH", path, body=body, content_type=_PATCH_TYPES[kind])

    async def delete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Delete an object; ``body`` holds the DeleteOptions."""
        return await self._request("DELETE", path, body=body)

    async def changes(self, path: str, **query: str) -> AsyncGenerator[Change, None]:
        """List, then watch without end; a watch that the server ends is resumed, a too old one listed anew.

        Objects that vanished between two lists are yielded as ``DELETED``.
        """
        known: dict[str, Mapping[str, Any]] = {}
        while True:
            listing = await self.get(path, **query)
            items = {item["metadata"]["uid"]: item for item in listing.get("items") or ()}
            for uid in known.keys() - items.keys():
                yield Change("DELETED", known[uid])
            known = items
            for item in items.values():
                yield Change("ADDED", item)
            version = listing["metadata"]["resourceVersion"]
            while version:
                since, version = version, ""
                async for change in self.watch(path, since, **query):
                    if change.type == "ERROR":
                        break
                    uid = change.object["metadata"]["uid"]
                    known.pop(uid, None) if change.type == "DELETED" else known.update({uid: change.object})
                    since = change.object["metadata"]["resourceVersion"]
                    if change.type != "BOOKMARK":
                        yield change
                else:
                    version = since

    async def watch(self, path: str, resource_version: str, **query: str) -> AsyncGenerator[Change, None]:
        """One watch from a resource version until the server ends it."""
        query |= {"watch": "true", "resourceVersion": resource_version, "timeoutSeconds": str(WATCH_SECONDS)}
        url = f"{self.access.server}{path}?{urlencode(query)}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=WATCH_SECONDS + 30)
        try:
            async with self._session.get(url, timeout=timeout, **self._tls_name()) as response:
                await _raise_for_status(response, "GET", url)
                async for line in response.content:
                    event = json.loads(line)
                    yield Change(event["type"], event["object"])
        except aiohttp.ClientPayloadError:
            # The connection went in the middle of the stream: the caller resumes where it was.
            return
        except _TRANSPORT_ERRORS as error:
            raise await self._failure(error, "GET", url) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        url = f"{self.access.server}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        try:
            async with asyncio.timeout(self._discovery_timeout if path == "/version" else self._timeout):
                if self._clock.offset and not self.access.insecure:
                    await self._check_dates(method, url)
                async with self._session.request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(),
                    **self._tls_name(),
                ) as response:
                    await _raise_for_status(response, method, url)
                    answer = await response.json(content_type=None)
        except _TRANSPORT_ERRORS as error:
            raise await self._failure(error, method, url) from error
        return dict(answer)

    def _tls_name(self) -> dict[str, Any]:
        return {"server_hostname": self.access.tls_server_name} if self.access.tls_server_name else {}

    async def _failure(self, error: BaseException, method: str, url: str) -> ApiFailure:
        peer = f"{self.access.host}:{self.access.port}"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            kind, words = await self._certificate_words()
        else:
            with suppress(OSError, TimeoutError):
                peer = f"{await self._dialling.resolver.resolve(self.access.host)}:{self.access.port}"
            kind, words = transport_words(error, peer)
        return ApiFailure(kind, words, method, url)

    async def _certificate_words(self) -> tuple[str, str]:
        chain: list[bytes] = []
        with suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(self._timeout):
                chain = await self._server_chain()
        wrong = (
            judge_server_certificate(chain[0], self._expected_name(), self._clock.now()) if chain else None
        )
        return wrong or ("x509-unknown-authority", "x509: certificate signed by unknown authority")

    async def _check_dates(self, method: str, url: str) -> None:
        """Judge the server's dates by the VNode's own clock, which the TLS library does not ask."""
        chain = await self._server_chain()
        wrong = (
            judge_server_certificate(chain[0], self._expected_name(), self._clock.now()) if chain else None
        )
        if wrong and wrong[0] in {"x509-expired", "x509-not-yet-valid"}:
            raise ApiFailure(*wrong, method=method, url=url)

    async def _server_chain(self) -> list[bytes]:
        address = await self._dialling.resolver.resolve(self.access.host)
        source = (self._dialling.source, 0) if self._dialling.source else None
        _, writer = await asyncio.open_connection(
            address,
            self.access.port,
            ssl=unverified_context(),
            server_hostname=_indication(self._expected_name()),
            local_addr=source,
        )
        try:
            return presented_chain(writer.get_extra_info("ssl_object"))
        finally:
            writer.transport.abort()

    def _expected_name(self) -> str:
        return self.access.tls_server_name or self.access.host


def _indication(name: str) -> str:
    """Server name indication holds host names only; asyncio wants an empty string for none."""
    try:
        ip_address(name)
    except ValueError:
        return name
    return ""


async def _raise_for_status(response: aiohttp.ClientResponse, method: str, url: str) -> None:
    if response.status < 400:
        return
    reason, message = unexpected_status(response.status, method.lower())
    with suppress(ValueError):
        answer = json.loads(await response.read())
        if isinstance(answer, Mapping) and answer.get("kind") == "Status":
            reason, message = str(answer.get("reason") or reason), str(answer.get("message") or message)
    raise ApiFailure("status", message, method, url, response.status, reason)
