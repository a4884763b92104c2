"""Waiting for a collection to be as it is wanted: listed, then watched, over every interruption until a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vnode_suite.clusters.kube_types import Json, KubeError, KubeUnreachable, WatchEvent, WatchExpired
from vnode_suite.core.errors import DeadlineExceeded

if TYPE_CHECKING:
    from vnode_suite.clusters.kube import KubeClient

#: An unreachable server is asked again at this pace while a wait lasts.
_RETRY_SECONDS = 0.2
#: The longest that one listing may take: as any request (see :mod:`vnode_suite.clusters.kube`).
LISTING_SECONDS = 30.0


def await_list(
    kube: KubeClient,
    path: str,
    predicate: Callable[[Sequence[Json]], Any],
    *,
    deadline_seconds: float,
    what: str,
    query: Mapping[str, Any],
) -> Any:
    """See :meth:`KubeClient.wait_for_list`."""
    deadline = time.monotonic() + deadline_seconds
    items: dict[str, Json] = {}
    trouble = ""
    while True:
        try:
            patience = min(LISTING_SECONDS, max(0.1, deadline - time.monotonic()))
            listed, version = kube.list_with_version(path, query, patience)
            items = {_identity(item): item for item in listed}
            found = predicate(list(items.values()))
            while not found and (remaining := deadline - time.monotonic()) > 0:
                with kube.open_watch(
                    path, resource_version=version, timeout_seconds=remaining, **query
                ) as stream:
                    for event in stream:
                        version = event.object.get("metadata", {}).get("resourceVersion", version)
                        _apply(items, event)
                        found = predicate(list(items.values()))
                        if found or time.monotonic() >= deadline:
                            break
            if found:
                return found
        except WatchExpired:
            continue
        except KubeUnreachable as problem:
            trouble = problem.detail
        except KubeError as problem:
            if problem.status < 500 and problem.status != 429:
                raise
            trouble = problem.message
        if kube.closed or time.monotonic() >= deadline:
            last = ", ".join(_summary(item) for item in items.values()) or "nothing"
            found = f"{last}; {trouble}" if trouble else last
            raise DeadlineExceeded(f"waited {deadline_seconds:g} s for {what}", found=found)
        threading.Event().wait(_RETRY_SECONDS)


def _identity(item: Json) -> str:
    metadata = item.get("metadata", {})
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _apply(items: dict[str, Json], event: WatchEvent) -> None:
    if event.type == "DELETED":
        items.pop(_identity(event.object), None)
    elif event.type != "BOOKMARK":
        items[_identity(event.object)] = event.object


def _summary(item: Json) -> str:
    """One object in a few words: its name and what its status says. Never its data, which may be secret."""
    status = item.get("status")
    status = status if isinstance(status, dict) else {}
    conditions = [f"{c.get('type')}={c.get('status', 'True')}" for c in status.get("conditions") or []]
    words = [str(status["phase"])] if status.get("phase") else []
    name = item.get("metadata", {}).get("name", "")
    return f"{item.get('kind', 'object')} {name} ({', '.join(words + conditions) or 'no status'})"
