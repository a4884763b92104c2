"""What a run shows on the terminal: live progress instead of pytest's dots, and the summary at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pytest

from vnode_suite.core.ledger import Event, Ledger
from vnode_suite.model import Language, Text
from vnode_suite.pytest_plugin.cases import Case
from vnode_suite.report.progress import LiveProgress
from vnode_suite.report.render import Rendered
from vnode_suite.report.terminal import colour_wanted, summary


class Screen:
    """A plugin beside the run's own: what it shows, and what pytest shows besides.

    :param silent: show nothing: a worker, whose controller does.
    """

    def __init__(self, config: pytest.Config, language: Language, *, silent: bool) -> None:
        self._config = config
        self._language: Language = language
        self._silent = silent
        self._progress: LiveProgress | None = None
        #: Set when the report was written; without it there is no summary.
        self.rendered: Rendered | None = None

    @contextmanager
    def shown(self, ledger: Ledger) -> Iterator[None]:
        """Show what enters *ledger* for as long as the block lasts."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if self._silent or reporter is None:
            yield
            return
        verbosity = self._config.get_verbosity()
        if verbosity <= 0:
            # Progress says it all; dots and file names between its lines would only tear it apart.
            reporter.showfspath = False
        with LiveProgress(self.stream(), self._language, verbosity=verbosity) as progress:
            self._progress = progress
            # Also what comes after the block, while everything is closed.
            ledger.subscribe(self._tell)
            yield

    def _tell(self, event: Event) -> None:
        if self._progress is not None:
            self._progress(event)

    def judging(self, item: str, case: Case) -> None:
        """Tell what the run waits for, if it has to wait: what *item* judges."""
        if self._progress is not None:
            twin = case.defect.name if case.defect else ""
            clause = case.clause
            what = Text(f"{clause} on {twin}", f"缺陷 {twin} 的 {clause}") if twin else Text(clause, clause)
            self._progress.judging(item, case.cell.id, what)

    def judged(self, item: str) -> None:
        """It has its answer."""
        if self._progress is not None:
            self._progress.judged(item)

    def stream(self) -> TextIO:
        """Where to write: the terminal's own stream, even while pytest captures what tests write."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        return _beside_capture(reporter._tw._file) if reporter else sys.stderr

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Our own categories; silent where the progress lines say it already."""
        status = getattr(report, "vnode_status", None)
        if status is None:
            return None
        quiet = self._progress is not None and self._config.get_verbosity() <= 0
        return status, "" if quiet else status[0], "" if quiet else status.upper()

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The verdict and what to do, on one screen."""
        if self.rendered is None:
            return
        text = summary(
            self.rendered.report,
            self._language,
            colour=colour_wanted(terminalreporter._tw._file),
            where=os.path.relpath(self.rendered.folder),
        )
        terminalreporter.ensure_newline()
        terminalreporter.write_line(text)


def _beside_capture(stream: TextIO) -> TextIO:
    """A stream of one's own to where *stream* leads now, while pytest captures nothing.

    During a test what goes to *stream* itself is captured, and most of what there is to tell happens then.
    """
    try:
        number = os.dup(stream.fileno())
    except (OSError, ValueError):
        return stream
    return os.fdopen(number, "w", buffering=1, encoding=stream.encoding, errors="replace")
