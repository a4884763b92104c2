"""`vnode-suite report`: what can be done with a finished run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.model import Text
from vnode_suite.report.document import schema

if TYPE_CHECKING:
    from tests.cli.conftest import Command

Tell = Callable[..., Path]


@pytest.fixture
def tell(stories: ModuleType, tmp_path: Path) -> Tell:
    """Tells a run with the real catalogue, and gives its folder."""

    def told(name: str, **story: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        stories.Story(folder / "events.jsonl", load_catalogue("2024-02"), run_id=name, **story).tell()
        return folder

    return told


@pytest.fixture
def sound(vnode_suite: Command, tell: Tell) -> Path:
    """A rendered run in which everything holds."""
    folder = tell("sound", versions=("1.21",))
    assert vnode_suite("report", "render", str(folder)).exit_code == 0
    return folder


@pytest.fixture
def broken(vnode_suite: Command, tell: Tell) -> Path:
    """A rendered run in which DS-02 fails."""
    bound = Text("kube-proxy-x7k2p is bound to the VNode", "kube-proxy-x7k2p 绑定在 VNode 上")
    folder = tell("broken", versions=("1.21",), failing={("DS-02", "*"): bound}, exit_status=1)
    assert vnode_suite("report", "render", str(folder)).exit_code == 0
    return folder


def test_rendering_writes_every_report(vnode_suite: Command, tell: Tell, tmp_path: Path) -> None:
    """From the ledger alone, also into another folder, and tells where."""
    folder = tell("killed", killed_after_cells=1)
    done = vnode_suite("report", "render", str(folder / "events.jsonl"), "--into", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    written = {Path(line).name for line in done.stdout.splitlines()}
    assert written == {"report.json", "report.html", "junit.xml", "ctrf.json", "statement.intoto.json"}
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["verdict"]["result"] == "interrupted"


def test_a_report_is_shown(vnode_suite: Command, broken: Path) -> None:
    """The verdict and what failed; as JSON the report itself, of its schema."""
    done = vnode_suite("report", "show", str(broken))
    assert done.exit_code == 0
    assert "REJECTED" in done.stdout
    assert "DS-02" in done.stdout
    shown = vnode_suite.json("report", "show", str(broken / "report.json"))
    jsonschema.validate(shown, schema())
    assert shown == json.loads((broken / "report.json").read_text("utf-8"))


def test_two_runs_are_compared(vnode_suite: Command, sound: Path, broken: Path) -> None:
    """Status 1 says that a clause ended worse; better or the same is 0."""
    worse = vnode_suite("report", "diff", str(sound), str(broken))
    assert worse.exit_code == 1
    assert "- DS-02 1.21-bootstrap: passed -> failed" in worse.stdout
    assert vnode_suite("report", "diff", str(broken), str(sound)).exit_code == 0
    same = vnode_suite.json("report", "diff", str(sound), str(sound))
    assert same["outcomes"] == []


def test_merging_ends_with_the_status_of_the_merged_verdict(
    vnode_suite: Command, sound: Path, tell: Tell, tmp_path: Path
) -> None:
    """One report of several jobs: rejected if one of them is."""
    bound = Text("bound", "绑定")
    other = tell("other", failing={("DS-02", "*"): bound}, exit_status=1)
    into = tmp_path / "merged"
    done = vnode_suite("report", "merge", str(sound), str(other), "--into", str(into))
    assert done.exit_code == 1, done.output
    merged = json.loads((into / "report.json").read_text("utf-8"))
    assert {cell["version"] for cell in merged["cells"]} == {"1.21", "1.22"}
    again = vnode_suite("report", "merge", str(sound), str(other), "--into", str(into))
    assert (again.exit_code, "holds a run already" in again.stderr) == (4, True)


def test_a_changed_file_is_found(vnode_suite: Command, sound: Path) -> None:
    """Sound as written; status 1 and the file's name when it was touched."""
    assert vnode_suite.json("report", "verify", str(sound))["sound"] is True
    with (sound / "events.jsonl").open("a", encoding="utf-8") as ledger:
        ledger.write("\n")
    done = vnode_suite("report", "verify", str(sound))
    assert (done.exit_code, done.stdout.splitlines()[0]) == (1, "changed: events.jsonl")


def test_a_signature_is_made_and_checked(vnode_suite: Command, sound: Path, tmp_path: Path) -> None:
    """With the right key it is valid, with another it is not."""
    paths = []
    for number, key in enumerate([Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()]):
        private, public = tmp_path / f"{number}.pem", tmp_path / f"{number}.pub"
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        paths.append((private, public))
    assert vnode_suite("report", "sign", str(sound), "--key", str(paths[0][0])).exit_code == 0
    right = vnode_suite("report", "verify", str(sound), "--public-key", str(paths[0][1]))
    wrong = vnode_suite("report", "verify", str(sound), "--public-key", str(paths[1][1]))
    assert (right.exit_code, "signature: valid" in right.stdout) == (0, True)
    assert (wrong.exit_code, "signature: invalid" in wrong.stdout) == (1, True)


@pytest.mark.parametrize("verb", ["show", "render", "verify"])
def test_a_run_that_is_not_there_is_wrong_usage(vnode_suite: Command, verb: str, tmp_path: Path) -> None:
    """One line that says what is wanted."""
    done = vnode_suite("report", verb, str(tmp_path / "nothing"))
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1)


def test_a_folder_without_a_ledger_is_wrong_usage(vnode_suite: Command, tmp_path: Path) -> None:
    """Also an empty ledger, of which no verdict can be drawn."""
    (tmp_path / "events.jsonl").touch()
    done = vnode_suite("report", "render", str(tmp_path))
    assert (done.exit_code, "run-started" in done.stderr) == (4, True)
