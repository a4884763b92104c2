"""EVENT: what a VNode that did not come says of itself, and whether its cause is named rightly."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds


@dataclass(frozen=True, slots=True)
class Events:
    """Events of a failing VNode, as DescribeVirtualNodes shows them."""

    virtual_node_id: str
    messages: tuple[str, ...]
    waited: float


@check("EVENT-01")
def failing_vnode_has_events(events: Events) -> Judgement:
    """A VNode that fails has events."""
    expected = Text(
        f"{events.virtual_node_id} has a Warning event", f"{events.virtual_node_id} 有 Warning 事件"
    )
    if events.messages:
        return holds(expected, Text(events.messages[0], events.messages[0]))
    return fails(
        "no-events", expected, Text(f"none after {events.waited:.1f} s", f"{events.waited:.1f} 秒后仍没有")
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A provoked cause and what the diagnosis made of the events."""

    provoked: str
    #: Causes that the diagnosis names, best first.
    causes: tuple[str, ...]
    unknown: tuple[str, ...]
    messages: tuple[str, ...]


def _named_rightly(named: Named) -> Judgement:
    expected = Text(f"the events are diagnosed as {named.provoked}", f"事件诊断为 {named.provoked}")
    raw = named.messages[0] if named.messages else "no event"
    if named.causes and named.causes[0] == named.provoked:
        return holds(expected, Text(f"{named.causes[0]}: {raw}", f"{named.causes[0]}:{raw}"))
    if named.causes:
        return fails(
            "cause-not-named",
            expected,
            Text(f"named {named.causes[0]}: {raw}", f"诊断为 {named.causes[0]}:{raw}"),
        )
    return fails("cause-not-named", expected, Text(f"not recognised: {raw}", f"未识别:{raw}"))


@check("EVENT-02")
def unreachable_server_is_named(named: Named) -> Judgement:
    """The time-out of ``/version`` is named as an unreachable API server."""
    return _named_rightly(named)


@check("EVENT-03")
def unresolvable_name_is_named(named: Named) -> Judgement:
    """``no such host`` is named as a name that the VPC cannot resolve."""
    return _named_rightly(named)


@dataclass(frozen=True, slots=True)
class Causes:
    """Several provoked causes, each with what was named."""

    cases: tuple[Named, ...]


@check("EVENT-04")
def further_causes_are_told_apart(causes: Causes) -> Judgement:
    """Each further cause is named as itself."""
    names = ", ".join(case.provoked for case in causes.cases)
    expected = Text(f"each is named as itself: {names}", f"逐一正确识别:{names}")
    wrong = [case for case in causes.cases if not case.causes or case.causes[0] != case.provoked]
    if not causes.cases:
        return fails("nothing-provoked", expected, Text("no case was provoked", "未能诱发任何情形"))
    if not wrong:
        return holds(expected, Text(f"all {len(causes.cases)} are", f"{len(causes.cases)} 种均正确"))
    said = "; ".join(
        f"{c.provoked} was named {c.causes[0] if c.causes else 'unknown'}: {(c.messages or ('no event',))[0]}"
        for c in wrong
    )
    return fails("cause-not-named", expected, Text(said, said))
