"""``report.json``: built from the events, written, and read back as typed objects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.core.ledger import Event
from vnode_suite.data.catalogue import Catalogue
from vnode_suite.eci.billing import RESIDENT_MEMORY_GIB, RESIDENT_VCPU, CostBasis
from vnode_suite.model import Clause, Grade, Text
from vnode_suite.report.codec import decode, encode
from vnode_suite.report.collect import Collected, as_text, collect, seconds_between
from vnode_suite.report.limits import lost
from vnode_suite.report.rows import controls
from vnode_suite.report.types import (
    SCHEMA,
    CellReport,
    ClauseInfo,
    Cleanup,
    Cost,
    Page,
    Problem,
    Report,
    Run,
    StepReport,
    Thing,
    TimelineEntry,
    TimeoutScale,
    Timings,
    VNodeEvent,
)
from vnode_suite.report.verdict import judge

#: Names of the step that ends with the Node's Ready, and of the one that begins with the creating call.
READY_STEPS = ("ready", "node-ready")
CREATING_STEPS = ("vnode", "create")


def build(
    events: Iterable[Event] | Collected, catalogue: Catalogue, digests: dict[str, str] | None = None
) -> Report:
    """The whole report of the run that *events* tell of.

    :param digests: SHA-256 by path of files that are already there (the ledger, evidence).
    """
    told = events if isinstance(events, Collected) else collect(events)
    judged = judge(told, catalogue)
    return Report(
        schema=SCHEMA,
        run=_run(told),
        page=Page(catalogue.revision, catalogue.page_url, catalogue.page_date),
        verdict=judged.verdict,
        cells=tuple(_cell(told, id_) for id_ in told.cells),
        results=judged.rows,
        controls=controls(told),
        cleanup=_cleanup(told),
        cost=_cost(told),
        environment=dict(told.run.get("environment") or {}),
        digests=dict(digests or {}),
        clauses=tuple(_clause(clause) for clause in catalogue.clauses),
        steps=tuple(_step(event) for event in told.steps.values()),
        timeline=tuple(_entry(event) for entries in told.timeline.values() for event in entries),
        vnode_events=tuple(
            _vnode_event(event) for known in told.vnode_events.values() for event in known.values()
        ),
        diagnoses=tuple(_without_envelope(event) for event in told.diagnoses.values()),
        problems=tuple(
            Problem(str(event.get("at", "")), str(event.get("where") or ""), str(event.get("message") or ""))
            for event in told.problems
        ),
        interruptions=tuple(told.interruptions),
        notes=(*told.notes, *lost(told)),
        redactions=dict(told.redactions),
    )


def _run(told: Collected) -> Run:
    run = told.run
    scale = run.get("client_timeout_scale")
    selection = run.get("selection")
    merged = tuple(dict.fromkeys(str(each.get("run_id", "")) for each in told.runs))
    return Run(
        id=str(run.get("run_id") or "unknown"),
        started=told.first_at,
        finished=told.last_at,
        argv=tuple(str(word) for word in run.get("argv") or ()),
        suite_version=str(run.get("suite_version") or ""),
        page_revision=str(run.get("page_revision") or ""),
        profile=str(run.get("profile") or "standard"),
        cloud=str(run.get("cloud") or "emulator"),
        site=str(run.get("site") or "ecs"),
        region=str(run.get("region") or ""),
        controls=bool(run.get("controls")),
        selection=tuple(str(item) for item in selection) if selection else None,
        strict_should=bool(run.get("strict_should")),
        language=str(run.get("language") or "en"),
        client_timeout_scale=decode(TimeoutScale, scale) if isinstance(scale, dict) else None,
        ended=told.ended_in_order,
        exit_status=told.exit_statuses[-1] if told.exit_statuses else None,
        merged=merged if len(merged) > 1 else (),
    )


def _cell(told: Collected, id_: str) -> CellReport:
    info = told.cells[id_]
    version = str(info.get("version") or "")
    cluster = told.clusters.get(version, {})
    return CellReport(
        id=id_,
        version=version,
        server_version=str(cluster.get("server_version") or ""),
        identity=str(info.get("identity") or ""),
        provider=str(info.get("provider") or cluster.get("provider") or ""),
        conditions=tuple(str(item) for item in info.get("conditions") or ()),
        grade=Grade(info["grade"]) if info.get("grade") in set(Grade) else None,
        provenance=dict(cluster.get("provenance") or {}),
        timings=Timings(
            control_plane={str(name): float(value) for name, value in (cluster.get("timings") or {}).items()},
            ready_seconds=_ready_seconds(told, id_),
            total_seconds=told.cell_seconds.get(id_),
        ),
        memory=dict(told.memory.get(version, {})),
        finished=id_ in told.cell_seconds,
    )


def _ready_seconds(told: Collected, cell: str) -> float | None:
    """From the creating call to Ready: by the moments of the join, by the two steps' times, or the ready step's own."""
    told_at = {
        str(event.get("step") or event.get("lane")): str(event.get("happened_at") or event.get("at") or "")
        for event in reversed(told.timeline.get((cell, "sound"), ()))
    }
    # The call's is the only moment in the cloud that tells no step's end.
    if told_at.get("ready") and told_at.get("cloud"):
        return seconds_between(told_at["cloud"], told_at["ready"])
    for name in READY_STEPS:
        ready = told.steps.get((cell, "sound", name), {})
        if ready.get("state") != "reached":
            continue
        for creating in CREATING_STEPS:
            if begun := told.steps_begun.get((cell, "sound", creating)):
                return seconds_between(begun, str(ready.get("at", "")))
        return float(ready.get("seconds") or 0.0)
    return None


def _cleanup(told: Collected) -> Cleanup:
    return Cleanup(
        created=tuple(_thing(event) for event in told.created.values()),
        deleted=tuple(_thing(event) for event in told.deleted.values()),
        left=tuple(_thing(event) for event in told.left.values()),
        unaccounted=tuple(
            _thing(event)
            for key, event in told.created.items()
            if key not in told.deleted and key not in told.left
        ),
    )


def _cost(told: Collected) -> Cost | None:
    """By the ledger: a VNode that was not seen to go existed until the last event."""
    made = {key: event for key, event in told.created.items() if event.get("kind") == "VirtualNode"}
    if not made:
        return None
    seconds = sum(
        seconds_between(
            str(event.get("at", "")), str(told.deleted.get(key, {}).get("at", "")) or told.last_at
        )
        for key, event in made.items()
    )
    basis = CostBasis(len(made), round(seconds, 1))
    live = told.run.get("cloud") == "live"
    each = f"{RESIDENT_VCPU:g} vCPU, {RESIDENT_MEMORY_GIB:g} GiB"
    return Cost(
        basis="billed" if live else "emulated",
        virtual_nodes=basis.virtual_nodes,
        seconds=basis.seconds,
        vcpu_hours=round(basis.vcpu_hours, 4),
        gib_hours=round(basis.gib_hours, 4),
        note=Text(
            f"A VNode is billed by the second as a resident ECI instance of {each}, at the region's price; Pods on "
            f"it come on top.{'' if live else ' This run was emulated: nothing was billed.'}",
            f"每个 VNode 按秒计费，等同一个常驻 ECI 实例（{each}），单价以所在地域为准；其上的 Pod 另计。"
            f"{'' if live else '本次运行为模拟，未产生费用。'}",
        ),
    )


def _thing(event: Event) -> Thing:
    return Thing(
        **{name: str(event.get(name) or "") for name in ("cell", "kind", "name", "where", "id", "reason")}
    )


def _clause(clause: Clause) -> ClauseInfo:
    return ClauseInfo(**{name: getattr(clause, name) for name in ClauseInfo.__dataclass_fields__})


def _step(event: Event) -> StepReport:
    return StepReport(
        cell=str(event.get("cell") or ""),
        subject=str(event.get("subject") or "sound"),
        step=str(event.get("step") or ""),
        state=str(event.get("state") or ""),
        reason=str(event.get("reason") or ""),
        detail=as_text(event.get("detail")),
        at=str(event.get("at") or ""),
        seconds=float(event.get("seconds") or 0.0),
    )


def _entry(event: Event) -> TimelineEntry:
    text = as_text(event.get("text"))
    return TimelineEntry(
        cell=str(event.get("cell") or ""),
        subject=str(event.get("subject") or "sound"),
        lane=str(event.get("lane") or "suite"),
        at=str(event.get("happened_at") or event.get("at") or ""),
        clock=str(event.get("clock") or ""),
        text=text if text is not None else as_text("—"),  # type: ignore[arg-type]
        severity=str(event.get("severity") or "normal"),
        step=str(event.get("step") or ""),
    )


def _vnode_event(event: Event) -> VNodeEvent:
    words = ("cell", "virtual_node_id", "event_type", "reason", "message", "first", "last")
    return VNodeEvent(
        subject=str(event.get("subject") or "sound"),
        count=int(event.get("count") or 1),
        **{name: str(event.get(name) or "") for name in words},
    )


def _without_envelope(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("seq", "shard", "type", "redacted")}


def to_json(report: Report) -> dict[str, Any]:
    """The report as ``report.json`` has it."""
    data: dict[str, Any] = encode(report)
    return data


def load(path: Path) -> Report:
    """Read a report back.

    :param path: a ``report.json``, or the folder of a run.
    :raises UsageError: there is none, or it is of another format.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"no report can be read from {file.name}", found=type(error).__name__) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise UsageError(f"{file.name} is of another format", wanted=SCHEMA, found=str(found))
    try:
        return decode(Report, data)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{file.name} does not follow its schema", wanted=SCHEMA, found=str(error)
        ) from error


def schema(name: str = "report.v1") -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a report, or of the ledger's events (``events.v1``)."""
    file = resources.files("vnode_suite.data") / "schemas" / f"{name}.schema.json"
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data
