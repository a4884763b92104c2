"""Programs that `go install` gives: kind itself where it cannot be downloaded, and what a node image needs."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import SourceUnavailable
from vnode_suite.clusters.local.sources.modules import STEP_SECONDS
from vnode_suite.clusters.local.sources.toolchain import find_go
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.progress import Progress

#: Releases of kind and CoreDNS from 2021 to 2023 build with it.
_TOOLCHAIN = "go1.19.13"


@dataclass(frozen=True, slots=True)
class GoTool:
    """A program of a published module.

    :ivar version: as in "0.20.0".
    """

    name: str
    module: str
    version: str

    @property
    def reference(self) -> str:
        """As the go command takes it."""
        return f"{self.module}@v{self.version}"


def obtain(tool: GoTool, store: Store, progress: Progress) -> Binary:
    """The program from the store, or built now and put into it.

    :raises SourceUnavailable: there is no Go, or the module cannot be had.
    """
    with store.holding(f"go-{tool.name}-{tool.version}", f"building {tool.name} {tool.version}", progress):
        entry = store.get_sound(tool.version, tool.name)
        if entry is None:
            began = time.monotonic()
            with (
                progress.task(f"building {tool.name} {tool.version} from its Go module"),
                store.staging() as folder,
            ):
                go(
                    ["install", "-trimpath", "-ldflags=-s -w", tool.reference],
                    store,
                    progress,
                    bin_folder=folder,
                )
                entry = store.add(tool.version, tool.name, folder / tool.name, _provenance(tool, began))
    return entry.binary


def module_folder(tool: GoTool, store: Store, progress: Progress) -> Path:
    """Where Go keeps the files of a tool's module, fetched if need be.

    :raises SourceUnavailable: the module cannot be had.
    """
    return Path(json.loads(go(["mod", "download", "-json", tool.reference], store, progress))["Dir"])


def build_file(source: str, program: Path, store: Store, progress: Progress) -> None:
    """Compile one file of Go that needs nothing but Go's own library.

    :param source: its text.
    """
    file = program.with_name(f"{program.name}.go")
    file.write_text(source, encoding="utf-8")
    go(["build", "-trimpath", "-ldflags=-s -w", "-o", str(program), str(file)], store, progress)
    file.unlink()


def go(argv: Sequence[str], store: Store, progress: Progress, *, bin_folder: Path | None = None) -> str:
    """Run the go command and return its standard output.

    :param bin_folder: where `go install` puts programs.
    :raises SourceUnavailable: it failed; holds the end of what it said.
    """
    environment = {
        **os.environ,
        "GOTOOLCHAIN": _TOOLCHAIN,
        "GOFLAGS": "-mod=mod",
        "GO111MODULE": "on",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    if bin_folder is not None:
        environment["GOBIN"] = str(bin_folder)
    try:
        answer = subprocess.run(
            [find_go(store, _TOOLCHAIN, progress).program, *argv],
            capture_output=True,
            text=True,
            env=environment,
            # A go.mod of wherever the user happens to be is none of ours.
            cwd=store.root,
            timeout=STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceUnavailable(f"`go {argv[0]}` did not end within {STEP_SECONDS:g} s") from None
    if answer.returncode != 0:
        raise SourceUnavailable(
            f"`go {argv[0]} {argv[-1]}` failed",
            found=" ".join(answer.stderr.strip().splitlines()[-3:])[-500:],
        )
    return answer.stdout


def _provenance(tool: GoTool, began: float) -> Mapping[str, Any]:
    return {
        "source": "building from Go modules",
        "module": tool.reference,
        "toolchain": _TOOLCHAIN,
        "flags": ["-trimpath", "CGO_ENABLED=0"],
        "built": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "duration_seconds": round(time.monotonic() - began, 1),
    }
