"""Writes ``report.json``."""

from __future__ import annotations

import json
from pathlib import Path

from vnode_suite.report.document import to_json
from vnode_suite.report.types import Report


def render_json(report: Report) -> str:
    """The report as canonical JSON text: fields in the order of the schema, two spaces, a last newline."""
    return json.dumps(to_json(report), ensure_ascii=False, indent=2) + "\n"


def write_json(report: Report, path: Path) -> Path:
    """Write ``report.json`` to *path*."""
    path.write_text(render_json(report), encoding="utf-8")
    return path
