"""The journal of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vnode_suite.cleanup.journal import Journal, State, read, read_run
from vnode_suite.cleanup.state import ProcessIdentity, run_dir, state_dir
from vnode_suite.core.errors import UsageError


def test_an_intent_is_on_the_disk_before_the_thing_is_made(tmp_path: Path) -> None:
    """Another process reads it while the run has done nothing yet."""
    with Journal("r1", state=tmp_path) as journal:
        journal.intend("Secret", "s", {"action": "delete-object", "cluster": "c", "path": "/p"})
        record = read(journal.path)
        assert [(entry.name, entry.state) for entry in record.left] == [("s", State.INTENDED)]
        assert record.left[0].undo["path"] == "/p"


def test_every_line_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the machine loses no intent."""
    synced: list[int] = []
    monkeypatch.setattr("vnode_suite.cleanup.journal.os.fsync", synced.append)
    with Journal("r1", state=tmp_path) as journal:
        before = len(synced)
        journal.intend("Pod", "p", {})
        assert len(synced) == before + 1


def test_what_is_left_comes_last_made_first(tmp_path: Path) -> None:
    """Undoing goes backwards, and leaves out what is undone."""
    with Journal("r1", state=tmp_path) as journal:
        for name in ("a", "b", "c"):
            journal.intend("Pod", name, {}).done(uid=name)
        journal.entries[1].undone()
        assert [entry.name for entry in journal.left] == ["c", "a"]
        assert [entry.name for entry in read(journal.path).left] == ["c", "a"]
        assert read(journal.path).left[0].fact == {"uid": "c"}


def test_only_the_journal_of_a_run_that_left_something_stays(tmp_path: Path) -> None:
    """A clean run leaves no file; another one is found by the sweep."""
    with Journal("clean", state=tmp_path) as journal:
        journal.intend("Pod", "p", {}).undone()
    assert not journal.folder.exists()
    with Journal("unclean", state=tmp_path) as journal:
        journal.intend("Pod", "p", {})
    assert [entry.name for entry in read(journal.path).left] == ["p"]
    assert not read(journal.path).closed


def test_a_folder_that_the_run_has_removed_is_no_leftover(tmp_path: Path) -> None:
    """A run removes the folder it works in last, when nobody is left to say so."""
    scratch = tmp_path / "vnode-suite-r1-x"
    scratch.mkdir()
    with Journal.open("r1", state=tmp_path, scratch=scratch) as journal:
        scratch.rmdir()
    assert not journal.path.exists()


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    """What was written whole before it counts."""
    with Journal("r1", state=tmp_path) as journal:
        journal.intend("Pod", "whole", {})
    with journal.path.open("ab") as file:
        file.write(b'{"state": "intended", "entry": 2, "kind": "Po')
    assert [entry.name for entry in read(journal.path).entries] == ["whole"]


def test_workers_of_one_run_are_read_as_one(tmp_path: Path) -> None:
    """Each process writes its own file; the run is alive while any of them is."""
    with (
        Journal.open("r1", state=tmp_path) as main,
        Journal.open("r1", shard="gw0", state=tmp_path) as worker,
    ):
        main.intend("Pod", "a", {})
        worker.intend("Pod", "b", {})
        record = read_run(main.folder)
        assert {entry.name for entry in record.left} == {"a", "b"}
        assert len(record.processes) == 2
        assert record.alive


def test_a_reopened_journal_goes_on(tmp_path: Path) -> None:
    """What was left before can be undone by whoever opens it again."""
    with Journal("r1", state=tmp_path) as first:
        first.intend("Pod", "a", {})
    with Journal("r1", state=tmp_path) as second:
        assert [entry.name for entry in second.left] == ["a"]
        second.left[0].undone()
    assert not second.path.exists()


def test_the_scratch_folder_is_written_down(tmp_path: Path) -> None:
    """A killed run's folder is found through its journal."""
    scratch = tmp_path / "vnode-suite-r1-x"
    with Journal.open("r1", state=tmp_path, scratch=scratch) as journal:
        assert journal.left[0].undo == {"action": "remove-folder", "path": str(scratch)}


def test_a_cluster_is_named_by_path_never_by_text(tmp_path: Path) -> None:
    """The journal outlives the run and holds nothing secret."""
    with Journal("r1", state=tmp_path) as journal:
        journal.cluster("c", kubeconfig=Path("relative.conf"), context="ctx", server="https://h")
        reach = read(journal.path).clusters["c"]
        lines = journal.path.read_text(encoding="utf-8").splitlines()
    assert reach.kubeconfig == str(Path("relative.conf").absolute())
    assert reach.context == "ctx"
    keys = {key for line in lines for key in json.loads(line)}
    assert keys <= {"state", "run", "process", "at", "ref", "kubeconfig", "context", "server", "host"}


def test_the_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Names of a cluster's objects are nobody else's business."""
    with Journal("r1", state=tmp_path) as journal:
        assert journal.path.stat().st_mode & 0o077 == 0
        assert journal.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("run", ["", ".", "..", "a/b", "../x"])
def test_a_run_id_cannot_lead_out_of_the_state_folder(run: str, tmp_path: Path) -> None:
    """It comes from the command line in `sweep`."""
    with pytest.raises(UsageError):
        run_dir(run, tmp_path)


def test_the_state_folder_can_be_put_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VNODE_SUITE_STATE overrides the user's state folder."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path))
    assert state_dir() == tmp_path
    monkeypatch.delenv("VNODE_SUITE_STATE")
    assert state_dir() != tmp_path


def test_a_process_is_not_mistaken_for_a_later_one() -> None:
    """Number and start time together say which it is."""
    mine = ProcessIdentity.mine()
    assert mine.alive
    assert not ProcessIdentity(mine.pid, "another start").alive


def test_an_ended_process_that_nobody_waited_for_is_dead() -> None:
    """A zombie uses nothing."""
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    identity = ProcessIdentity.of(process.pid)
    assert process.stdout is not None
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity is None or not identity.alive
    process.wait()
    process.stdout.close()
