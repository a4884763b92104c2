"""One client for every Kubernetes API server from 1.13 on, speaking paths and plain mappings.

This is the only module that imports the official `kubernetes` client, and it does so late: the import costs
0.45 s. Typed models are left alone on purpose: no release of the client has all the API versions that ten
minors need, while a path such as `/api/v1/nodes` means the same in each.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from vnode_suite.clusters.kube_types import (
    PATCH_CONTENT_TYPES,
    AccessDecision,
    AccessRequest,
    Decisions,
    Items,
    Json,
    KubeError,
    KubeUnreachable,
    PatchType,
    RawResponse,
    WatchEvent,
    WatchExpired,
    decoded,
)
from vnode_suite.clusters.kube_waiting import await_list
from vnode_suite.clusters.kube_watch import WatchStream
from vnode_suite.clusters.kube_ways import encoded, minimal_kubeconfig, remember_or_recall
from vnode_suite.clusters.kubeconfig import (
    MemoryFiles,
    check_context,
    hold_inline_data,
    parse_kubeconfig,
    read_kubeconfig_files,
)
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.modules import import_meanwhile

#: Connections kept open to one server, and the most access reviews asked at once. A review takes the server
#: 1-3 ms; more than this only queue on two cores.
POOL_SIZE = 16
#: A local server answers in milliseconds, a far one behind a VPN within seconds.
REQUEST_TIMEOUT_SECONDS = 30.0
CONNECT_TIMEOUT_SECONDS = 10.0
#: A server drops a watch after 30-60 minutes anyway; asking for less lets an idle watch notice a dead server.
WATCH_SECONDS = 300


def _configuration(make: Callable[[], Any]) -> Any:
    """The official client's settings.

    They are made by walking over the environment for proxies, which fails where a thread takes a variable away
    meanwhile; pytest does, between two tests.
    """
    for _ in range(_ENVIRONMENT_TRIES):
        with suppress(KeyError):
            return make()
    return make()


def preload() -> threading.Thread:
    """Import the official client in a thread: it costs about half a second, which other work can hide."""
    return import_meanwhile("kubernetes.client", "kubernetes.config")


#: Between two tests a variable goes once: a second walk does not meet it any more.
_ENVIRONMENT_TRIES = 3


class KubeClient:
    """Requests to one API server with one credential. Thread-safe; a context manager that closes itself."""

    def __init__(self, api: Any, files: MemoryFiles) -> None:
        self._api = api
        self._files = files
        #: Whether it was closed: a wait in another thread then ends at its next look.
        self.closed = False
        self.server: str = api.configuration.host

    # -- making one ---------------------------------------------------------------------------------------

    @classmethod
    def from_kubeconfig_text(
        cls, text: str, context: str | None = None, *, environment_proxy: bool = False
    ) -> KubeClient:
        """A client for the credential in a kubeconfig's text; nothing of it is written to disk.

        :param environment_proxy: heed `HTTPS_PROXY` and its kin. Off by default: a cluster of this machine
            must not be looked for behind a proxy.
        """
        return cls._from_document(parse_kubeconfig(text, origin="the kubeconfig"), context, environment_proxy)

    @classmethod
    def from_kubeconfig_file(cls, path: str | Path, context: str | None = None) -> KubeClient:
        """A client for a user's kubeconfig file, with all that kubectl takes from one.

        That is exec plugins, OIDC, client certificates, paths and proxies. The file is only read: tokens
        that a plugin or provider renews are kept in memory.
        """
        return cls._from_document(read_kubeconfig_files(path), context, environment_proxy=True)

    @classmethod
    def with_token(cls, server: str, ca_pem: str, token: str) -> KubeClient:
        """A client that presents a bearer token (bootstrap or ServiceAccount)."""
        return cls._from_document(minimal_kubeconfig(server, ca_pem, {"token": token}), None, False)

    @classmethod
    def with_certificate(cls, server: str, ca_pem: str, certificate_pem: str, key_pem: str) -> KubeClient:
        """A client that presents a client certificate."""
        user = {"client-certificate-data": encoded(certificate_pem), "client-key-data": encoded(key_pem)}
        return cls._from_document(minimal_kubeconfig(server, ca_pem, user), None, False)

    @classmethod
    def anonymous(cls, server: str, ca_pem: str) -> KubeClient:
        """A client without a credential."""
        return cls._from_document(minimal_kubeconfig(server, ca_pem, {}), None, False)

    @classmethod
    def of_server(
        cls, server: str, document: Json, context: str | None, *, environment_proxy: bool = False
    ) -> KubeClient:
        """A client with the credential and authority of a kubeconfig that asks another server than it names."""
        document = copy.deepcopy(document)
        chosen = check_context(document, context)
        named = {entry["name"]: entry for entry in document.get("contexts") or []}
        wanted = named[chosen]["context"]["cluster"]
        for entry in document.get("clusters") or []:
            if entry.get("name") == wanted:
                entry["cluster"]["server"] = server
        return cls._from_document(document, chosen, environment_proxy)

    @classmethod
    def _from_document(cls, document: Json, context: str | None, environment_proxy: bool) -> KubeClient:
        from kubernetes import client, config

        chosen = check_context(document, context)
        document = copy.deepcopy(document)
        files = MemoryFiles()
        hold_inline_data(document, files)
        settings: Any = _configuration(client.Configuration)
        if not environment_proxy:
            settings.proxy = None
        settings.connection_pool_maxsize = POOL_SIZE
        # POST and PATCH are not retried once sent; a dropped idle connection is.
        # A 429 is an answer, whatever it says of later: who asks decides whether to wait.
        settings.retries = urllib3.Retry(
            total=1, connect=0, redirect=0, status=0, backoff_factor=0, respect_retry_after_header=False
        )
        try:
            config.load_kube_config_from_dict(
                document, context=chosen, client_configuration=settings, persist_config=False
            )
        except config.ConfigException as problem:
            files.close()
            raise ClusterError(f"the context {chosen!r} cannot be used", found=str(problem)) from None
        remember_or_recall(settings, environment_proxy)
        return cls(client.ApiClient(settings), files)

    def close(self) -> None:
        """Close the connections and forget the credential; a wait in another thread ends at once."""
        self.closed = True
        self._api.close()
        self._files.close()

    def __enter__(self) -> KubeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- requests -----------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Json:
        """The object at `path`, such as `/api/v1/nodes/vnode-1`."""
        return self._json("GET", path, query)

    def list(self, path: str, **query: Any) -> Items:
        """The objects of the collection at `path`; selectors go in as `labelSelector`, `fieldSelector`."""
        return self.list_with_version(path, query)[0]

    def create(self, path: str, body: Mapping[str, Any], **query: Any) -> Json:
        """Create `body` in the collection at `path`."""
        return self._json("POST", path, query, body)

    def replace(self, path: str, body: Mapping[str, Any], **query: Any) -> Json:
        """Put `body` in the place of the object at `path`."""
        return self._json("PUT", path, query, body)

    def patch(self, path: str, body: Any, type: PatchType = "merge", **query: Any) -> Json:
        """Patch the object at `path`; a `json` patch is a list of operations."""
        return self._json("PATCH", path, query, body, content_type=PATCH_CONTENT_TYPES[type])

    def delete(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Json:
        """Delete the object at `path`; `body` holds `DeleteOptions`."""
        return self._json("DELETE", path, query, body)

    def raw(
        self,
        path: str,
        method: str = "GET",
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        **query: Any,
    ) -> RawResponse:
        """Any request, answered as it comes: an HTTP error is no exception here, a dead connection is."""
        response = self._send(method, path, query, body, dict(headers or {}), timeout_seconds)
        try:
            data: bytes = response.read()
        except urllib3.exceptions.HTTPError as problem:
            raise KubeUnreachable(self.server, str(problem)) from None
        return RawResponse(response.status, data.decode("utf-8", "replace"), dict(response.headers))

    def server_version(self) -> Json:
        """What the server says of itself at `/version`: `major`, `minor`, `gitVersion` and more."""
        return self.get("/version")

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        content_type: str | None = None,
    ) -> Json:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = self.raw(path, method, body=body, headers=headers, **query)
        return decoded(answer, f"{method} {path}")

    def list_with_version(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> tuple[Items, str]:
        """The objects of a collection, and the resource version to watch it from."""
        body = decoded(self.raw(path, timeout_seconds=timeout_seconds, **(query or {})), f"GET {path}")
        kind = str(body.get("kind", "")).removesuffix("List")
        items: Items = body.get("items") or []
        for item in items:
            # Items of a list do not say what they are; whoever gets one alone needs to know.
            item.setdefault("kind", kind)
            item.setdefault("apiVersion", body.get("apiVersion"))
        return items, str(body.get("metadata", {}).get("resourceVersion", ""))

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any,
        headers: dict[str, str],
        timeout: float,
    ) -> Any:
        given = {key: _query_value(value) for key, value in query.items() if value is not None}
        url = f"{self.server}{path}" + (f"{'&' if '?' in path else '?'}{urlencode(given)}" if given else "")
        headers = {"Accept": "application/json, */*", **self._api.default_headers, **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        try:
            return self._api.call_api(
                method, url, headers, body, _request_timeout=(min(CONNECT_TIMEOUT_SECONDS, timeout), timeout)
            )
        except urllib3.exceptions.HTTPError as problem:
            cause = getattr(problem, "reason", None) or problem
            raise KubeUnreachable(self.server, str(cause)) from None
        except OSError as problem:
            raise KubeUnreachable(self.server, str(problem)) from None
        except Exception as problem:
            # The client wraps TLS errors in its own exception with status 0; anything else is a bug of ours.
            if getattr(problem, "status", None) == 0:
                raise KubeUnreachable(self.server, str(getattr(problem, "reason", problem))) from None
            raise

    # -- watching -----------------------------------------------------------------------------------------

    @contextmanager
    def open_watch(
        self, path: str, *, resource_version: str = "", timeout_seconds: float = WATCH_SECONDS, **query: Any
    ) -> Iterator[WatchStream]:
        """One watch request, no reconnecting; `close()` on it from another thread ends it at once."""
        query = {
            **query,
            "watch": True,
            "resourceVersion": resource_version or None,
            "timeoutSeconds": max(1, int(timeout_seconds)),
        }
        response = self._send("GET", path, query, None, {}, timeout_seconds)
        stream = WatchStream(response, f"GET {path}?watch=true")
        try:
            yield stream
        finally:
            stream.close()

    def watch(
        self, path: str, *, resource_version: str = "", timeout_seconds: float | None = None, **query: Any
    ) -> Iterator[WatchEvent]:
        """Changes in the collection at `path` until `timeout_seconds` have passed; reconnects by itself.

        Begins with what is there now (as ADDED) unless `resource_version` says from where on. When the server
        has forgotten that version it lists anew and sends what is there as MODIFIED.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        version, first = resource_version, "ADDED"
        while True:
            if not version:
                items, version = self.list_with_version(path, query)
                yield from (WatchEvent(first, item) for item in items)
                first = "MODIFIED"
            remaining = WATCH_SECONDS if deadline is None else min(WATCH_SECONDS, deadline - time.monotonic())
            if remaining <= 0:
                return
            try:
                with self.open_watch(
                    path, resource_version=version, timeout_seconds=remaining, **query
                ) as stream:
                    for event in stream:
                        version = event.object.get("metadata", {}).get("resourceVersion", version)
                        if event.type != "BOOKMARK":
                            yield event
                        if deadline is not None and time.monotonic() >= deadline:
                            return
            except WatchExpired:
                version = ""

    def wait_for_list(
        self,
        path: str,
        predicate: Callable[[Sequence[Json]], Any],
        *,
        deadline_seconds: float,
        what: str,
        **query: Any,
    ) -> Any:
        """Watch the collection at `path` until `predicate(items)` is true, and return what it returned.

        :param what: what is waited for, for the error.
        :raises DeadlineExceeded: names what was waited for and what there was last.
        """
        return await_list(self, path, predicate, deadline_seconds=deadline_seconds, what=what, query=query)

    def wait_for(
        self,
        path: str,
        predicate: Callable[[Json | None], Any],
        *,
        deadline_seconds: float,
        what: str,
    ) -> Any:
        """Watch the one object at `path` until `predicate(object)` is true, and return what it returned.

        The predicate gets None while there is no such object, so that going away can be waited for too.
        """
        collection, _, name = path.rpartition("/")
        return self.wait_for_list(
            collection,
            lambda items: predicate(items[0] if items else None),
            deadline_seconds=deadline_seconds,
            what=what,
            fieldSelector=f"metadata.name={name}",
        )

    # -- access reviews -----------------------------------------------------------------------------------

    def access_review(
        self, request: AccessRequest, *, user: str | None = None, groups: Sequence[str] = ()
    ) -> AccessDecision:
        """Ask the server whether `user` in `groups` may do this; without `user`, whether this client may."""
        spec = request.attributes()
        kind = "SelfSubjectAccessReview"
        if user is not None:
            kind = "SubjectAccessReview"
            spec |= {"user": user, "groups": list(groups)}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        status = self.create(f"/apis/authorization.k8s.io/v1/{kind.lower()}s", body).get("status", {})
        return AccessDecision(request, bool(status.get("allowed")), str(status.get("reason", "")))

    def access_reviews(
        self, requests: Sequence[AccessRequest], *, user: str | None = None, groups: Sequence[str] = ()
    ) -> Decisions:
        """Many questions at once over the open connections; the answers are in the order of the questions."""
        if not requests:
            return []
        with ThreadPoolExecutor(min(POOL_SIZE, len(requests)), thread_name_prefix="reviews") as pool:
            return list(pool.map(lambda one: self.access_review(one, user=user, groups=groups), requests))


def _query_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


__all__ = [
    "AccessDecision",
    "AccessRequest",
    "Json",
    "KubeClient",
    "KubeError",
    "KubeUnreachable",
    "RawResponse",
    "WatchEvent",
    "WatchExpired",
    "WatchStream",
]
