"""What pytest saw of an item, and what that means for its clause."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from vnode_suite.connection.run import Run
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.model import Level, Source, Status, Text
from vnode_suite.pytest_plugin.cases import Case
from vnode_suite.pytest_plugin.judging import ClauseFailed, ControlNotCaught, Judge


def record_outcome(
    run: Run, case: Case, report: pytest.TestReport, call: pytest.CallInfo[None], judge: Judge | None
) -> None:
    """Give *report* its status and properties, and write down what no judge could."""
    error = call.excinfo.value if call.excinfo else None
    status = _status(run, case, report.when, error, judge)
    if status is None:
        return
    if isinstance(error, StepNotReached):
        _could_not_run(run, case, report.nodeid, error)
        report.longrepr = f"could not run: {error}"
    elif isinstance(error, ClauseFailed | ControlNotCaught):
        report.longrepr = str(error)
    elif error is not None:
        _harness_error(run, case, report.nodeid, error, judge)
    report.vnode_status = status  # type: ignore[attr-defined]
    if report.when == "call" or status in ("could-not-run", "error"):
        clause = run.catalogue.clause(case.clause)
        report.user_properties += [
            ("clause", clause.id),
            ("level", clause.level.value),
            ("cell", case.cell.id),
            ("status", status),
            *([("defect", case.defect.name)] if case.defect else []),
        ]


def record_lost(run: Run, case: Case, item: str, worker: str | None) -> None:
    """Write down an item that was collected and of which nothing was heard: nothing vanishes.

    :param worker: the one that died with it; ``None`` if no worker was left to run it.
    """
    if worker:
        text = Text(f"the worker {worker} died before it was judged", f"工作进程 {worker} 在判定之前终止")
    else:
        text = Text("no worker was left to run it", "没有可用的工作进程来运行它")
    if case.defect is None:
        _write_result(run, case, item, Status.ERROR, "worker-died", text, needs=None)
    else:
        _write_control(run, case, item, "worker-died", text)


def record_not_run(run: Run, case: Case, item: str) -> None:
    """Write down a case that was not begun, because the run was to stop at a failure."""
    text = Text(
        "The run was stopped at a failure before this clause was looked at.",
        "运行在出现失败后按要求停止，未观测本条款。",
    )
    _write_result(run, case, item, Status.COULD_NOT_RUN, "stopped-at-failure", text, needs=None)


def record_deselected(run: Run, case: Case) -> None:
    """Write down a case that pytest was told to leave out in this cell, and runs in another."""
    text = Text("Left out on the command line.", "命令行未选择。")
    _write_result(run, case, "", Status.OUT_OF_SCOPE, "not-selected", text, needs=None)


def _status(
    run: Run, case: Case, when: str | None, error: BaseException | None, judge: Judge | None
) -> str | None:
    if isinstance(error, StepNotReached):
        return Status.COULD_NOT_RUN.value
    if isinstance(error, ControlNotCaught):
        return "not-caught"
    if isinstance(error, ClauseFailed):
        return Status.FAILED.value
    if error is not None:
        return None if isinstance(error, KeyboardInterrupt) else Status.ERROR.value
    if when != "call" or judge is None or judge.judgement is None:
        return None
    if case.defect is not None:
        return "caught"
    if judge.status is Status.FAILED:
        return "advice" if run.catalogue.clause(case.clause).level is Level.SHOULD else Status.FAILED.value
    return judge.status.value if judge.status else None


def _could_not_run(run: Run, case: Case, item: str, error: StepNotReached) -> None:
    unreached = error.unreached
    reason = Text(
        f"step {unreached.step} was not reached: {unreached.detail.en}",
        f"未到达步骤 {unreached.step}:{unreached.detail.zh}",
    )
    if case.defect is None:
        _write_result(run, case, item, Status.COULD_NOT_RUN, unreached.reason, reason, needs=unreached.step)
    else:
        _write_control(run, case, item, "could-not-run", reason)


def _harness_error(run: Run, case: Case, item: str, error: BaseException, judge: Judge | None) -> None:
    said = f"{type(error).__name__}: {error}"
    text = Text(said, said)
    run.ledger.write("harness-error", where=item, message=said)
    if judge is not None and judge.judgement is not None:
        return
    if case.defect is None:
        _write_result(run, case, item, Status.ERROR, "harness-error", text, needs=None)
    else:
        _write_control(run, case, item, "harness-error", text)


def _write_result(
    run: Run, case: Case, item: str, status: Status, reason: str, actual: Text, *, needs: str | None
) -> None:
    clause = run.catalogue.clause(case.clause)
    remedy: dict[str, Any] | None = clause.remedy.as_dict() if status is Status.ERROR else None
    run.ledger.write(
        "result",
        cell=case.cell.id,
        clause=case.clause,
        status=status.value,
        reason=reason,
        expected=clause.statement.as_dict(),
        actual=actual.as_dict(),
        remedy=remedy,
        observed_at=datetime.now(UTC),
        observed_from=Source.LOCAL.value,
        evidence=[],
        needs=needs,
        item=item,
        seconds=0,
    )


def _write_control(run: Run, case: Case, item: str, observed: str, actual: Text) -> None:
    assert case.defect is not None  # noqa: S101 - narrowing
    run.ledger.write(
        "control",
        cell=case.cell.id,
        clause=case.clause,
        defect=case.defect.name,
        expected_reason=case.defect.reason_for(case.clause),
        observed_reason=observed,
        caught=False,
        expected=run.catalogue.clause(case.clause).statement.as_dict(),
        actual=actual.as_dict(),
        evidence=[],
        item=item,
        seconds=0,
    )
