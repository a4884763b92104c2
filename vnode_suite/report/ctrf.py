"""``ctrf.json``: the rows as a Common Test Report Format document (specification 0.0), one test a clause and cell.

CTRF knows five statuses. A failure that counts, an error and what could not run are ``failed``; advice (a
failed SHOULD, a waived failure) is ``other``; what does not apply or was left out is ``skipped``. ``rawStatus``
has the suite's own word.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from vnode_suite.model import Language, Result, Text
from vnode_suite.report.endings import End, end_of
from vnode_suite.report.types import Report, Row

SPECIFICATION: Final = "0.0.0"
_STATUSES: Final = {
    End.PASSED: "passed",
    End.ADVICE: "other",
    End.FAILED: "failed",
    End.ERROR: "failed",
    End.SKIPPED: "skipped",
}
#: Of CTRF's statuses, those that the summary counts.
_COUNTED: Final = ("passed", "failed", "skipped", "pending", "other")


def to_ctrf(report: Report, language: Language = "en") -> dict[str, Any]:
    """The report as CTRF has it; times are in milliseconds."""
    titles = {clause.id: clause.title.of(language) for clause in report.clauses}
    tests = [_test(report, row, titles.get(row.clause, row.clause), language) for row in report.results]
    tally = Counter(test["status"] for test in tests)
    started, stopped = _milliseconds(report.run.started), _milliseconds(report.run.finished)
    return {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "reportId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:vnode-suite:run:{report.run.id}")),
        "runId": report.run.id,
        "timestamp": report.run.finished or "1970-01-01T00:00:00Z",
        "generatedBy": f"vnode-suite {report.run.suite_version}",
        "results": {
            "tool": {"name": "vnode-suite", "version": report.run.suite_version},
            "summary": {
                "tests": len(tests),
                **{name: tally[name] for name in _COUNTED},
                "suites": len(report.cells),
                "start": started,
                "stop": stopped,
                "duration": stopped - started,
                "extra": {
                    "verdict": report.verdict.result.value,
                    "exit_status": report.verdict.exit_status,
                    "accepted": report.verdict.accepted,
                    "scope": report.verdict.scope.of(language),
                },
            },
            "tests": tests,
            "environment": {
                "appName": "ECI VNode",
                "testEnvironment": f"{report.run.cloud}, {report.run.region}",
                "osPlatform": str(report.environment.get("platform", "")),
                "healthy": report.verdict.result is Result.CONFORMANT,
            },
        },
    }


def write_ctrf(report: Report, path: Path, language: Language = "en") -> Path:
    """Write ``ctrf.json`` to *path*."""
    text = json.dumps(to_ctrf(report, language), ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _test(report: Report, row: Row, title: str, language: Language) -> dict[str, Any]:
    cell = report.cell(row.cell)
    test: dict[str, Any] = {
        "testId": f"{row.cell}/{row.clause}",
        "name": f"{row.clause} {title}",
        "status": _STATUSES[end_of(row, report)],
        "rawStatus": row.status.value,
        "duration": round(row.seconds * 1000),
        "suite": [row.cell, row.clause.partition("-")[0]],
        "labels": {
            "clause": row.clause,
            "level": row.level.value,
            "basis": row.basis.value,
            "version": cell.server_version or cell.version,
            "identity": cell.identity,
            "evidence": row.grade.value if row.grade else "none",
            "control": row.control,
        },
    }
    if end_of(row, report) is not End.PASSED and row.actual is not None:
        test["message"] = row.actual.of(language)
    if row.status.value == "failed":
        test["trace"] = _trace(row, language)
    if row.waiver is not None:
        test["extra"] = {"waiver": row.waiver}
    return test


def _trace(row: Row, language: Language) -> str:
    said: list[tuple[str, Text | None]] = [("expected", row.expected), ("actual", row.actual)]
    said.append(("remedy", row.remedy))
    return "\n".join(f"{name}: {text.of(language)}" for name, text in said if text is not None)


def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000) if at else 0
