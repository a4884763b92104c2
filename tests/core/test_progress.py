"""Progress in lines and as a bar: the same work, told to a log or to a terminal."""

from __future__ import annotations

import io

from vnode_suite.core.progress import LineProgress, RichProgress, SilentProgress, progress_for


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_a_log_gets_a_first_and_a_last_line_and_some_between() -> None:
    """Share and unit are in each."""
    stream = io.StringIO()
    with LineProgress(stream, interval_seconds=0).task("compiling", unit="packages") as task:
        task.expect(200)
        task.advance(50)
        task.advance(150)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiling ..."
    assert lines[1].startswith("compiling: 50/200 packages (25 %), ")
    assert lines[-1].startswith("compiling: 200/200 packages (100 %), ")
    assert lines[-1].endswith("done")


def test_between_two_lines_of_a_log_there_is_time() -> None:
    """Thousands of packages are not thousands of lines."""
    stream = io.StringIO()
    with LineProgress(stream, interval_seconds=60).task("compiling", 1000) as task:
        for _ in range(1000):
            task.advance()
    assert len(stream.getvalue().splitlines()) == 2


def test_bytes_are_told_in_mebibytes() -> None:
    """Nobody reads nine digits."""
    stream = io.StringIO()
    with LineProgress(stream).task("downloading", 64 * 2**20, unit="B") as task:
        task.advance(32 * 2**20)
    assert "32/64 MiB (50 %)" in stream.getvalue()


def test_work_that_fails_is_not_said_to_be_done() -> None:
    """The last line of a log must not lie."""
    stream = io.StringIO()
    try:
        with LineProgress(stream).task("compiling"):
            raise LookupError
    except LookupError:
        pass
    assert "done" not in stream.getvalue()


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines() -> None:
    """Decided once, by the stream."""
    assert isinstance(progress_for(Terminal()), RichProgress)
    assert isinstance(progress_for(io.StringIO()), LineProgress)


def test_a_bar_shows_label_amount_and_share() -> None:
    """What a person looks at."""
    terminal = Terminal()
    with RichProgress(terminal).task("compiling", unit="packages") as task:
        task.expect(4)
        task.advance(4)
    text = terminal.getvalue()
    assert "compiling" in text
    assert "4/4" in text


def test_silence_takes_everything() -> None:
    """The protocol has no required audience."""
    with SilentProgress().task("compiling") as task:
        task.expect(1)
        task.advance()
        task.describe("linking")
