"""The nets of a run, and its undoing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnode_suite.cleanup.journal import Entry, Journal
from vnode_suite.cleanup.nets import Nets
from vnode_suite.cleanup.undo import ClusterAccess, UndoRegistry, process_undo, standard_registry
from vnode_suite.core.errors import SuiteError

FORGET = {"action": "forget"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal("r1", state=tmp_path) as opened:
        yield opened


@pytest.fixture
def undone() -> list[str]:
    return []


@pytest.fixture
def nets(journal: Journal, undone: list[str]) -> Nets:
    registry = UndoRegistry()

    def forget(entry: Entry) -> str | None:
        undone.append(entry.name)
        return None

    registry.register("forget", forget)
    return Nets(journal, registry)


def test_what_fails_halfway_is_undone_at_once(nets: Nets, undone: list[str]) -> None:
    """The first net: a step takes back what it made, and its error is passed on."""
    with pytest.raises(ZeroDivisionError), nets.making("Pod", "p", FORGET):
        _ = 1 // 0
    assert undone == ["p"]
    assert nets.journal.left == ()


def test_closing_goes_backwards_and_only_once(nets: Nets, undone: list[str]) -> None:
    """The second net closes, the third finds nothing to do."""
    for name in ("a", "b"):
        with nets.making("Pod", name, FORGET):
            pass
    assert nets.close() == ()
    assert nets.close() == ()
    assert undone == ["b", "a"]


def test_part_of_a_run_can_be_closed(nets: Nets, undone: list[str]) -> None:
    """A cell closes its own things and leaves the others'."""
    for name in ("mine", "yours"):
        with nets.making("Pod", name, FORGET):
            pass
    nets.close(lambda entry: entry.name == "mine")
    assert undone == ["mine"]
    assert [entry.name for entry in nets.journal.left] == ["yours"]


def test_one_undoing_that_raises_does_not_stop_the_others(nets: Nets, undone: list[str]) -> None:
    """What is left is returned with the reason, and never raised."""

    def refuse(entry: Entry) -> str | None:
        raise SuiteError("the cloud says no")

    def break_down(entry: Entry) -> str | None:
        raise RuntimeError("a bug")

    nets.registry.register("refuse", refuse)
    nets.registry.register("break", break_down)
    actions = {"kept": "refuse", "broken": "break", "unknown": "nobody-knows", "gone": "forget"}
    for name, action in actions.items():
        with nets.making("VNode", name, {"action": action}, where="cloud"):
            pass
    left = {one.name: one.reason for one in nets.close()}
    assert undone == ["gone"]
    assert set(left) == {"kept", "broken", "unknown"}
    assert "the cloud says no" in left["kept"]
    assert "RuntimeError" in left["broken"]
    assert "nobody-knows" in left["unknown"]


def test_an_owned_process_is_ended(nets: Nets) -> None:
    """By number and start time, so that no later process is hit."""
    standard = standard_registry(ClusterAccess({}))
    process = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    try:
        entry = nets.journal.intend("process", "p", process_undo(process.pid), where="local")
        stranger = nets.journal.intend(
            "process", "s", {"action": "stop-process", "pid": process.pid, "start": "other"}, where="local"
        )
        assert standard.undo(stranger) is None
        assert process.poll() is None
        assert standard.undo(entry) is None
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["important", "vnode-suite-link"])
def test_only_a_runs_own_folder_is_removed(nets: Nets, tmp_path: Path, name: str) -> None:
    """A journal that was tampered with must not become `rm -rf`."""
    standard = standard_registry(ClusterAccess({}))
    precious = tmp_path / "precious"
    precious.mkdir()
    target = precious if name == "important" else tmp_path / name
    if target != precious:
        target.symlink_to(precious)
    entry = nets.journal.intend("folder", name, {"action": "remove-folder", "path": str(target)})
    left = standard.undo(entry)
    assert left is not None
    assert precious.exists()


def test_a_runs_folder_is_removed(nets: Nets) -> None:
    """The temporary folder goes, with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="vnode-suite-r1-"))
    (folder / "key").write_text("x")
    entry = nets.journal.intend("folder", folder.name, {"action": "remove-folder", "path": str(folder)})
    assert standard_registry(ClusterAccess({})).undo(entry) is None
    assert not folder.exists()


def test_a_cluster_that_the_journal_does_not_name_is_said(nets: Nets) -> None:
    """Nothing is called gone because nobody wrote down where it is."""
    undo = {"action": "delete-object", "cluster": "lost", "path": "/api/v1/x"}
    left = standard_registry(ClusterAccess({})).undo(nets.journal.intend("Pod", "p", undo))
    assert left is not None
    assert "lost" in left.reason
