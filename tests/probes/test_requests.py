"""A VNode's certificate signing request is seen at each of its states, and nobody fails for not seeing it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vnode_suite.access.requests import Wanted, make_request
from vnode_suite.clusters.kube_types import KubeError, WatchEvent
from vnode_suite.probes.requests import RequestHistory

REQUEST = base64.b64encode(make_request(Wanted("system:vnode:region.vnd-1")).request_pem.encode()).decode()


class Server:
    """An API server whose request is in these states, one after the other."""

    def __init__(self, *statuses: dict[str, Any], forbidden: bool = False) -> None:
        self.statuses = statuses
        self.forbidden = forbidden

    def get(self, path: str) -> dict[str, Any]:
        """The group's versions."""
        return {"versions": [{"version": "v1"}]}

    @contextmanager
    def open_watch(self, path: str, **given: Any) -> Iterator[Any]:
        """A watch that ends when everything was told."""
        if self.forbidden:
            raise KubeError(403, "Forbidden", "may not watch", request=f"GET {path}")
        spec = {"request": REQUEST}
        yield Stream([WatchEvent("MODIFIED", {"spec": spec, "status": status}) for status in self.statuses])


class Stream:
    """The events of one watch, and one that is no request."""

    def __init__(self, events: list[WatchEvent]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[WatchEvent]:
        return iter([WatchEvent("ADDED", {"spec": {"request": "none"}}), *self._events])

    def close(self) -> None:
        """Nothing is open."""


def test_each_state_is_seen_once() -> None:
    """Asked for, approved, issued: in this order, of the VNode whose name is in the request."""
    approved = {"conditions": [{"type": "Approved"}]}
    history = RequestHistory(Server({}, approved, approved, {**approved, "certificate": "x"}))  # type: ignore[arg-type]
    history.close()
    seen = history.moments("vnd-1")
    assert list(seen) == ["pending", "approved", "issued"]
    assert list(seen.values()) == sorted(seen.values())
    assert history.moments("vnd-2") == {}


def test_who_may_not_watch_sees_none() -> None:
    """On a cluster that was given with few rights nothing fails for the sake of a picture."""
    history = RequestHistory(Server(forbidden=True))  # type: ignore[arg-type]
    history.close()
    assert history.moments("vnd-1") == {}
