"""Signals: the first ends the run in order, no later one cuts that short, and a kill leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_of_plugin import PATIENCE_SECONDS, Outcome, Project

from vnode_suite.cleanup.sweep import sweep
from vnode_suite.core.ledger import read
from vnode_suite.core.polling import poll
from vnode_suite.pytest_plugin.signals import AGAIN_SECONDS, Interrupts

Start = Callable[..., "subprocess.Popen[str]"]
WAITING = "NODE-01@1.22=wait"


def events_so_far(project: Project) -> list[dict[str, object]]:
    """All shards, as far as they are written."""
    return [event for path in project.reports.glob("*/events*.jsonl") for event in read(path)]


def until_it_waits(project: Project, times: int = 1) -> list[tuple[str, Path]]:
    """Wait until a scenario waits; returns the processes and folders that runs have made."""

    def waits() -> bool | None:
        return sum(event.get("text") == "now waiting" for event in events_so_far(project)) >= times or None

    poll(waits, what="the scenario to wait", deadline_seconds=PATIENCE_SECONDS)
    notes = " ".join(str(event.get("text")) for event in events_so_far(project))
    return [(pid, Path(folder)) for pid, folder in re.findall(r"process (\d+) folder (\S+)", notes)]


def until_gone(made: list[tuple[str, Path]]) -> None:
    """Wait until the processes and the folders are no more."""
    poll(
        lambda: None if any(Path("/proc", pid).exists() or folder.exists() for pid, folder in made) else True,
        what="the processes to end",
        deadline_seconds=PATIENCE_SECONDS,
    )


def ended(process: subprocess.Popen[str], project: Project) -> Outcome:
    """What it came to; where it hangs, Python says in which line."""
    try:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        output, _ = process.communicate()
    return Outcome(process.returncode, output, project.reports)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_ends_the_run_in_order(project: Project, started: Start, number: signal.Signals) -> None:
    """Exit 2, a report that says what interrupted it, and nothing left."""
    process = started(fake=WAITING)
    made = until_it_waits(project)
    process.send_signal(number)
    outcome = ended(process, project)
    assert outcome.status == 2, outcome.output
    assert outcome.report["verdict"]["result"] == "interrupted"
    assert [event["signal"] for event in outcome.of_type("interrupted")] == [number.name]
    assert outcome.statuses()["PRE-01", "1.22-bootstrap"] == "passed"
    assert outcome.statuses()["CLEAN-01", "1.22-bootstrap"] == "could-not-run"
    assert f"interrupted by {number.name}" in outcome.output
    until_gone(made)


def test_later_signals_change_nothing(project: Project, started: Start) -> None:
    """The report is written and the status the same, however impatient somebody is."""
    process = started(fake=WAITING)
    made = until_it_waits(project)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        process.send_signal(number)
    outcome = ended(process, project)
    assert outcome.status == 2, outcome.output
    assert outcome.report["verdict"]["result"] == "interrupted"
    until_gone(made)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_controller_has_its_workers_close(project: Project, started: Start, number: signal.Signals) -> None:
    """As Ctrl-C in a terminal (all processes get it) and as tox (only the controller does)."""
    pytest.importorskip("xdist")
    process = started(
        "-n", "2", "--vnode-k8s-version", "1.18-1.19", fake="NODE-01@1.18=wait NODE-01@1.19=wait"
    )
    made = until_it_waits(project, times=2)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    outcome = ended(process, project)
    assert outcome.status == 2, outcome.output
    assert outcome.report["verdict"]["result"] == "interrupted"
    assert outcome.statuses()["PRE-01", "1.18-bootstrap"] == "passed"
    assert len(made) == 2
    until_gone(made)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_killed_run_leaves_nothing(
    project: Project, started: Start, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes end by themselves; what remains of files, a sweep removes."""
    process = started(*workers, fake=WAITING)
    made = until_it_waits(project)
    process.kill()
    process.wait()
    until_gone(made)
    monkeypatch.setenv("VNODE_SUITE_STATE", str(project.folder / "state"))

    def swept() -> bool | None:
        return (sweep(yes=True).clean and not sweep(yes=False).living) or None

    poll(swept, what="the workers to be gone", deadline_seconds=PATIENCE_SECONDS)
    assert not list((project.folder / "state" / "runs").iterdir())


def test_first_signal_interrupts_and_later_ones_do_not() -> None:
    """In this process."""
    with Interrupts(quiet=True) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert interrupts.received == "SIGTERM"


def test_signal_that_another_thread_got_wakes_the_main_one() -> None:
    """While it waits for a lock, which Python by itself lets it do to the end."""
    elsewhere = threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    with Interrupts(quiet=True):
        began = time.monotonic()
        elsewhere.start()
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(30)
    assert time.monotonic() - began < 30
    elsewhere.join()


def test_signal_long_after_one_that_was_lost_interrupts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a handler raises may be lost in a callback; nobody needs a kill for that."""
    with Interrupts(quiet=True) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        later = time.monotonic() + AGAIN_SECONDS
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        interrupts.closing()
        signal.raise_signal(signal.SIGINT)


def test_signal_while_closing_is_remembered() -> None:
    """It does not interrupt, but the run is not called undisturbed."""
    with Interrupts(quiet=True) as interrupts:
        interrupts.closing()
        signal.raise_signal(signal.SIGINT)
    assert interrupts.received == "SIGINT"


def test_handlers_are_others_again_afterwards() -> None:
    """And what was ignored stays ignored meanwhile."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with Interrupts(quiet=True):
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) not in handlers
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    finally:
        signal.signal(signal.SIGHUP, before)
