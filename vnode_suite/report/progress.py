"""Live progress, subscribed to the ledger: what happens in each cell, what is waited for and how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from vnode_suite.core.ledger import Event
from vnode_suite.model import Language, Text
from vnode_suite.report.collect import as_text
from vnode_suite.report.terminal import STATUS_NAMES, colour_wanted

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text as Styled

#: Where nothing moves, a wait is told again so often, in seconds: a log wants a sign of life, not a page of
#: them.
WAIT_INTERVAL_SECONDS = 15.0
#: How often it is looked whether one is to be told, in seconds.
_LOOK_SECONDS = 1.0

_MARKS = {
    "passed": "ok",
    "failed": "FAILED",
    "could-not-run": "could not run",
    "error": "ERROR",
    "info": "info",
}
_STYLES = {"failed": "bold red", "error": "bold magenta", "could-not-run": "yellow", "passed": "green"}


class LiveProgress:
    """One line a step and a result; on a terminal also a moving line for each wait.

    Call it with events (``ledger.subscribe(progress)``); use it as a context to draw and clear the moving
    lines.

    :param stream: where to write.
    :param language: of the lines.
    :param verbosity: below 0: failures only; 0: steps and whatever did not pass; above 0: every result.
    :param clock: seconds, for tests.
    """

    def __init__(
        self,
        stream: TextIO,
        language: Language = "en",
        *,
        verbosity: int = 0,
        moving: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._language: Language = language
        self._verbosity = verbosity
        self._moving = stream.isatty() if moving is None else moving
        self._colour = colour_wanted(stream)
        self._clock = clock
        self._lock = threading.RLock()
        self._waits: dict[tuple[str, str], _Wait] = {}
        self._live: Live | None = None
        self._left = threading.Event()
        self._began = clock()

    def __enter__(self) -> LiveProgress:
        if self._moving and self._verbosity >= 0:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream, no_color=not self._colour, highlight=False)
            self._live = Live(
                console=console, get_renderable=self._drawn, transient=True, refresh_per_second=4
            )
            self._live.start()
        elif self._verbosity >= 0:
            threading.Thread(target=self._keep_telling, name="progress", daemon=True).start()
        return self

    def _keep_telling(self) -> None:
        while not self._left.wait(_LOOK_SECONDS):
            self.tick()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Take one event; never raises for what an event lacks."""
        with self._lock:
            for line, style in self._lines(event):
                self._print(line, style)

    def tick(self) -> None:
        """Tell again of waits that go on, where nothing moves by itself."""
        if self._live is not None or self._verbosity < 0:
            return
        with self._lock:
            for wait in self._innermost():
                if self._clock() - wait.told_at >= WAIT_INTERVAL_SECONDS:
                    wait.told_at = self._clock()
                    self._print(wait.line(self._language, self._clock()), "")

    def judging(self, item: str, cell: str, what: Text) -> None:
        """A scenario waits for what it judges: *what*, in *cell*, until it is :meth:`judged`."""
        with self._lock:
            self._waits[item, "judged"] = _Wait(cell, what, 0.0, self._clock())

    def judged(self, item: str) -> None:
        """The scenario has its answer."""
        with self._lock:
            self._waits.pop((item, "judged"), None)

    def _innermost(self) -> list[_Wait]:
        """What is waited for, but of steps that wait for each other only the last of a cell."""
        steps = {key[0]: wait for key, wait in self._waits.items() if key[1].startswith("step ")}
        others = [wait for key, wait in self._waits.items() if not key[1].startswith("step ")]
        return [*steps.values(), *others]

    def _lines(self, event: Event) -> list[tuple[str, str]]:
        kind, cell = event.get("type"), str(event.get("cell") or "")
        if kind == "waiting":
            return self._waiting(event, cell)
        if kind == "cluster-ready":
            for each in event.get("cells") or ():
                self._waits.pop((str(each), "world"), None)
        elif kind == "cell-finished":
            self._waits = {key: wait for key, wait in self._waits.items() if key[0] != cell}
        elif kind in ("step", "result"):
            self._waits.pop((cell, str(event.get("subject") or "sound")), None)
        if kind == "step":
            self._note_step(event, cell)
            return self._step(event, cell)
        if kind == "result":
            return self._result(event, cell)
        if kind == "control" and (not event.get("caught") or self._verbosity > 0):
            return self._control(event, cell)
        return self._other(event, cell)

    def _waiting(self, event: Event, cell: str) -> list[tuple[str, str]]:
        what = as_text(event.get("for"))
        wait = _Wait(cell, what or Text("…", "…"), float(event.get("deadline_seconds") or 0.0), self._clock())
        self._waits[cell, str(event.get("subject") or "sound")] = wait
        if self._live is None and self._verbosity >= 0:
            return [(wait.line(self._language, self._clock()), "dim")]
        return []

    def _note_step(self, event: Event, cell: str) -> None:
        """Only the VNode under test's: a twin's are not told of."""
        key, name = (cell, f"step {event.get('step')}"), str(event.get("step"))
        if event.get("state") != "started":
            self._waits.pop(key, None)
        elif event.get("subject") in (None, "sound"):
            self._waits[key] = _Wait(cell, Text(name, name), 0.0, self._clock())

    def _step(self, event: Event, cell: str) -> list[tuple[str, str]]:
        if (
            self._verbosity < 0
            or event.get("subject") not in (None, "sound")
            or event.get("state") == "started"
        ):
            return []
        seconds = float(event.get("seconds") or 0.0)
        if event.get("state") == "reached":
            return [(f"{cell}  {event.get('step')}  {seconds:.1f} s", "")]
        detail = as_text(event.get("detail"))
        missed = Text("not reached", "未到达").of(self._language)
        return [
            (
                f"{cell}  {event.get('step')}  {missed}: {detail.of(self._language) if detail else ''}",
                "yellow",
            )
        ]

    def _result(self, event: Event, cell: str) -> list[tuple[str, str]]:
        status = str(event.get("status"))
        if status in ("passed", "info") and self._verbosity <= 0:
            return []
        if status == "could-not-run" and self._verbosity < 0:
            return []
        actual = as_text(event.get("actual"))
        name = STATUS_NAMES[status].of(self._language) if status in STATUS_NAMES else status
        said = f": {actual.of(self._language)}" if actual and status not in ("passed", "info") else ""
        return [(f"{cell}  {event.get('clause')}  {name}{said}", _STYLES.get(status, ""))]

    def _control(self, event: Event, cell: str) -> list[tuple[str, str]]:
        caught = Text("caught", "已识破") if event.get("caught") else Text("NOT CAUGHT", "未识破")
        style = "" if event.get("caught") else "bold magenta"
        return [(f"{cell}  {event.get('clause')}  {event.get('defect')}  {caught.of(self._language)}", style)]

    def _other(self, event: Event, cell: str) -> list[tuple[str, str]]:
        kind = event.get("type")
        if kind == "harness-error":
            return [(f"{event.get('where') or 'suite'}: {event.get('message')}", "bold magenta")]
        if self._verbosity < 0:
            return []
        if kind == "cell-started":
            return [(f"{cell}  " + Text("started", "开始").of(self._language), "bold")]
        if kind == "cell-finished":
            seconds = float(event.get("seconds") or 0.0)
            return [
                (
                    f"{cell}  "
                    + Text(f"finished in {seconds:.0f} s", f"完成，{seconds:.0f} 秒").of(self._language),
                    "bold",
                )
            ]
        if kind == "cluster-ready":
            version = event.get("server_version") or event.get("version")
            usable = float((event.get("timings") or {}).get("usable") or 0.0)
            said = Text(
                f"control plane {version} usable after {usable:.1f} s",
                f"控制面 {version} 可用，{usable:.1f} 秒",
            )
            return [(said.of(self._language), "")]
        if kind == "note" and (text := as_text(event.get("text"))) is not None:
            return [(text.of(self._language), "")]
        if kind == "interrupted":
            return [(Text("interrupted, closing …", "已中断，正在收尾……").of(self._language), "bold yellow")]
        return []

    def _print(self, line: str, style: str) -> None:
        stamp = f"{self._clock() - self._began:6.1f} s  "
        if self._live is not None:
            from rich.text import Text as Styled

            self._live.console.print(Styled.assemble((stamp, "dim"), (line, style)), soft_wrap=True)
            return
        self._stream.write(f"{stamp}{line}\n")
        self._stream.flush()

    def _drawn(self) -> Styled:
        from rich.text import Text as Styled

        with self._lock:
            now = self._clock()
            return Styled(
                "\n".join(wait.line(self._language, now) for wait in self._innermost()), style="dim"
            )


class _Wait:
    """Something that is being waited for."""

    __slots__ = ("_cell", "_deadline", "_since", "_what", "told_at")

    def __init__(self, cell: str, what: Text, deadline_seconds: float, now: float) -> None:
        self._cell = cell
        self._what = what
        self._deadline = deadline_seconds
        self._since = self.told_at = now

    def line(self, language: Language, now: float) -> str:
        waited = now - self._since
        most = f"/{self._deadline:.0f}" if self._deadline else ""
        said = Text(
            f"waiting for {self._what.en} ({waited:.0f}{most} s)",
            f"等待{self._what.zh}（{waited:.0f}{most} 秒）",
        )
        return f"{self._cell}  {said.of(language)}"
