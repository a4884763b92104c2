"""The kind command of the release that a version needs: no release of kind spans 1.13 to 1.22."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from vnode_suite.clusters.kind import gotools
from vnode_suite.clusters.kind.gotools import GoTool
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError, UsageError
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion

KIND = "kind"
_MODULE = "sigs.k8s.io/kind"
#: 7 MB to download.
_DOWNLOAD_SECONDS = 300.0
_ASK_SECONDS = 30.0
#: pytest-kind's own download, in a process of its own: which release, it takes from the environment.
_DOWNLOAD = (
    "import pathlib, sys; from pytest_kind import KindCluster; "
    "KindCluster('download', kind_path=pathlib.Path(sys.argv[1])).ensure_kind()"
)


def check_pytest_kind() -> None:
    """Do nothing where pytest-kind is installed.

    :raises UsageError: it is not; it is never installed unasked, for its licence's sake.
    """
    try:
        import pytest_kind  # noqa: F401
    except ImportError:
        raise UsageError(
            "--vnode-cluster kind needs pytest-kind, which is not installed",
            wanted="the extra `kind` (pytest-kind is under GPL-3.0 or later, so it is never installed by itself)",
            remedy="pip install 'vnode-suite[kind]'",
        ) from None


def obtain_kind(version: KubernetesVersion, store: Store, progress: Progress) -> Binary:
    """The kind command for *version*: from the store, PATH, pytest-kind's download, or `go install`.

    :raises AssetsError: no way gives it; lists each with its reason.
    """
    wanted = version.kind.removeprefix("v")
    with store.holding(f"{KIND}-{wanted}", f"fetching kind {wanted}", progress):
        entry = store.get_sound(wanted, KIND)
        if entry is not None:
            return entry.binary
        on_path = shutil.which(KIND)
        if on_path and _release_of(Path(on_path)) == wanted:
            return Binary(KIND, wanted, Path(on_path), {"source": "PATH"})
        with progress.task(f"downloading kind {wanted}"):
            downloaded = _download(wanted, store)
        if isinstance(downloaded, Binary):
            return downloaded
    try:
        return gotools.obtain(GoTool(KIND, _MODULE, wanted), store, progress)
    except AssetsError as problem:
        raise AssetsError(
            f"kind {wanted}, which makes clusters of Kubernetes {version.minor}, cannot be had",
            found=f"\n  - download by pytest-kind: {downloaded}\n  - go install: {problem}",
            remedy=f"put kind {wanted} on PATH, or name a mirror's file in KIND_DOWNLOAD_URL",
        ) from None


def _download(wanted: str, store: Store) -> Binary | str:
    """The program, or why pytest-kind cannot download it."""
    if store.platform.arch != "amd64":
        return f"it only knows amd64, and this is {store.platform.arch}"
    with store.staging() as folder:
        program = folder / KIND
        try:
            answer = subprocess.run(
                [sys.executable, "-c", _DOWNLOAD, str(program)],
                # It makes a folder of its own in the current one.
                cwd=folder,
                env={**os.environ, "KIND_VERSION": f"v{wanted}"},
                capture_output=True,
                text=True,
                timeout=_DOWNLOAD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not done within {_DOWNLOAD_SECONDS:g} s"
        if answer.returncode != 0:
            return (answer.stderr.strip() or "no output").splitlines()[-1][:300]
        found = _release_of(program)
        if found != wanted:
            return f"what came is kind {found or 'of no known release'}"
        return store.add(
            wanted, KIND, program, {"source": "pytest-kind's download, without a checksum"}
        ).binary


def _release_of(program: Path) -> str:
    """As in "0.20.0"; empty where the program does not say."""
    try:
        answer = subprocess.run(
            [program, "version", "--quiet"],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().removeprefix("v")
