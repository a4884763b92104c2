"""Finding the Node that is a VNode: what both sides tell of it, and whose the others are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from vnode_suite.connection.products import Created, Joined
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.probes.nodes import NodeHistory, find_vnode
from vnode_suite.probes.vnodes import find

if TYPE_CHECKING:
    from vnode_suite.connection.subject import Subject


def joined(subject: Subject, created: Created, *, took: float | None) -> Joined:
    """The Node of *created*, waited for.

    :param took: seconds that it took for the VNode under test, where *subject* is a twin.
    :raises DeadlineExceeded: none came.
    """

    def seen(history: NodeHistory, *, over: bool = False) -> Joined | None:
        nodes = history.nodes()
        found = find_vnode(
            nodes,
            virtual_node_id=created.id,
            virtual_node_name=created.request.name,
            told=partial(_told, subject, created, over=over),
            before=created.nodes_before,
            others=_others(subject, created, nodes),
        )
        if found is None:
            return None
        at = history.first_seen(found[0]) or time.monotonic()
        # One that was made elsewhere may have been there before it was looked for.
        return Joined(found[0], found[1], max(0.0, at - created.called_at))

    deadline = subject.seconds("node-registered", absent="not-listed", took=took)
    try:
        return subject.world.nodes.wait(seen, deadline_seconds=deadline, what=f"the Node of {created.id}")
    except DeadlineExceeded:
        # The cloud may never tell an address; the only Node that came since is then taken for it.
        found = seen(subject.world.nodes, over=True)
        if found is None:
            raise
        return found


def _told(subject: Subject, created: Created, *, over: bool) -> tuple[str, bool]:
    """IntranetIp of the VNode as the cloud tells it, empty while it does not; and whether it will say no more.

    :param over: nobody waits for its word any longer.
    """
    found = find(subject.world.cloud.client, created.id)
    return (found.intranet_ip, over or found.status != "Pending") if found else ("", over)


def _others(subject: Subject, created: Created, nodes: Iterable[str]) -> frozenset[str]:
    """Which of *nodes* are known to be other VNodes of the run: by an id in the name, or because they were found."""
    world = subject.world
    ids = world.vnode_ids() - {created.id}
    found = {
        other.node_name
        for cell in world.cells
        for other in cell.subjects
        if other is not subject and (theirs := other.steps.known("vnode")) and theirs.product is not created
    }
    return frozenset(name for name in nodes if name in found or any(each in name for each in ids))
