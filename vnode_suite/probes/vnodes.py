"""A VNode as the ECI API shows it. There is no watch there, so these ask again."""

from __future__ import annotations

import json
import time

from vnode_suite.checks.event import Events
from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.models import VirtualNode, VNodeEvent
from vnode_suite.model import Evidence, Observation, Source

#: Pause between two calls of the ECI API, in seconds: a call costs the SDK 5-10 ms, and the service throttles.
ASK_AGAIN = 0.3
#: The first pause, and the longest, where what is waited for takes a while: a VNode starts before it can fail, and
#: some of its events come after a client's time-out.
EVENTS_AFTER, EVENTS_AGAIN_AT_LAST = 0.6, 1.4


def find(client: EciClient, virtual_node_id: str) -> VirtualNode | None:
    """The VNode, or ``None`` where the service lists none of that id (an error is raised, not absence)."""
    found = client.describe_virtual_nodes(ids=[virtual_node_id])
    return next((node for node in found if node.id == virtual_node_id), None)


def await_events(client: EciClient, virtual_node_id: str, *, deadline_seconds: float) -> Observation[Events]:
    """Warning events of a VNode, waited for."""
    began = time.monotonic()

    def warnings() -> tuple[VNodeEvent, ...] | None:
        found = find(client, virtual_node_id)
        return tuple(event for event in found.events if event.type == "Warning") or None if found else None

    try:
        seen = poll(
            warnings,
            what=f"events of {virtual_node_id}",
            deadline_seconds=deadline_seconds,
            interval_seconds=EVENTS_AFTER,
            longest_interval_seconds=EVENTS_AGAIN_AT_LAST,
            at_once=False,
        )
    except DeadlineExceeded:
        seen = ()
    waited = time.monotonic() - began
    text = json.dumps(
        [{"type": e.type, "reason": e.reason, "message": e.message, "count": e.count} for e in seen], indent=1
    )
    return Observation(
        Events(virtual_node_id, tuple(event.message for event in seen), waited),
        Source.CLOUD,
        evidence=(Evidence("DescribeVirtualNodes Events[]", text, "json"),),
    )


def await_absence(client: EciClient, virtual_node_id: str, *, deadline_seconds: float) -> bool:
    """Whether the VNode is gone from the service before the deadline."""
    try:
        poll(
            lambda: find(client, virtual_node_id) is None or None,
            what=f"{virtual_node_id} to be gone",
            deadline_seconds=deadline_seconds,
            interval_seconds=ASK_AGAIN,
        )
    except DeadlineExceeded:
        return False
    return True
