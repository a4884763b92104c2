"""Deleting the VNodes that a run bought, by what its journal knows of them and by their tags: never anybody else's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vnode_suite.cleanup.journal import Entry
from vnode_suite.cleanup.undo import ClusterAccess, forget_vnode
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.errors import WrongState
from vnode_suite.eci.guard import RUN_TAG
from vnode_suite.eci.models import VirtualNode

#: How long instances of Pods that are gone may keep their VNode, in seconds (data/deadlines.toml, instance-gone).
_RELEASE_SECONDS = 120.0
#: Pause between two tries, in seconds: the service throttles.
_ASK_AGAIN = 2.0


def made_by(client: EciClient, entry: Entry, run: str) -> list[VirtualNode]:
    """The VNodes that *entry* tells of, with the tag of *run*, as the service lists them now."""
    return [node for node in _listed(client, entry) if node.tags.get(RUN_TAG) == run]


def _listed(client: EciClient, entry: Entry) -> list[VirtualNode]:
    known = str(entry.fact.get("id") or "")
    # Without an id the call was begun and its answer never seen: name and tag tell whether it took effect.
    return client.describe_virtual_nodes([known] if known else (), name="" if known else entry.name)


def delete_virtual_node(client: EciClient, entry: Entry, run: str) -> str | None:
    """Delete the VNode that *entry* tells of, if it is the run's; why not, if it was not."""
    found = _listed(client, entry)
    mine = [node for node in found if node.tags.get(RUN_TAG) == run]
    if entry.fact.get("id") and found and not mine:
        return f"{found[0].id} does not carry the tag {RUN_TAG}={run}"
    for node in mine:
        try:
            poll(
                lambda node=node: _deleted(client, node),  # type: ignore[misc]
                what=f"the instances of {node.id} to be released",
                deadline_seconds=_RELEASE_SECONDS,
                interval_seconds=_ASK_AGAIN,
            )
        except DeadlineExceeded:
            return f"{node.id} still has instances of Pods"
    return None


def _deleted(client: EciClient, node: VirtualNode) -> bool | None:
    try:
        client.delete_virtual_node(node.id)
    except WrongState:
        return None
    return True


def forget_unanswered(entry: Entry, ids: Iterable[str], clusters: ClusterAccess) -> str | None:
    """Take away what VNodes left in their cluster whose ids nobody knew when the call was written down.

    ``undo["traces"]`` holds what :func:`vnode_suite.cleanup.undo.forget_vnode` wants, without the id.
    """
    traces = entry.undo.get("traces")
    if not traces:
        return None
    problems = (forget_vnode(replace(entry, undo={**traces, "id": each}), clusters) for each in ids)
    return "; ".join(problem for problem in problems if problem) or None
