"""`vnode-suite sweep`: what killed runs left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from vnode_suite.core.modules import environment

if TYPE_CHECKING:
    from tests.cli.conftest import Command

SWEPT = {
    "type": "object",
    "required": ["found", "removed", "left", "living", "elsewhere"],
    "properties": {
        "found": {"type": "array", "items": {"required": ["run", "kind", "name", "where", "state"]}}
    },
}
#: A run that makes a folder, says that it made a VNode, and ends without closing anything.
_RUN = """
import pathlib, sys, tempfile
from vnode_suite.cleanup.journal import Journal
scratch = pathlib.Path(tempfile.mkdtemp(prefix="vnode-suite-dead01-"))
journal = Journal.open("dead01", scratch=scratch)
if sys.argv[1] == "with-vnode":
    undo = {"action": "delete-virtual-node", "region": "cn-shanghai", "name": "vnode-suite-x"}
    journal.intend("VirtualNode", "vnode-suite-x", undo, where="cloud").done(id="vnd-1")
print(scratch, flush=True)
import os; os._exit(9)
"""


def _dead_run(kind: str, state: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, kind],
        env=environment() | {"VNODE_SUITE_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(done.stdout.strip())


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder, and no folder of the dead run afterwards."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path))
    yield tmp_path
    for left in Path(tempfile.gettempdir()).glob("vnode-suite-dead01-*"):
        left.rmdir()


@pytest.mark.usefixtures("state")
def test_nothing_left_is_said(vnode_suite: Command) -> None:
    """Also to a program."""
    done = vnode_suite("sweep")
    assert (done.exit_code, done.stdout) == (0, "nothing was left behind\n")
    assert vnode_suite.json("sweep")["found"] == []


def test_listing_changes_nothing_and_yes_removes(vnode_suite: Command, state: Path) -> None:
    """Found, removed, and then nothing more."""
    scratch = _dead_run("plain", state)
    listed = vnode_suite.json("sweep")
    jsonschema.validate(listed, SWEPT)
    assert [one["run"] for one in listed["found"]] == ["dead01"]
    assert scratch.is_dir()
    plain = vnode_suite("sweep")
    assert (plain.exit_code, scratch.name in plain.stdout, "--yes" in plain.stderr) == (0, True, True)
    done = vnode_suite("sweep", "--yes")
    assert (done.exit_code, "1 of 1 removed" in done.stdout) == (0, True)
    assert not scratch.exists()
    assert vnode_suite.json("sweep")["found"] == []


def test_a_vnode_that_nobody_could_delete_is_status_11(
    vnode_suite: Command, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials it is named with the reason, and tried again next time."""
    from vnode_suite.eci.errors import CredentialRefused

    def refuse(credentials: object) -> None:
        raise CredentialRefused("no credentials were found")

    monkeypatch.setattr("vnode_suite.eci.credentials.resolve", refuse)
    _dead_run("with-vnode", state)
    done = vnode_suite("sweep", "--yes")
    assert done.exit_code == 11
    assert "left: VirtualNode vnode-suite-x: no credentials were found" in done.stdout
    assert [one["name"] for one in vnode_suite.json("sweep")["found"]] == ["vnode-suite-x"]
