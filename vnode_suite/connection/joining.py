"""How the VNode under test joined, told for the report's picture when its cell is closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from vnode_suite.core.errors import SuiteError
from vnode_suite.diagnosis import EventText, diagnose
from vnode_suite.model import Text
from vnode_suite.probes.nodes import Transition
from vnode_suite.probes.vnodes import find

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun
    from vnode_suite.connection.products import Created, Joined
    from vnode_suite.connection.subject import Subject

_REQUEST = {
    "pending": Text("certificate asked for", "提交证书请求"),
    "approved": Text("request approved", "请求获批准"),
    "denied": Text("request denied", "请求被拒绝"),
    "failed": Text("signing failed", "签发失败"),
    "issued": Text("certificate issued", "证书签发"),
}
_READY = {
    "True": Text("Node is Ready", "节点就绪"),
    "False": Text("Node is not Ready", "节点未就绪"),
    "Unknown": Text("Node is no longer heard of", "节点失联"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened while a VNode joined."""

    lane: str
    at: datetime
    text: Text
    severity: str = "normal"
    #: The step whose end this tells more exactly than the step itself; empty: none.
    step: str = ""


def tell_the_join(cell: CellRun) -> None:
    """Write the moments of the join of *cell*'s VNode under test; nothing where none was created."""
    created: Created | None = _product(cell.sound, "vnode")
    if created is None:
        return
    for moment in sorted(moments(cell.sound, created), key=lambda each: each.at):
        cell.run.ledger.write(
            "timeline",
            cell=cell.cell.id,
            subject=cell.sound.name,
            lane=moment.lane,
            at=moment.at,
            clock="runner",
            text=moment.text,
            severity=moment.severity,
            step=moment.step,
        )


def tell_its_events(cell: CellRun) -> None:
    """Write what the service says of *cell*'s VNode that does not come, and the causes that it names.

    Asked at once: when the cell is closed, the VNode and its events are gone.
    """
    created: Created | None = _product(cell.sound, "vnode")
    if created is None:
        return
    try:
        found = find(cell.world.cloud.client, created.id)
    except SuiteError:
        # It could not be asked; the step says that the VNode did not come, and that is what is judged.
        return
    events = found.events if found is not None else ()
    envelope = {"cell": cell.cell.id, "subject": cell.sound.name}
    for event in events:
        cell.run.ledger.write(
            "vnode-event",
            **envelope,
            virtual_node_id=created.id,
            event_type=event.type,
            reason=event.reason,
            message=event.message,
            count=event.count,
            first=event.first_timestamp,
            last=event.last_timestamp,
        )
    said = diagnose(EventText(each.message, each.reason, each.type, each.count) for each in events)
    cell.run.ledger.write("diagnosis", **envelope, **said.as_dict())


def moments(subject: Subject, created: Created) -> Iterator[Moment]:
    """All that is known of the join of *subject*; times as this machine saw them."""
    world = subject.world
    yield Moment(
        "cloud",
        _wall(created.called_at),
        Text("CreateVirtualNode called", "调用 CreateVirtualNode"),
    )
    requests = world.requests.moments(created.id) if world.requests is not None else {}
    for state, at in requests.items():
        severity = "warning" if state in ("denied", "failed") else "normal"
        yield Moment("cluster", _wall(at), _REQUEST[state], severity)
    joined: Joined | None = _product(subject, "node")
    if joined is None:
        return
    yield Moment(
        "cluster",
        _wall(created.called_at + joined.seconds),
        Text(f"Node {joined.name} registered", f"节点 {joined.name} 注册"),
        step="node",
    )
    yield from _of_the_node(world.nodes.transitions(joined.name))
    yield from _of_the_ports(subject)


def _of_the_node(transitions: tuple[Transition, ...]) -> Iterator[Moment]:
    """Changes of Ready from the first time that it is: a Node that just came is not Ready yet; its end is no join."""
    was_ready = False
    for change in transitions:
        first = change.ready == "True" and not was_ready
        was_ready = was_ready or first
        if was_ready and change.ready in _READY:
            severity = "warning" if change.ready in ("False", "Unknown") else "normal"
            yield Moment("cluster", change.seen, _READY[change.ready], severity, "ready" if first else "")


def _of_the_ports(subject: Subject) -> Iterator[Moment]:
    """The first look at each port: it is taken once the Node is there."""
    from vnode_suite.connection.observing.port import of_10250, of_10255

    for look in (of_10250, of_10255):
        seen = subject.seen(look)
        if seen is None:
            continue
        answer, slugs = seen.value, [slug for _, slug in seen.value.ways if slug]
        text = (
            Text(f"TCP {answer.port}: {slugs[0]}", f"TCP {answer.port}：{slugs[0]}")
            if slugs
            else Text(f"TCP {answer.port} answers the API server", f"TCP {answer.port} 应答 API Server")
        )
        yield Moment("network", seen.observed_at, text, "warning" if slugs else "normal")


def _product(subject: Subject, step: str) -> Any:
    outcome = subject.steps.known(step)
    return outcome.product if outcome else None


def _wall(monotonic: float) -> datetime:
    """The wall clock's time of a moment on the monotonic one."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)
