"""What a report holds, as programs read it: one data class for each object of ``report.json``.

Sentences are `Text` here. In the file the English stands under the field's name and the Chinese under
``zh.<name>`` beside it (`vnode_suite.report.codec`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vnode_suite.model import Basis, Grade, Level, Result, Status, Text

#: Name of the format; a change that breaks readers has another number.
SCHEMA = "vnode-suite/report/v1"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A named excerpt, without secrets."""

    name: str
    text: str
    #: ``text``, ``json`` or ``yaml``.
    form: str = "text"


@dataclass(frozen=True, slots=True)
class TimeoutScale:
    """A wait of the simulated side that was made shorter than the service's own, in seconds."""

    real_seconds: float
    simulated_seconds: float


@dataclass(frozen=True, slots=True)
class Page:
    """The page that the clauses come from."""

    revision: str
    address: str = ""
    #: ISO date of that revision.
    date: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for, and when."""

    id: str
    #: RFC 3339; empty where no event tells it.
    started: str
    #: Time of the last event, where the run did not end in order.
    finished: str
    argv: tuple[str, ...]
    suite_version: str
    page_revision: str
    profile: str
    #: ``emulator``, ``live`` or ``replay``.
    cloud: str
    #: ``ecs`` or ``idc``.
    site: str
    region: str
    #: Whether negative controls were asked for.
    controls: bool
    #: Clause ids or chapters; None: all.
    selection: tuple[str, ...] | None
    strict_should: bool
    #: ``en`` or ``zh``.
    language: str
    client_timeout_scale: TimeoutScale | None
    #: Whether the run said that it was over.
    ended: bool
    #: Exit status that the run itself ended with, before the verdict was drawn.
    exit_status: int | None
    #: Ids of the runs that were merged into this one; empty: it is one run.
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver, and what became of it."""

    clause: str
    #: A cell's id, or ``*``.
    cell: str
    reason: str
    owner: str
    #: ISO date.
    expires: str
    #: ``used``, ``stale`` (nothing left to waive), ``expired`` or ``idle`` (its clause was not judged).
    state: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run as a whole says."""

    result: Result
    exit_status: int
    #: The weakest of the judged rows; None where nothing was judged.
    evidence: Grade | None
    #: True only for a conformant live run of profile standard or more, of every clause, that left nothing
    #: behind.
    accepted: bool
    scope: Text
    profile: str
    waivers: tuple[WaiverUse, ...]
    reasons: tuple[Text, ...]
    #: Rows by status.
    counts: dict[str, int]
    #: What this run does not prove.
    limits: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations of one cell, in seconds."""

    #: From nothing to a usable control plane, by component (``etcd``, ..., ``usable``).
    control_plane: dict[str, float] = field(default_factory=dict)
    #: From the creating call to the Node's Ready.
    ready_seconds: float | None = None
    #: The whole cell.
    total_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CellReport:
    """One column of the matrix."""

    id: str
    #: As asked for: ``1.19`` or ``1.19.16``.
    version: str
    #: As the API server gave it; empty where it never answered.
    server_version: str
    identity: str
    provider: str
    conditions: tuple[str, ...]
    grade: Grade | None
    #: Where the API server came from: binaries and checksums, or the given context.
    provenance: dict[str, Any]
    timings: Timings
    #: Proportional set size in bytes, by process, at its highest.
    memory: dict[str, int]
    finished: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One clause in one cell."""

    clause: str
    level: Level
    basis: Basis
    cell: str
    status: Status
    #: Why the waiver that stands beside the status was given; None: not waived.
    waiver: str | None
    grade: Grade | None
    #: Machine-readable.
    reason: str
    expected: Text | None
    actual: Text | None
    remedy: Text | None
    observed_at: str
    #: ``cloud``, ``cluster``, ``network`` or ``local``; empty where nothing was observed.
    observed_from: str
    evidence: tuple[Evidence, ...]
    #: The step whose absence made it could-not-run.
    needs: str | None
    #: pytest's name of the item.
    item: str
    seconds: float
    #: ``caught``, ``missed``, ``not-run`` or ``none-possible``: its negative controls in this cell.
    control: str


@dataclass(frozen=True, slots=True)
class Control:
    """A negative control: the same check on a twin that is wrong in one way."""

    clause: str
    cell: str
    defect: str
    expected_reason: str
    observed_reason: str
    caught: bool
    expected: Text | None
    actual: Text | None
    evidence: tuple[Evidence, ...]
    item: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that the run made."""

    cell: str
    kind: str
    name: str
    #: ``cloud``, ``cluster`` or ``local``.
    where: str
    id: str
    #: Why it was left; empty for what was deleted.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What was made and what became of it."""

    created: tuple[Thing, ...]
    deleted: tuple[Thing, ...]
    left: tuple[Thing, ...]
    #: Made, and neither deleted nor said to be left: after an interruption it may still be there.
    unaccounted: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What the run's VNodes took of what ECI bills: resources and time, never money (`vnode_suite.eci.billing`)."""

    #: ``billed`` (live) or ``emulated``: the same resources for as long would be billed.
    basis: str
    virtual_nodes: int
    #: That VNodes existed, all together, by the ledger: from the answer to the creating call to the deletion.
    seconds: float
    #: Of the resident nodes.
    vcpu_hours: float
    gib_hours: float
    note: Text


@dataclass(frozen=True, slots=True)
class ClauseInfo:
    """A clause as the catalogue of this run's page revision has it."""

    id: str
    level: Level
    basis: Basis
    profile: str
    page_section: Text
    title: Text
    statement: Text
    observed: Text
    remedy: Text
    excluded: Text | None
    no_control: Text | None
    note: Text | None

    @property
    def chapter(self) -> str:
        """``DS`` of ``DS-02``."""
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class StepReport:
    """How a step of connecting one VNode ended."""

    cell: str
    #: ``sound``, or the defect's name.
    subject: str
    step: str
    #: ``reached``, ``unreached``, or ``started`` where it never ended.
    state: str
    reason: str
    detail: Text | None
    #: When it ended.
    at: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened while a VNode joined."""

    cell: str
    subject: str
    #: ``cloud``, ``cluster``, ``network`` or ``suite``.
    lane: str
    at: str
    #: Whose clock told the time.
    clock: str
    text: Text
    #: ``normal`` or ``warning``.
    severity: str
    #: The step whose end this tells more exactly; empty: none.
    step: str = ""


@dataclass(frozen=True, slots=True)
class VNodeEvent:
    """An event that the service reports of a VNode."""

    cell: str
    subject: str
    virtual_node_id: str
    event_type: str
    reason: str
    message: str
    count: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The harness failed at something; it says nothing about the VNode."""

    at: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, as ``report.json`` has it."""

    schema: str
    run: Run
    page: Page
    verdict: Verdict
    cells: tuple[CellReport, ...]
    results: tuple[Row, ...]
    controls: tuple[Control, ...]
    cleanup: Cleanup
    cost: Cost | None
    environment: dict[str, Any]
    #: SHA-256 of the files that were there before this one, by path within the run's folder.
    digests: dict[str, str]
    clauses: tuple[ClauseInfo, ...]
    steps: tuple[StepReport, ...]
    timeline: tuple[TimelineEntry, ...]
    vnode_events: tuple[VNodeEvent, ...]
    diagnoses: tuple[dict[str, Any], ...]
    problems: tuple[Problem, ...]
    #: Signals that ended the run early.
    interruptions: tuple[str, ...]
    notes: tuple[Text, ...]
    #: How often each kind of secret was taken out of what entered the ledger.
    redactions: dict[str, int]

    def cell(self, id_: str) -> CellReport:
        """The cell with this id (KeyError if there is none)."""
        for cell in self.cells:
            if cell.id == id_:
                return cell
        raise KeyError(id_)
