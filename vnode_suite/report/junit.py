"""``junit.xml``: one test case for each clause and cell, one suite for each cell.

GitLab, Jenkins and GitHub know four ends of a test case; the suite's eight statuses are told by them so:

- failed: ``<failure>``, but only where it counts against the verdict. A failed SHOULD without
  ``--vnode-strict-should``, and a waived failure, are advice: the case passes, and says so in the property
  ``vnode.status`` and in its output, since a red case beside a conformant verdict would be a lie.
- could-not-run, error: ``<error>``; never a pass. An INFO clause that could not run is skipped: it is never
  judged.
- not-applicable, out-of-scope, excluded: ``<skipped>`` with the reason.
- passed, info: a case that passes, ``info`` with the property ``vnode.status``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from vnode_suite.model import Language, Text
from vnode_suite.report.endings import End, advice, end_of
from vnode_suite.report.types import CellReport, Report, Row

#: Characters that XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\\u0009\\u000a\\u000d\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
#: Most characters of evidence in one case; the whole is in the report.
EVIDENCE_LIMIT = 4000
#: Element of each end that is no pass.
_ELEMENTS = {End.FAILED: "failure", End.ERROR: "error", End.SKIPPED: "skipped"}


def render_junit(report: Report, language: Language = "en") -> str:
    """The report as JUnit XML."""
    titles = {clause.id: clause.title.of(language) for clause in report.clauses}
    root = ET.Element("testsuites", name="vnode-suite")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    seconds = 0.0
    for cell in report.cells:
        rows = [row for row in report.results if row.cell == cell.id]
        suite = _suite(report, cell, rows, titles, language)
        root.append(suite)
        for name in totals:
            totals[name] += int(suite.attrib[name])
        seconds += float(suite.attrib["time"])
    root.attrib.update({name: str(count) for name, count in totals.items()}, time=f"{seconds:.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write_junit(report: Report, path: Path, language: Language = "en") -> Path:
    """Write ``junit.xml`` to *path*."""
    path.write_text(render_junit(report, language), encoding="utf-8")
    return path


def _suite(
    report: Report, cell: CellReport, rows: list[Row], titles: dict[str, str], language: Language
) -> ET.Element:
    cases = [_case(report, row, titles.get(row.clause, row.clause), language) for row in rows]
    suite = ET.Element(
        "testsuite",
        name=f"vnode-suite.{cell.id}",
        tests=str(len(cases)),
        failures=str(_having(cases, "failure")),
        errors=str(_having(cases, "error")),
        skipped=str(_having(cases, "skipped")),
        time=f"{sum(row.seconds for row in rows):.3f}",
        # Without fraction and zone, as the common schema has it.
        timestamp=report.run.started[:19],
        hostname="localhost",
    )
    _properties(
        suite,
        {
            "vnode.verdict": report.verdict.result.value,
            "vnode.scope": report.verdict.scope.of(language),
            "vnode.version": cell.version,
            "vnode.server_version": cell.server_version,
            "vnode.identity": cell.identity,
            "vnode.provider": cell.provider,
            "vnode.page_revision": report.run.page_revision,
        },
    )
    suite.extend(cases)
    return suite


def _having(cases: Iterable[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def _case(report: Report, row: Row, title: str, language: Language) -> ET.Element:
    case = ET.Element(
        "testcase",
        name=_clean(f"{row.clause} {title}"),
        classname=f"vnode-suite.{row.cell}",
        time=f"{row.seconds:.3f}",
    )
    _properties(case, _facts(report, row))
    end = end_of(row, report)
    if end in _ELEMENTS:
        message = _of(row.actual, language) or row.reason or row.status.value
        element = ET.SubElement(
            case, _ELEMENTS[end], message=_clean(message.splitlines()[0] if message else "")
        )
        element.set("type", row.reason or row.status.value)
        if end is not End.SKIPPED:
            element.text = _clean(_body(row, language))
    elif end is End.ADVICE:
        ET.SubElement(case, "system-out").text = _clean(f"{advice(row)}\n{_body(row, language)}")
    return case


def _facts(report: Report, row: Row) -> dict[str, str]:
    cell = report.cell(row.cell)
    return {
        "vnode.clause": row.clause,
        "vnode.status": row.status.value,
        "vnode.level": row.level.value,
        "vnode.basis": row.basis.value,
        "vnode.version": cell.server_version or cell.version,
        "vnode.identity": cell.identity,
        "vnode.evidence": row.grade.value if row.grade else "",
        "vnode.reason": row.reason,
        "vnode.observed_from": row.observed_from,
        "vnode.control": row.control,
        "vnode.waiver": row.waiver or "",
    }


def _properties(parent: ET.Element, facts: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in facts.items():
        if value:
            ET.SubElement(properties, "property", name=name, value=_clean(value))


def _body(row: Row, language: Language) -> str:
    lines = [
        f"expected: {_of(row.expected, language)}",
        f"actual: {_of(row.actual, language)}",
        f"remedy: {_of(row.remedy, language)}" if row.remedy else "",
        f"needs step: {row.needs}" if row.needs else "",
    ]
    for evidence in row.evidence:
        lines += ["", f"--- {evidence.name}", evidence.text]
    return "\n".join(line for line in lines if line is not None)[:EVIDENCE_LIMIT]


def _of(text: Text | None, language: Language) -> str:
    return text.of(language) if text is not None else ""


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
