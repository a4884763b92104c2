"""What a run kept on request, said at its end with how it is reached and how it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vnode_suite.connection.keeping import REMOVAL
from vnode_suite.model import Language
from vnode_suite.report.types import Report, Thing

#: Kinds that are told one by one; of the others, how many.
_NAMED = ("control plane", "VirtualNode", "Pod")


class KeptLines:
    """Adds its lines below the summary; registered with every acceptance run.

    :param report: the report, once it is rendered.
    """

    def __init__(self, report: Callable[[], Report | None], language: Language) -> None:
        self._report = report
        self._language = language

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What stays, and the command that takes it away."""
        report = self._report()
        if report is not None:
            for line in kept_lines(report, self._language):
                terminalreporter.write_line(line)


def kept_lines(report: Report, language: Language) -> Iterator[str]:
    """The lines for *report*; none where nothing was kept."""
    kept = [thing for thing in report.cleanup.left if thing.reason.startswith("kept: --vnode-keep")]
    if not kept:
        return
    chinese = language == "zh"
    yield f"按要求保留(用 {REMOVAL} 清除):" if chinese else f"kept on request ({REMOVAL} takes it away):"
    for thing in sorted((one for one in kept if one.kind in _NAMED), key=lambda one: _NAMED.index(one.kind)):
        yield f"  {thing.kind} {_described(thing)}"
    others = Counter(thing.kind for thing in kept if thing.kind not in _NAMED)
    if others:
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        yield f"  {'另有' if chinese else 'besides'}: {counted}"


def _described(thing: Thing) -> str:
    return f"{thing.name} ({thing.id})" if thing.id else thing.name
