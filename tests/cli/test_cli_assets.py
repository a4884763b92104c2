"""`vnode-suite assets`: the store, filled from a release server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from vnode_suite.clusters.local.binaries import Binary, ControlPlaneBinaries
from vnode_suite.core.errors import AssetsError
from vnode_suite.data.versions import KubernetesVersion

if TYPE_CHECKING:
    from tests.cli.conftest import Command

PATCH = "1.22.17"
ENTRIES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["version", "component", "path", "sha256", "size", "provenance"],
        "properties": {"sha256": {"pattern": "^[0-9a-f]{64}$"}, "size": {"type": "integer", "minimum": 1}},
    },
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("VNODE_SUITE_ASSETS", str(tmp_path / "assets"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "assets"


@pytest.fixture
def release(release_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The place that releases are downloaded from."""
    with release_server.release_server(PATCH) as server:
        monkeypatch.setenv("VNODE_SUITE_RELEASE_URL", server.url)
        yield server


def test_an_empty_store_is_said_to_be_empty(vnode_suite: Command, store: Path) -> None:
    """Listing and verifying make nothing."""
    assert vnode_suite.json("assets", "list") == []
    assert str(store) in vnode_suite("assets", "list").stderr
    assert vnode_suite("assets", "verify").exit_code == 0
    assert not store.exists()


def test_what_is_fetched_is_listed_and_verified(vnode_suite: Command, store: Path, release: Any) -> None:
    """Fetched once; the second time the store has it. A damaged program is found."""
    first = vnode_suite("assets", "fetch", PATCH)
    assert first.exit_code == 0, first.output
    assert first.stdout == f"{PATCH} is in the store (the release download)\n"
    asked = len(release.requests)
    assert vnode_suite("assets", "fetch", PATCH).exit_code == 0
    assert len(release.requests) == asked
    entries = vnode_suite.json("assets", "list")
    jsonschema.validate(entries, ENTRIES)
    assert {(entry["version"], entry["component"]) for entry in entries} == {
        (PATCH, name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    }
    row = next(row for row in vnode_suite.json("versions") if row["minor"] == "1.22")
    assert (row["patch"], row["source"], row["in_store"]) == (PATCH, "store", True)
    assert all(one["problem"] is None for one in vnode_suite.json("assets", "verify"))
    Path(entries[0]["path"]).write_bytes(b"something else")
    done = vnode_suite("assets", "verify")
    assert done.exit_code == 1
    assert f"{entries[0]['component']} {PATCH} is damaged" in done.stdout
    assert "2 of 3 programs" in done.stdout


def test_the_users_own_folder_is_no_store(
    vnode_suite: Command, store: Path, release: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetching is for the store, whatever KUBEBUILDER_ASSETS has."""
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        program = tmp_path / "own" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho Kubernetes v{PATCH}\n")
        program.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "own"))
    assert vnode_suite("assets", "fetch", PATCH).exit_code == 0
    assert len(vnode_suite.json("assets", "list")) == 3


class Obtain:
    """In the place of what obtains programs: fails or is interrupted at chosen minors."""

    def __init__(self, problems: dict[str, BaseException]) -> None:
        self.problems = problems
        self.asked: list[str] = []

    def __call__(self, version: KubernetesVersion, **_: object) -> ControlPlaneBinaries:
        self.asked.append(version.minor)
        if version.minor in self.problems:
            raise self.problems[version.minor]
        program = Binary("kube-apiserver", version.patch, Path("x"), {"source": "a test"})
        return ControlPlaneBinaries(version.patch, program, program, program, program)


@pytest.mark.usefixtures("store")
def test_one_that_cannot_be_had_does_not_keep_the_others(
    vnode_suite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are tried, one after the other; the end says which are missing."""
    obtain = Obtain({"1.14": AssetsError("no source has 1.14")})
    monkeypatch.setattr("vnode_suite.clusters.local.assets.obtain_binaries", obtain)
    done = vnode_suite("assets", "fetch", "1.13-1.15")
    assert done.exit_code == 1
    assert obtain.asked == ["1.13", "1.14", "1.15"]
    assert done.stderr.splitlines()[-1] == "error: 1.14 cannot be had; what to do: see the reasons above"
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.usefixtures("store")
def test_an_interrupted_fetch_says_how_to_go_on(
    vnode_suite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 2, and how many are there."""
    obtain = Obtain({"1.15": KeyboardInterrupt()})
    monkeypatch.setattr("vnode_suite.clusters.local.assets.obtain_binaries", obtain)
    done = vnode_suite("assets", "fetch", "all")
    assert done.exit_code == 2
    assert "2 of 10 are in the store; the same command goes on from there" in done.stderr
    assert obtain.asked == ["1.13", "1.14", "1.15"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], ["1.22"]),
        (["--page-revision", "2025-07"], ["1.30"]),
        (["1.19", "1.14-1.15"], ["1.14", "1.15", "1.19"]),
    ],
)
def test_what_fetch_takes(
    vnode_suite: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], asked: list[str]
) -> None:
    """By default what a run takes by default; ranges are spelled as a run spells them."""
    obtain = Obtain({})
    monkeypatch.setattr("vnode_suite.clusters.local.assets.obtain_binaries", obtain)
    assert vnode_suite("assets", "fetch", *arguments).exit_code == 0
    assert obtain.asked == asked
