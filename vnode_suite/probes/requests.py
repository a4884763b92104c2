"""When a VNode's certificate was asked for, approved and issued: for the picture of its join, not as evidence."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from vnode_suite.access.approver.rules import read_subject
from vnode_suite.access.bootstrap import csr_api, requests_path, state_of
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.errors import SuiteError

#: A VNode asks within seconds of its start or not at all; nobody listens for longer.
_WATCH_SECONDS = 600


class RequestHistory:
    """Watches certificate signing requests in a thread of its own until :meth:`close`.

    Whoever may not watch them, on a given cluster, is told of none: nothing is judged by them.
    """

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._guard = threading.Lock()
        self._stream: Any = None
        #: By the common name that is asked for: state to when it was first seen, on the monotonic clock.
        self._seen: dict[str, dict[str, float]] = {}
        self._thread = threading.Thread(target=self._watch, name="request-history", daemon=True)
        self._thread.start()

    def moments(self, virtual_node_id: str) -> dict[str, float]:
        """``pending``, ``approved``, ``issued`` (...): when each was first seen of this VNode's first request."""
        with self._guard:
            return next(
                (dict(states) for name, states in self._seen.items() if name.endswith(virtual_node_id)), {}
            )

    def close(self) -> None:
        """Stop watching."""
        stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        try:
            path = requests_path(csr_api(self._kube))
            with self._kube.open_watch(path, timeout_seconds=_WATCH_SECONDS) as stream:
                self._stream = stream
                for event in stream:
                    self._note(event.object)
        except SuiteError:
            return

    def _note(self, request: Mapping[str, Any]) -> None:
        at = time.monotonic()
        subject = read_subject(str((request.get("spec") or {}).get("request") or ""))
        if subject is None:
            return
        with self._guard:
            self._seen.setdefault(subject.common_name, {}).setdefault(state_of(request), at)
