"""EVENT: VNodes that fail on purpose, and what their events are diagnosed as."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vnode_suite.checks.event import Causes, Events, Named
from vnode_suite.connection.closing import retire
from vnode_suite.connection.cloud import SIMULATED_CLIENT_TIMEOUT
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.diagnosis import diagnose
from vnode_suite.model import Observation, Profile, Source, Text, Unreached
from vnode_suite.probes.vnodes import await_events

if TYPE_CHECKING:
    from vnode_suite.connection.cell import CellRun

#: The cause that EVENT-01 and EVENT-02 provoke: packets to the API server vanish.
UNREACHABLE = "api-server-unreachable"
NO_SUCH_HOST = "dns-no-such-host"

#: The simulated client's time-out, in seconds: no event of it can come sooner.
_EVENT_TOOK = SIMULATED_CLIENT_TIMEOUT
#: Texts that look like the documented events and are none.
_NEAR_MISSES = {
    "near-miss-time-out": (
        'failed to get node info, Get "https://10.0.0.1:10250/stats?timeout=32s": net/http: request canceled '
        "(Client.Timeout exceeded while reading body)"
    ),
    "near-miss-no-such-host": (
        "failed to pull image: dial tcp: lookup registry.example on 100.100.2.136:53: server misbehaving"
    ),
    "unknown-event": "the moon is in the seventh house",
}


def _needs_packets(subject: Subject) -> None:
    cloud = subject.world.cloud
    if cloud.network == "loopback":
        detail = Text(
            f"packets cannot be dropped: {cloud.network_reason}", f"无法丢弃数据包:{cloud.network_reason}"
        )
        raise StepNotReached(Unreached("vpc", "no-namespaces", detail))


#: Provoked causes by which a VNode fails once it has shown who it is: another identity fails otherwise.
_OF_THE_IDENTITY = frozenset({"kubeconfig-wrong-token", "api-server-overloaded"})


def _failing(subject: Subject, cause: str) -> Subject:
    """The VNode that fails by *cause*: one for all cells of a version where it fails before it shows who it is."""
    cell = subject.cell if cause in _OF_THE_IDENTITY else _provoking(subject.cell)
    if subject.has("events-empty"):
        return cell.provoked_with(cause, "events-empty")
    return cell.provoked(cause)


def _provoking(cell: CellRun) -> CellRun:
    """The cell whose kubeconfig such a VNode is handed: the one that needs no approver, if it has come to have one."""
    for each in sorted(cell.world.cells, key=lambda one: one.cell.asks_for_certificate):
        if each.sound.outcome(each.sound.kubeconfig).reached:
            return each
    return cell


def events(subject: Subject) -> Observation[Events]:
    """Events of a VNode whose packets to the API server are dropped."""
    _needs_packets(subject)
    return _failing(subject, UNREACHABLE).observe(_told)


def _told(failing: Subject) -> Observation[Events]:
    """What a VNode that fails on purpose says; looked at once by all that judge it, and then the VNode may go."""
    try:
        return await_events(
            failing.world.cloud.client,
            failing.vnode().id,
            deadline_seconds=failing.seconds("event-seen", absent="no-events", took=_EVENT_TOOK),
        )
    finally:
        retire(failing)


def _named(subject: Subject, cause: str, *, by: str = "", near_miss: str) -> Observation[Named]:
    """What a VNode that fails by the defect *by* (of the cause's own name by default) says, diagnosed.

    :param near_miss: the defect by which it says something else instead.
    :raises StepNotReached: it says nothing, which EVENT-01 judges.
    """
    seen = _failing(subject, by or cause).observe(_told)
    messages = (_NEAR_MISSES[near_miss],) if subject.has(near_miss) else seen.value.messages
    if not messages:
        detail = Text("the VNode has no events to name a cause by", "VNode 没有可用于判断原因的事件")
        raise StepNotReached(Unreached("events", "no-events", detail))
    found = diagnose(messages)
    value = Named(cause, tuple(match.cause for match in found.causes), tuple(found.unknown), messages)
    return Observation(value, Source.CLOUD, evidence=seen.evidence)


def unreachable(subject: Subject) -> Observation[Named]:
    """What the events of a VNode that cannot reach the API server are diagnosed as."""
    _needs_packets(subject)
    return _named(subject, UNREACHABLE, near_miss="near-miss-time-out")


def no_such_host(subject: Subject) -> Observation[Named]:
    """What the events of a VNode whose DNS lacks the name are diagnosed as."""
    _needs_packets(subject)
    by = "kubeconfig-server-name-unresolvable"
    return _named(subject, NO_SUCH_HOST, by=by, near_miss="near-miss-no-such-host")


#: Defect that provokes a cause, and the cause that the diagnosis must name.
FURTHER = (
    ("api-server-refused", "connection-refused"),
    ("no-route", "no-route"),
    ("kubeconfig-wrong-ca", "x509-unknown-authority"),
    ("server-certificate-wrong-name", "x509-wrong-name"),
    ("server-certificate-expired", "x509-expired"),
    ("server-certificate-not-yet-valid", "x509-not-yet-valid"),
    ("kubeconfig-wrong-token", "unauthorized"),
)


#: As `FURTHER`, where there is time: the VNode gets through TLS and identity before it is turned away.
FURTHER_IN_FULL = (("api-server-overloaded", "api-server-overloaded"),)


#: Of `FURTHER`, so many at least are provoked on each version where they take turns.
_PROVOKED_IN_TURN = 2


def _in_turn(subject: Subject) -> tuple[tuple[str, str], ...]:
    """Those of `FURTHER` whose turn it is: all, unless several versions share them."""
    settings = subject.cell.run.settings
    if not settings.takes_turns:
        return FURTHER
    versions = settings.versions
    share = max(_PROVOKED_IN_TURN, -(-len(FURTHER) // len(versions)))
    first = share * versions.index(subject.cell.cell.version)
    return tuple(FURTHER[number % len(FURTHER)] for number in range(first, first + share))


#: The first two of them wait for a time-out of their own; more at once would only crowd what waits for less.
_FAILING_AT_ONCE = 3


def further(subject: Subject) -> Observation[Causes]:
    """Further causes, one VNode each."""
    _needs_packets(subject)
    full = subject.cell.run.settings.scope.profile is Profile.FULL
    wanted = (*_in_turn(subject), *(FURTHER_IN_FULL if full else ()))
    with ThreadPoolExecutor(_FAILING_AT_ONCE, thread_name_prefix="further") as pool:
        cases = pool.map(
            lambda each: _named(subject, each[1], by=each[0], near_miss="unknown-event").value, wanted
        )
        return Observation(Causes(tuple(cases)), Source.CLOUD)
