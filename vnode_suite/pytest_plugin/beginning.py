"""What a run writes down when it begins: what was asked for, of which cells, and what it leaves out."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

from vnode_suite.connection.cloud import REAL_CLIENT_TIMEOUT, SIMULATED_CLIENT_TIMEOUT
from vnode_suite.connection.run import Run
from vnode_suite.data.waivers import load_waivers
from vnode_suite.model import Clause, Cloud, Text
from vnode_suite.pytest_plugin.cases import (
    CONTROLS_TAKE_TURNS,
    FAILURES_TAKE_TURNS,
    Case,
    Casebook,
    controls_left_out,
)
from vnode_suite.pytest_plugin.outcomes import record_deselected

_NO_SCENARIO = Text("this build of the suite has no scenario for it yet", "本版本套件尚无对应场景")

#: The clause whose VNodes fail by one of several causes each.
_FURTHER_FAILURES = "EVENT-04"


def tell_the_beginning(run: Run, casebook: Casebook, arguments: Sequence[object]) -> None:
    """Write ``run-started``, and a result for each case that was deselected in a cell that is run.

    :param arguments: what pytest was called with.
    """
    settings, wanted = run.settings, run.wanted
    scope = settings.scope
    judged = {clause for cases in wanted.values() for clause, defect in cases if defect is None}
    deselected = _deselected(run, casebook)
    run.ledger.write(
        "run-started",
        run_id=run.id,
        argv=["pytest", *arguments],
        suite_version=_suite_version(),
        page_revision=scope.page_revision,
        profile=scope.profile.value,
        cloud=settings.cloud.cloud.value,
        eci_endpoint=settings.cloud.endpoint,
        faults=[dict(fault) for fault in settings.cloud.faults],
        site=settings.cluster.site,
        controls=scope.controls,
        controls_take_turns=casebook.takes_turns,
        selection=sorted(judged) if deselected else list(scope.selection) or None,
        language=settings.report.language,
        strict_should=scope.strict_should,
        region=settings.cloud.region,
        cells=[
            {"cell": c.id, "version": c.version, "identity": c.identity.value, "provider": c.provider.value}
            for c in settings.cells
            if c.id in wanted or not wanted
        ],
        out_of_scope={clause.id: why.as_dict() for clause, why in _out_of_scope(casebook, judged)},
        client_timeout_scale=None
        if settings.cloud.cloud is Cloud.LIVE
        else {"real_seconds": REAL_CLIENT_TIMEOUT, "simulated_seconds": SIMULATED_CLIENT_TIMEOUT},
        environment={
            "python": platform.python_version(),
            "platform": platform.platform(terse=True),
            "packages": _packages(),
        },
        waivers=_waivers(run, casebook),
    )
    for case in deselected:
        if case.cell.id in wanted and case.clause in judged:
            record_deselected(run, case)
    if casebook.takes_turns:
        run.ledger.write("note", text=CONTROLS_TAKE_TURNS)
    if settings.takes_turns and _FURTHER_FAILURES in judged:
        run.ledger.write("note", text=FAILURES_TAKE_TURNS)
    if missing := casebook.controls_not_to_be_had():
        run.ledger.write("note", text=controls_left_out(missing, settings.cloud.cloud))
    for name in scope.defects:
        seen_by = tuple(dict(run.defects.defect(name).fails))
        if judged.isdisjoint(seen_by):
            run.ledger.write("note", text=_not_noticed(name, seen_by))


def _not_noticed(defect: str, clauses: Sequence[str]) -> Text:
    """A defect asked for that no clause of this run can notice: a conformant verdict says nothing of it."""
    names = ", ".join(clauses)
    return Text(
        f"--vnode-defect {defect}: nothing that this run judges can notice it; {names} would, with another profile, "
        "identity or selection",
        f"--vnode-defect {defect}:本次运行判定的条款均无法发现该缺陷;更换 profile、身份或条款选择后,{names} 可以发现",
    )


def _suite_version() -> str:
    try:
        return version("vnode-suite")
    except PackageNotFoundError:
        return "source"


def _packages() -> dict[str, str]:
    """Version of every distribution that is installed beside the suite, by name."""
    # Read once each: every look at the metadata parses the file.
    found = {str(read["Name"]): str(read["Version"]) for read in (each.metadata for each in distributions())}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _deselected(run: Run, casebook: Casebook) -> list[Case]:
    """What this run could judge, and a path, ``-k`` or ``-m`` left out."""
    if not run.wanted:
        return []
    looks = _looks()
    return [
        case
        for clause in casebook.catalogue.clauses
        if clause.id in looks
        for case in casebook.cases(clause)
        if case.defect is None and (clause.id, None) not in run.wanted.get(case.cell.id, ())
    ]


def _waivers(run: Run, casebook: Casebook) -> list[dict[str, Any]]:
    path = run.settings.scope.waivers
    if path is None:
        return []
    clauses = [clause.id for clause in casebook.catalogue.clauses]
    cells = [cell.id for cell in run.settings.cells]
    return [dict(waiver.as_dict()) for waiver in load_waivers(path, clauses=clauses, cells=cells)]


def _out_of_scope(casebook: Casebook, judged: set[str]) -> Iterator[tuple[Clause, Text]]:
    yield from ((clause, _NO_SCENARIO) for clause in _without_scenario(casebook, judged))
    for clause in casebook.catalogue.clauses:
        if (why := casebook.withheld(clause)) is not None:
            yield clause, why


def _without_scenario(casebook: Casebook, judged: set[str]) -> list[Clause]:
    """Clauses that are in scope and apply somewhere, and that no scenario of this build judges."""
    looks = _looks()
    return [
        clause
        for clause in casebook.catalogue.clauses
        if clause.id not in judged
        and clause.excluded is None
        and any(True for _ in casebook.cases(clause))
        and clause.id not in looks
    ]


def _looks() -> frozenset[str]:
    from vnode_suite.connection.observing.registry import LOOKS

    return frozenset(LOOKS)
