"""Sweeping up after killed runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnode_suite.cleanup.journal import Entry, Journal, Record
from vnode_suite.cleanup.state import ProcessIdentity, run_dir
from vnode_suite.cleanup.sweep import find_leftovers, sweep
from vnode_suite.cleanup.undo import UndoRegistry, await_process, process_undo
from vnode_suite.core.polling import poll

#: A run that starts a process, makes a folder and a VNode, tells, and waits to be killed.
_RUN = """
import json, pathlib, subprocess, sys, tempfile, threading
from vnode_suite.cleanup.journal import Journal
from vnode_suite.cleanup.undo import process_undo
state, run = pathlib.Path(sys.argv[1]), sys.argv[2]
scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"vnode-suite-{run}-"))
journal = Journal.open(run, state=state, scratch=scratch)
journal.cluster("1.22", kubeconfig=None, context=None, server="https://127.0.0.1:1")
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
journal.intend("process", "etcd", process_undo(child.pid), where="local").done()
journal.intend("VNode", "vnd-1", {"action": "delete-virtual-node", "id": "vnd-1"}, where="cloud").done()
journal.intend("VNode", "vnd-2", {"action": "delete-virtual-node", "ends_with_run": True}, where="cloud").done()
journal.intend("Secret", "s", {"action": "delete-object", "cluster": "1.22", "path": "/p"}).done()
print(json.dumps({"child": child.pid, "scratch": str(scratch)}), flush=True)
threading.Event().wait()
"""


class Run:
    """A run in another process."""

    def __init__(self, state: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(state), name], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        child = ProcessIdentity.of(told["child"])
        assert child is not None
        self.child, self.scratch = child, Path(told["scratch"])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path, "killed01")
    yield started
    started.kill()
    assert started.process.stdout is not None
    started.process.stdout.close()
    sweep(yes=True, state=tmp_path)
    if started.scratch.exists():
        started.scratch.rmdir()


def deleting(deleted: list[str]) -> object:
    def extend(registry: UndoRegistry, record: Record) -> None:
        def delete(entry: Entry) -> str | None:
            deleted.append(entry.name)
            return None

        registry.register("delete-virtual-node", delete)

    return extend


def test_a_living_run_is_not_touched(run: Run, tmp_path: Path) -> None:
    """Two runs at once do not sweep each other's things."""
    result = sweep(yes=True, state=tmp_path)
    assert (result.found, result.living) == ((), ("killed01",))
    assert run.child.alive
    assert run.scratch.is_dir()


def test_listing_removes_nothing(run: Run, tmp_path: Path) -> None:
    """Without --yes the user sees what there is; what died with the run is not listed."""
    run.kill()
    assert {one.entry.name for one in find_leftovers(tmp_path)} == {"etcd", "vnd-1", run.scratch.name}
    result = sweep(yes=False, state=tmp_path)
    assert not result.clean
    assert run.child.alive
    assert run.scratch.is_dir()


def test_a_killed_run_leaves_nothing_after_the_sweep(run: Run, tmp_path: Path) -> None:
    """Processes, folders and VNodes go, and then the journal."""
    run.kill()
    deleted: list[str] = []
    result = sweep(yes=True, state=tmp_path, extend=deleting(deleted))  # type: ignore[arg-type]
    assert result.clean
    assert deleted == ["vnd-1"]
    poll(lambda: None if run.child.alive else True, what="the process to end", deadline_seconds=30)
    assert not run.scratch.exists()
    assert not run_dir("killed01", tmp_path).exists()
    assert sweep(yes=True, state=tmp_path).found == ()


def test_what_cannot_be_removed_is_kept_for_the_next_sweep(run: Run, tmp_path: Path) -> None:
    """A VNode that no cloud can be asked about stays in the journal, and is billed: it must be said."""
    run.kill()
    result = sweep(yes=True, state=tmp_path)
    assert [(one.kind, one.name) for one in result.left] == [("VNode", "vnd-1")]
    assert {one.entry.name for one in find_leftovers(tmp_path)} == {"vnd-1"}


def test_a_folder_that_was_never_written_down_is_found(run: Run, tmp_path: Path) -> None:
    """Between making a folder and writing it down a run can be killed too."""
    run.kill()
    other = Path(tempfile.mkdtemp(prefix="vnode-suite-killed01-"))
    sweep(yes=True, state=tmp_path)
    assert not other.exists()


def test_a_run_of_another_machine_is_left_to_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared home folder shows runs whose processes nobody here can see."""
    run.kill()
    monkeypatch.setattr("vnode_suite.cleanup.journal.host", lambda: "another-machine")
    result = sweep(yes=True, state=tmp_path)
    assert (result.found, result.elsewhere) == ((), ("killed01",))
    assert run.scratch.is_dir()


def test_a_supervisor_that_is_still_ending_its_run_is_waited_for(tmp_path: Path) -> None:
    """It is not killed, and what it has undone by then needs no undoing."""
    with Journal("dying001", state=tmp_path) as journal:
        ending = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
        entry = journal.intend(
            "process", "supervisor", process_undo(ending.pid, ends_by_itself=True), where="local"
        )
        done: list[str | None] = []
        waiting = threading.Thread(target=lambda: done.append(await_process(entry)))
        waiting.start()
        assert not done
        assert ending.stdin is not None
        ending.stdin.close()
        assert ending.wait(30) == 0
        waiting.join(30)
        assert done == [None]
        entry.undone()


@pytest.fixture
def interface() -> Iterator[Path]:
    """An interface called as the run's would be."""
    subprocess.run(["ip", "link", "add", "vskilled01", "type", "bridge"], check=True)
    shown = Path("/sys/class/net/vskilled01")
    yield shown
    if shown.exists():
        subprocess.run(["ip", "link", "del", "vskilled01"], check=True)


@pytest.mark.netns
def test_a_killed_runs_network_is_removed(run: Run, interface: Path, tmp_path: Path) -> None:
    """The interface is found by the run's id, whether or not it was written down; a living run keeps its own."""
    subprocess.run(["ip", "link", "set", interface.name, "alias", "vnode-suite run killed01"], check=True)
    assert sweep(yes=True, state=tmp_path).found == ()
    assert interface.exists()
    run.kill()
    sweep(yes=True, state=tmp_path)
    assert not interface.exists()


@pytest.mark.netns
def test_an_interface_that_only_has_the_name_is_said_and_kept(
    run: Run, interface: Path, tmp_path: Path
) -> None:
    """It may be somebody else's."""
    run.kill()
    left = {one.name: one.reason for one in sweep(yes=True, state=tmp_path).left}
    assert "mark" in left[interface.name]
    assert interface.exists()


def test_nothing_to_sweep_is_clean(tmp_path: Path) -> None:
    """A machine without runs is clean."""
    result = sweep(yes=True, state=tmp_path)
    assert result.clean
    assert result.found == ()


def test_a_run_that_closed_properly_leaves_no_entry(tmp_path: Path) -> None:
    """What was undone is no leftover, whoever looks."""
    with Journal("done", state=tmp_path) as journal:
        journal.intend("VNode", "v", {"action": "delete-virtual-node"}).undone()
    assert find_leftovers(tmp_path) == ()
