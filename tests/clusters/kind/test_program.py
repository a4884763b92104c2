"""The kind command, from whichever way gives it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from vnode_suite.clusters.kind import gotools, program
from vnode_suite.clusters.kind.gotools import GoTool
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError, UsageError
from vnode_suite.core.progress import Progress, SilentProgress
from vnode_suite.data.versions import load_versions

VERSION = load_versions().resolve("1.22")
needs_pytest_kind = pytest.mark.skipif(
    importlib.util.find_spec("pytest_kind") is None, reason="pytest-kind is not installed (extra `kind`)"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    root = tmp_path / "assets"
    root.mkdir()
    return Store(root)


def kind_that_says(folder: Path, release: str) -> Path:
    """A program that claims to be a release of kind."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kind"
    file.write_text(f"#!/bin/sh\necho {release}\n")
    file.chmod(0o755)
    return file


def no_go(*_: object) -> Binary:
    """Go, where there is none."""
    raise SourceUnavailable("no Go toolchain")


def test_the_right_release_on_path_is_taken(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is not the right release is not: none of them spans all minors."""
    there = kind_that_says(tmp_path / "bin", "0.20.0")
    monkeypatch.setenv("PATH", str(there.parent), prepend=":")
    monkeypatch.setattr(program, "_download", lambda *_: "not asked")
    monkeypatch.setattr(gotools, "obtain", no_go)
    assert program.obtain_kind(VERSION, store, SilentProgress()).path == there
    with pytest.raises(AssetsError, match=r"kind 0\.12\.0, which makes clusters of Kubernetes 1\.13"):
        program.obtain_kind(load_versions().resolve("1.13"), store, SilentProgress())


def test_where_no_way_gives_it_every_reason_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Download, Go, and what a person can do."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(program, "_download", lambda *_: "no such host")
    monkeypatch.setattr(gotools, "obtain", no_go)
    with pytest.raises(AssetsError, match=r"(?s)no such host.*no Go toolchain.*KIND_DOWNLOAD_URL"):
        program.obtain_kind(VERSION, store, SilentProgress())


def test_go_install_is_asked_for_the_release_when_nothing_can_be_downloaded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release that the table of versions names."""
    asked: list[GoTool] = []

    def obtain(tool: GoTool, store: Store, progress: Progress) -> Binary:
        asked.append(tool)
        return Binary(tool.name, tool.version, Path("/kind"))

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(program, "_download", lambda *_: "no such host")
    monkeypatch.setattr(gotools, "obtain", obtain)
    program.obtain_kind(VERSION, store, SilentProgress())
    assert [tool.reference for tool in asked] == ["sigs.k8s.io/kind@v0.20.0"]


@needs_pytest_kind
def test_pytest_kinds_download_comes_into_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever KIND_DOWNLOAD_URL says; a second run finds it there."""
    import http.server
    import threading

    served = kind_that_says(tmp_path / "served", "0.20.0")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(served.parent))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KIND_DOWNLOAD_URL", f"http://127.0.0.1:{server.server_port}/kind")
        monkeypatch.setenv("PATH", "/bin:/usr/bin")
        found = program.obtain_kind(VERSION, store, SilentProgress())
        server.shutdown()
    assert found.path.is_relative_to(store.root)
    assert subprocess.run([found.path], capture_output=True, text=True, check=True).stdout == "0.20.0\n"
    assert program.obtain_kind(VERSION, store, SilentProgress()).path == found.path


def test_without_pytest_kind_the_option_is_refused_with_how_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is never a dependency by default: its licence is the GPL."""
    monkeypatch.setitem(sys.modules, "pytest_kind", None)
    with pytest.raises(UsageError, match=r"GPL-3\.0.*pip install 'vnode-suite\[kind\]'"):
        program.check_pytest_kind()
