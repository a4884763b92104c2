"""How a row ends in the words of other tools, which know fewer than the suite's eight statuses."""

from __future__ import annotations

from enum import StrEnum

from vnode_suite.model import Level, Status
from vnode_suite.report.types import Report, Row


class End(StrEnum):
    """What a tool that shows test cases is told of a row.

    Advice is a failure that does not count against the verdict: a red case beside a conformant verdict would
    be a lie, and so would be a silent pass.
    """

    PASSED = "passed"
    ADVICE = "advice"
    FAILED = "failed"
    #: Neither passed nor failed, and never to be taken for a pass.
    ERROR = "error"
    SKIPPED = "skipped"


def counts(row: Row, report: Report) -> bool:
    """Whether a failure of *row* counts against the verdict: it is not waived, and no mere SHOULD."""
    return row.waiver is None and (row.level is Level.MUST or report.run.strict_should)


def end_of(row: Row, report: Report) -> End:
    """How *row* ends. An INFO clause that could not run is skipped: it is never judged."""
    if row.status is Status.FAILED:
        return End.FAILED if counts(row, report) else End.ADVICE
    if row.status is Status.COULD_NOT_RUN:
        return End.SKIPPED if row.level is Level.INFO else End.ERROR
    if row.status is Status.ERROR:
        return End.ERROR
    return End.PASSED if row.status in (Status.PASSED, Status.INFO) else End.SKIPPED


def advice(row: Row) -> str:
    """Why a failure does not count, in English."""
    if row.waiver is not None:
        return f"Failed, waived: {row.waiver}"
    return "Failed, but a SHOULD: advice only (--vnode-strict-should makes it reject)."
