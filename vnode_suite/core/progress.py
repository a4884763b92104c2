"""Progress of long work, told to whoever looks: a moving bar on a terminal, a line now and then elsewhere.

The work itself only knows the two small protocols; which of them draws is decided once, by
`progress_for`, from whether standard error is a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich import progress as bars


class Task(Protocol):
    """One piece of work whose end is in sight."""

    def advance(self, amount: float = 1) -> None:
        """So much more is done, in the task's unit."""

    def describe(self, label: str) -> None:
        """What is being done now."""

    def expect(self, total: float) -> None:
        """The amount at which the task will be done, when it becomes known only later."""


class Progress(Protocol):
    """Where work is shown while it lasts."""

    def task(self, label: str, total: float | None = None, *, unit: str = "") -> AbstractContextManager[Task]:
        """Begin a task; it ends with the `with` block.

        :param label: what is done, for a person.
        :param total: the amount at which it is done; None where that is unknown.
        :param unit: what is counted, as in "packages"; "B" is shown as MiB.
        """


class _SilentTask:
    def advance(self, amount: float = 1) -> None:
        """Shows nothing."""

    def describe(self, label: str) -> None:
        """Shows nothing."""

    def expect(self, total: float) -> None:
        """Shows nothing."""


class SilentProgress:
    """Shows nothing: for programs and tests."""

    @contextmanager
    def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
        """A task that nobody watches."""
        yield _SilentTask()


#: A reader of a CI log wants a sign of life, not a page of them.
LINE_INTERVAL_SECONDS = 10.0


class _LineTask:
    def __init__(self, stream: TextIO, label: str, total: float | None, unit: str, interval: float) -> None:
        self._stream, self._label, self._total, self._unit = stream, label, total, unit
        self._interval = interval
        self._done = 0.0
        self._started = self._last = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        """Count, and print a line if the last one is long ago."""
        self._done += amount
        self.tick()

    def describe(self, label: str) -> None:
        """Take a new label for the lines that follow."""
        self._label = label
        self.tick()

    def expect(self, total: float) -> None:
        """Take the total that the share is counted against."""
        self._total = total

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._last >= self._interval:
            self._last = now
            self.print_line("")

    def print_line(self, suffix: str) -> None:
        seconds = time.monotonic() - self._started
        print(f"{self._label}: {self._amount()}{seconds:.0f} s{suffix}", file=self._stream, flush=True)

    def _amount(self) -> str:
        if not self._done:
            return ""
        scale, unit = (2**20, "MiB") if self._unit == "B" else (1, self._unit)
        done = f"{self._done / scale:.0f}"
        if self._total:
            share = min(100.0, 100 * self._done / self._total)
            return f"{done}/{self._total / scale:.0f} {unit} ({share:.0f} %), "
        return f"{done} {unit}, "


class LineProgress:
    """Plain lines at intervals: for logs."""

    def __init__(
        self, stream: TextIO | None = None, *, interval_seconds: float = LINE_INTERVAL_SECONDS
    ) -> None:
        self._stream = stream or sys.stderr
        self._interval = interval_seconds

    @contextmanager
    def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
        """A task told in lines: one when it begins, one at each interval, one when it is done."""
        print(f"{label} ...", file=self._stream, flush=True)
        task = _LineTask(self._stream, label, total, unit, self._interval)
        yield task
        task.print_line(", done")


class RichProgress:
    """A moving bar on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    @contextmanager
    def task(self, label: str, total: float | None = None, *, unit: str = "") -> Iterator[Task]:
        """A task drawn as a bar with the time that it has taken and still needs."""
        from rich import progress as bars
        from rich.console import Console

        amount: list[bars.ProgressColumn] = (
            [bars.DownloadColumn(binary_units=True)]
            if unit == "B"
            else [bars.MofNCompleteColumn(), bars.TextColumn(unit)]
        )
        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            *amount,
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=Console(file=self._stream), transient=False) as display:
            yield _RichTask(display, display.add_task(label, total=total))


class _RichTask:
    def __init__(self, display: bars.Progress, identity: bars.TaskID) -> None:
        self._display, self._identity = display, identity

    def advance(self, amount: float = 1) -> None:
        """Move the bar."""
        self._display.advance(self._identity, amount)

    def describe(self, label: str) -> None:
        """Change the words before the bar."""
        self._display.update(self._identity, description=label)

    def expect(self, total: float) -> None:
        """Set the length of the bar."""
        self._display.update(self._identity, total=total)


def progress_for(stream: TextIO | None = None) -> Progress:
    """The progress that suits the stream (standard error by default): a bar on a terminal, else lines."""
    target = stream or sys.stderr
    return RichProgress(target) if target.isatty() else LineProgress(target)
