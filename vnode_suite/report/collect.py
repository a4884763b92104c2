"""From the stream of events to what a report needs of them, in one pass and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vnode_suite.core.ledger import TORN, Event
from vnode_suite.model import Text

#: Most entries kept of one VNode's timeline; a join has some thirty, a flapping one would fill the memory.
TIMELINE_LIMIT = 400
#: Most service events kept of one VNode.
EVENT_LIMIT = 100
#: Most errors of the harness kept.
PROBLEM_LIMIT = 200
#: Several results of one clause in one cell become the worst of them.
_WORST_FIRST = ("error", "failed", "could-not-run", "passed", "info")

Key = tuple[str, ...]


@dataclass(slots=True)
class Collected:
    """What the events of a run, or of several merged ones, said."""

    runs: list[Event] = field(default_factory=list)
    finished: int = 0
    exit_statuses: list[int] = field(default_factory=list)
    first_at: str = ""
    last_at: str = ""
    cells: dict[str, Event] = field(default_factory=dict)
    cell_seconds: dict[str, float] = field(default_factory=dict)
    clusters: dict[str, Event] = field(default_factory=dict)
    memory: dict[str, dict[str, int]] = field(default_factory=dict)
    results: dict[tuple[str, str], Event] = field(default_factory=dict)
    #: By clause and cell, then by defect.
    controls: dict[tuple[str, str], dict[str, Event]] = field(default_factory=dict)
    created: dict[Key, Event] = field(default_factory=dict)
    deleted: dict[Key, Event] = field(default_factory=dict)
    left: dict[Key, Event] = field(default_factory=dict)
    steps: dict[Key, Event] = field(default_factory=dict)
    #: When each step was begun.
    steps_begun: dict[Key, str] = field(default_factory=dict)
    timeline: dict[Key, list[Event]] = field(default_factory=dict)
    vnode_events: dict[Key, dict[Key, Event]] = field(default_factory=dict)
    diagnoses: dict[Key, Event] = field(default_factory=dict)
    interruptions: list[str] = field(default_factory=list)
    problems: list[Event] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)
    redactions: Counter[str] = field(default_factory=Counter)
    #: Lines that were no event, and entries left out because there were too many, by what they were.
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def ended_in_order(self) -> bool:
        """Every run that began said that it was over, and none was interrupted."""
        return bool(self.runs) and self.finished >= len(self.runs) and not self.interruptions

    def strays(self, clauses: Iterable[str]) -> list[tuple[str, str]]:
        """(clause, cell) of results that belong to no row: an unknown clause, or a cell that never began."""
        known = set(clauses)
        return [key for key in self.results if key[0] not in known or key[1] not in self.cells]

    @property
    def run(self) -> Event:
        """What the (first) run was asked for; empty where the ledger does not say."""
        return self.runs[0] if self.runs else {}


def collect(events: Iterable[Event]) -> Collected:
    """Read all *events* once."""
    into = Collected()
    for event in events:
        at = str(event.get("at", ""))
        if at:
            into.first_at = min(into.first_at or at, at)
            into.last_at = max(into.last_at, at)
        for kind, count in (event.get("redacted") or {}).items():
            into.redactions[kind] += int(count)
        take = _TAKERS.get(str(event.get("type")))
        if take is not None:
            take(into, event)
    return into


def as_text(value: object) -> Text | None:
    """A sentence as the ledger has it: ``{"en": ..., "zh": ...}``, or a plain string for both."""
    if value is None or value == "":
        return None
    if isinstance(value, Mapping):
        english = str(value.get("en", "") or value.get("zh", ""))
        return Text(english, str(value.get("zh", "") or english))
    return Text(str(value), str(value))


def _run_started(into: Collected, event: Event) -> None:
    into.runs.append(event)
    for planned in event.get("cells") or ():
        if isinstance(planned, Mapping) and planned.get("cell"):
            into.cells.setdefault(str(planned["cell"]), dict(planned))


def _cell_started(into: Collected, event: Event) -> None:
    into.cells[str(event["cell"])] = {**into.cells.get(str(event["cell"]), {}), **event, "started": True}


def _cell_finished(into: Collected, event: Event) -> None:
    cell = str(event["cell"])
    told = event.get("seconds")
    into.cell_seconds[cell] = (
        float(told)
        if told is not None
        else seconds_between(str(into.cells.get(cell, {}).get("at", "")), str(event.get("at", "")))
    )


def seconds_between(first: str, last: str) -> float:
    """Seconds from one RFC 3339 time to another; 0 where one is missing."""
    if not first or not last:
        return 0.0
    began, ended = (datetime.fromisoformat(each.replace("Z", "+00:00")) for each in (first, last))
    return (ended - began).total_seconds()


def _cluster_ready(into: Collected, event: Event) -> None:
    into.clusters[str(event.get("version"))] = event


def _memory(into: Collected, event: Event) -> None:
    highest = into.memory.setdefault(str(event.get("version")), {})
    for name, amount in (event.get("processes") or {}).items():
        highest[name] = max(highest.get(name, 0), int(amount))


def _result(into: Collected, event: Event) -> None:
    key = (str(event["clause"]), str(event["cell"]))
    before = into.results.get(key)
    into.results[key] = event if before is None else _worse(before, event)


def _worse(one: Event, other: Event) -> Event:
    ranked = sorted((one, other), key=lambda event: _rank(str(event.get("status"))))
    worst, better = ranked
    return {**worst, "evidence": [*(worst.get("evidence") or ()), *(better.get("evidence") or ())]}


def _rank(status: str) -> int:
    return _WORST_FIRST.index(status) if status in _WORST_FIRST else len(_WORST_FIRST)


def _control(into: Collected, event: Event) -> None:
    known = into.controls.setdefault((str(event["clause"]), str(event["cell"])), {})
    defect = str(event.get("defect"))
    # One that was not caught is never covered by one that was.
    if defect not in known or known[defect].get("caught"):
        known[defect] = event


def _thing(event: Event) -> Key:
    return tuple(str(event.get(name) or "") for name in ("cell", "where", "kind", "name"))


def _created(into: Collected, event: Event) -> None:
    into.created.setdefault(_thing(event), event)


def _deleted(into: Collected, event: Event) -> None:
    into.deleted[_thing(event)] = event


def _left(into: Collected, event: Event) -> None:
    into.left[_thing(event)] = event


def _subject(event: Event) -> Key:
    return str(event.get("cell")), str(event.get("subject") or "sound")


def _step(into: Collected, event: Event) -> None:
    key = (*_subject(event), str(event.get("step")))
    if event.get("state") == "started":
        into.steps_begun.setdefault(key, str(event.get("at", "")))
    into.steps[key] = event


def _timeline(into: Collected, event: Event) -> None:
    entries = into.timeline.setdefault(_subject(event), [])
    if len(entries) < TIMELINE_LIMIT:
        entries.append(event)
    else:
        into.lost["timeline"] += 1


def _vnode_event(into: Collected, event: Event) -> None:
    known = into.vnode_events.setdefault(_subject(event), {})
    key = tuple(str(event.get(name)) for name in ("virtual_node_id", "event_type", "reason", "message"))
    if key in known or len(known) < EVENT_LIMIT:
        known[key] = event
    else:
        into.lost["vnode-event"] += 1


def _diagnosis(into: Collected, event: Event) -> None:
    into.diagnoses[_subject(event)] = event


def _interrupted(into: Collected, event: Event) -> None:
    into.interruptions.append(str(event.get("signal") or ""))


def _problem(into: Collected, event: Event) -> None:
    if len(into.problems) < PROBLEM_LIMIT:
        into.problems.append(event)
    else:
        into.lost["harness-error"] += 1


def _note(into: Collected, event: Event) -> None:
    text = as_text(event.get("text"))
    if text is not None and text not in into.notes:
        into.notes.append(text)


def _run_finished(into: Collected, event: Event) -> None:
    into.finished += 1
    into.exit_statuses.append(int(event.get("exit_status") or 0))


def _torn(into: Collected, event: Event) -> None:
    into.lost[TORN] += 1


_TAKERS: Mapping[str, Any] = {
    "run-started": _run_started,
    "cell-started": _cell_started,
    "cell-finished": _cell_finished,
    "cluster-ready": _cluster_ready,
    "memory": _memory,
    "result": _result,
    "control": _control,
    "created": _created,
    "deleted": _deleted,
    "left": _left,
    "step": _step,
    "timeline": _timeline,
    "vnode-event": _vnode_event,
    "diagnosis": _diagnosis,
    "interrupted": _interrupted,
    "harness-error": _problem,
    "note": _note,
    "run-finished": _run_finished,
    TORN: _torn,
}
