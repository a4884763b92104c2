"""What a person sees in the terminal: live progress, and a summary on one screen."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stories
from stories import Teller

from vnode_suite.core.ledger import Ledger, read
from vnode_suite.core.secrets import Registry
from vnode_suite.model import Language, Text
from vnode_suite.report.progress import WAIT_INTERVAL_SECONDS, LiveProgress
from vnode_suite.report.terminal import colour_wanted, columns, summary


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15)])
def test_the_summary_fits_a_screen(
    told: Teller, any_story: stories.Story, language: Language, size: tuple[int, int]
) -> None:
    """No line is wider and no text is longer than the terminal, even if everything failed."""
    width, height = size
    everything = {(clause.id, "*"): Text("not so " * 30, "并非如此" * 30) for clause in stories.CLAUSES}
    for story in (
        any_story,
        replace(any_story, path=any_story.path.with_name("all.jsonl"), failing=everything),
    ):
        lines = summary(told(story), language, width=width, height=height, where="reports/x").split("\n")
        assert len(lines) < height
        assert max(columns(line) for line in lines) <= width


def test_the_summary_says_what_matters(told: Teller, ledger_path: Path) -> None:
    """Verdict, exit status, that nothing was accepted, failures with remedy, controls, cleanup, folder."""
    text = summary(told(stories.failing(ledger_path)), width=100, height=30, where="reports/20260301")
    for said in (
        "REJECTED", "exit 1", "Nothing was accepted", "DS-02 1.22-bootstrap: kube-proxy-x7k2p", "-> ",
        "negative controls: 27 of 27 caught", "cleanup: 4 created, 4 deleted, 0 left", "reports/20260301",
    ):  # fmt: skip
        assert said in text


def test_it_is_plain_unless_colour_is_asked_for(told: Teller, ledger_path: Path) -> None:
    """No escape sequence in a log."""
    report = told(stories.failing(ledger_path))
    assert "\x1b" not in summary(report)
    assert "\x1b[" in summary(report, colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", summary(report, colour=True)) == summary(report)


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_whose_user_wants_it(
    stream: io.StringIO, environment: dict[str, str], wanted: bool
) -> None:
    """NO_COLOR counts if it is not empty."""
    assert colour_wanted(stream, environment) is wanted


@pytest.fixture
def seconds() -> list[float]:
    """The time that a progress sees; a test sets it."""
    return [0.0]


def told_live(path: Path, stream: io.StringIO, seconds: list[float], verbosity: int = 0) -> str:
    """What is shown of a whole ledger."""
    with LiveProgress(stream, verbosity=verbosity, clock=lambda: seconds[0]) as progress:
        for event in read(path):
            progress(event)
    return stream.getvalue()


def test_progress_has_a_line_for_each_step(ledger_path: Path, seconds: list[float]) -> None:
    """Cells, control planes and steps are told; what passed is not, unless asked for."""
    path = stories.failing(ledger_path).tell()
    text = told_live(path, io.StringIO(), seconds)
    assert "1.22-bootstrap  ready  6.2 s" in text
    assert "control plane v1.22.17 usable after 6.4 s" in text
    assert "DS-02  failed: kube-proxy-x7k2p" in text
    assert "PRE-01" not in text
    assert "\x1b" not in text
    assert "PRE-01  passed" in told_live(path, io.StringIO(), seconds, verbosity=1)


def test_quiet_progress_tells_failures_only(ledger_path: Path, seconds: list[float]) -> None:
    """As -q means."""
    text = told_live(stories.failing(ledger_path).tell(), io.StringIO(), seconds, verbosity=-1)
    assert {line.split()[3] for line in text.splitlines()} == {"DS-02", "PORT-02"}


def test_a_wait_is_told_with_what_and_how_long(seconds: list[float], ledger_path: Path) -> None:
    """In a log it is repeated now and then until something happens."""
    stream = io.StringIO()
    progress = LiveProgress(stream, clock=lambda: seconds[0])
    with Ledger(ledger_path, Registry()) as ledger:
        ledger.subscribe(progress)
        ledger.write("waiting", cell="1.19-bootstrap", for_=Text("the Node", "节点"), deadline_seconds=300)
        for moment in (5.0, WAIT_INTERVAL_SECONDS + 1, WAIT_INTERVAL_SECONDS + 2):
            seconds[0] = moment
            progress.tick()
        ledger.write("step", cell="1.19-bootstrap", step="registered", state="reached", seconds=16.0)
        seconds[0] = 100.0
        progress.tick()
    assert [line.split("s  ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "1.19-bootstrap  waiting for the Node (0/300 s)",
        "1.19-bootstrap  waiting for the Node (16/300 s)",
        "1.19-bootstrap  registered  16.0 s",
    ]


def test_of_steps_that_wait_for_each_other_the_last_is_told(seconds: list[float], ledger_path: Path) -> None:
    """Node waits for vnode, and both are begun; a scenario that waits is told beside them."""
    stream = io.StringIO()
    progress = LiveProgress(stream, clock=lambda: seconds[0])
    cell, judged = "1.19-bootstrap", "scenarios/test_60_node.py::test_ready[1.19-bootstrap]"
    later = WAIT_INTERVAL_SECONDS + 1
    with Ledger(ledger_path, Registry()) as ledger:
        ledger.subscribe(progress)
        text = Text("starting Kubernetes", "启动 Kubernetes")
        ledger.write("waiting", cell=cell, subject="world", for_=text, deadline_seconds=None)
        ledger.write("cluster-ready", version="1.19", cells=[cell], timings={"usable": 4.0})
        for name in ("node", "vnode"):
            ledger.write("step", cell=cell, subject="sound", step=name, state="started", seconds=0.0)
        ledger.write("step", cell=cell, subject="no-label", step="ready", state="started", seconds=0.0)
        progress.judging(judged, cell, Text("NODE-02", "NODE-02"))
        seconds[0] = later
        progress.tick()
        ledger.write("step", cell=cell, subject="sound", step="vnode", state="reached", seconds=16.0)
        progress.judged(judged)
        seconds[0] = 2 * later
        progress.tick()
        ledger.write("cell-finished", cell=cell, seconds=33.0)
        seconds[0] = 3 * later
        progress.tick()
    assert [line.split("s  ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "1.19-bootstrap  waiting for starting Kubernetes (0 s)",
        "control plane 1.19 usable after 4.0 s",
        "1.19-bootstrap  waiting for vnode (16 s)",
        "1.19-bootstrap  waiting for NODE-02 (16 s)",
        "1.19-bootstrap  vnode  16.0 s",
        "1.19-bootstrap  waiting for node (32 s)",
        "1.19-bootstrap  finished in 33 s",
    ]


def test_on_a_terminal_the_wait_moves(seconds: list[float]) -> None:
    """The line is drawn again in place, and gone at the end."""
    stream = Terminal()

    def events() -> Iterator[dict[str, object]]:
        yield {
            "type": "waiting",
            "cell": "c",
            "for": {"en": "the Node", "zh": "节点"},
            "deadline_seconds": 300,
        }
        seconds[0] = 7.0
        yield {
            "type": "result",
            "cell": "c",
            "clause": "DS-02",
            "status": "failed",
            "actual": {"en": "no", "zh": "否"},
        }

    with LiveProgress(stream, clock=lambda: seconds[0]) as progress:
        for event in events():
            progress(event)
            if event["type"] == "waiting":
                progress._live.refresh()  # type: ignore[union-attr]
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue())
    assert "waiting for the Node (0/300 s)" in text
    assert "DS-02  failed: no" in text


def test_progress_speaks_chinese(ledger_path: Path, seconds: list[float]) -> None:
    """The language of the report is the language of the progress."""
    stream = io.StringIO()
    progress = LiveProgress(stream, "zh", clock=lambda: seconds[0])
    for event in read(stories.failing(ledger_path).tell()):
        progress(event)
    assert "未通过：" in stream.getvalue() or "未通过: " in stream.getvalue()
