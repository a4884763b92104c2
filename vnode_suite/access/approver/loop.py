"""The approver at work: one thread watches, one decides."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vnode_suite.access.approver import rules
from vnode_suite.access.approver.rules import SigningRequest, Variant
from vnode_suite.access.bootstrap import csr_api, requests_path
from vnode_suite.access.rights import CERTIFICATES_GROUP
from vnode_suite.clusters.kube import KubeClient, KubeError, KubeUnreachable
from vnode_suite.clusters.kube_watch import WatchStream

Log = Callable[[str], None]

#: Pause after a refused review, doubled each time. Source: the published approver's rate limiter.
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.2, 1000.0
#: Pause before the server is asked again, doubled each time. client-go's reflector: 0.8 to 30 s; shorter here
#: because a control plane of a run may come up after its approver.
FIRST_RECONNECT_SECONDS, LAST_RECONNECT_SECONDS = 0.1, 5.0
#: The server ends the watch after this; an idle one is silent until then.
WATCH_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Collection:
    """Where signing requests are, and what is asked of the server."""

    path: str
    query: Mapping[str, str]


class Approver:
    """Approves what its variant approves until it is stopped.

    :param kube: acts with the approver's own credential.
    :param ready: called once, when the first list was answered ("" given) or failed (the reason given).
    """

    def __init__(
        self, kube: KubeClient, variant: Variant, log: Log, ready: Callable[[str, str], None]
    ) -> None:
        self._kube, self._variant, self._log, self._ready = kube, variant, log, ready
        self._seen: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._version = ""
        self._stream: WatchStream | None = None

    def run(self) -> None:
        """Work until `stop`."""
        threading.Thread(target=self._watch_forever, name="approver-watch", daemon=True).start()
        pending: dict[str, _Pending] = {}
        while not self._stopped.is_set():
            due = min((one.at for one in pending.values()), default=None)
            try:
                event = self._seen.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if event is None:
                    return
                kind, body = event
                name = body["metadata"]["name"]
                if kind == "DELETED":
                    pending.pop(name, None)
                    continue
                attempts = pending[name].attempts if name in pending else 0
                pending[name] = _Pending(body, time.monotonic(), attempts)
            self._work_off(pending)

    def stop(self) -> None:
        """End `run` soon, from any thread."""
        self._stopped.set()
        self._seen.put(None)
        if (stream := self._stream) is not None:
            stream.close()

    def _work_off(self, pending: dict[str, _Pending]) -> None:
        now = time.monotonic()
        for name, one in [(name, one) for name, one in pending.items() if one.at <= now]:
            del pending[name]
            if not self._settle(rules.parse(one.body)):
                pause = min(FIRST_RETRY_SECONDS * 2**one.attempts, LAST_RETRY_SECONDS)
                pending[name] = _Pending(one.body, time.monotonic() + pause, one.attempts + 1)

    def _settle(self, request: SigningRequest) -> bool:
        """Deal with one request; False if it must be looked at again."""
        if request.settled:
            return True
        try:
            if self._variant is Variant.APPROVES_EVERYTHING:
                self._decide(request, "Approving whatever is asked.")
                return True
            if self._variant is Variant.DENIES_EVERYTHING:
                self._decide(request, "Denying whatever is asked.", approve=False)
                return True
            if (improper := rules.impropriety(request)) is not None:
                self._log(f"left alone {request.name}: {improper}")
                return True
            for permission in rules.permissions(request):
                review = self._kube.create(
                    "/apis/authorization.k8s.io/v1/subjectaccessreviews", rules.review(request, permission)
                )
                if review.get("status", {}).get("allowed"):
                    self._decide(request, permission.message)
                    return True
            self._log(
                f"not approved {request.name}: {request.username} lacks the right to ask; will look again"
            )
        except KubeError as problem:
            # Gone or changed meanwhile: a deletion or the newer object comes through the watch.
            if problem.status in (404, 409):
                return True
            self._log(f"not approved {request.name}: {_words(problem)}; will try again")
        except KubeUnreachable as problem:
            self._log(f"not approved {request.name}: {_words(problem)}; will try again")
        return False

    def _decide(self, request: SigningRequest, message: str, *, approve: bool = True) -> None:
        address = f"{requests_path(self._version)}/{request.name}/approval"
        body = {
            **rules.decided(request.body, message, approve=approve),
            "apiVersion": f"{CERTIFICATES_GROUP}/{self._version}",
            "kind": "CertificateSigningRequest",
        }
        self._kube.replace(address, body)
        self._log(f"{'approved' if approve else 'denied'} {request.name}: {message}")

    def _watch_forever(self) -> None:
        pause, told = FIRST_RECONNECT_SECONDS, False
        while not self._stopped.is_set():
            try:
                collection = self._collection()
                items, version = self._kube.list_with_version(collection.path, collection.query)
                if not told:
                    self._ready(self._version, "")
                    told = True
                pause = FIRST_RECONNECT_SECONDS
                for item in items:
                    self._seen.put(("ADDED", item))
                self._follow(collection, version)
                continue
            except (KubeError, KubeUnreachable) as problem:
                if self._stopped.is_set():
                    return
                self._log(
                    f"failed to list *{self._version or 'v1'}.CertificateSigningRequest: {_words(problem)}"
                )
                if not told:
                    self._ready(self._version, _words(problem))
                    told = True
            self._stopped.wait(pause)
            pause = min(pause * 2, LAST_RECONNECT_SECONDS)

    def _follow(self, collection: Collection, version: str) -> None:
        with self._kube.open_watch(
            collection.path, resource_version=version, timeout_seconds=WATCH_SECONDS, **collection.query
        ) as stream:
            self._stream = stream
            for event in stream if not self._stopped.is_set() else ():
                self._seen.put((event.type, event.object))

    def _collection(self) -> Collection:
        """The newest version that the server has, and the field selector where it knows it."""
        self._version = "v1" if self._variant is Variant.PUBLISHED_IMAGE else csr_api(self._kube)
        # Servers up to 1.17 know no signers and refuse the field selector; who decides everything must see
        # everything. The rules look at the signer in any case.
        selector = {"fieldSelector": f"spec.signerName={rules.SIGNER}"} if self._version == "v1" else {}
        if self._variant in (Variant.APPROVES_EVERYTHING, Variant.DENIES_EVERYTHING):
            selector = {}
        return Collection(requests_path(self._version), selector)


@dataclass(frozen=True, slots=True)
class _Pending:
    body: dict[str, Any]
    at: float
    attempts: int


def _words(problem: KubeError | KubeUnreachable) -> str:
    """What the server said, or why it said nothing."""
    if isinstance(problem, KubeError):
        return f"{problem.status}: {problem.message}"
    return problem.detail
