"""A folder of the user's own, such as `KUBEBUILDER_ASSETS`, and the store."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import KUBERNETES_COMPONENTS, SourceUnavailable, allows
from vnode_suite.clusters.local.store import Store, version_key
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion

FOLDER_VARIABLE = "KUBEBUILDER_ASSETS"
#: Printing its version takes a program some 50 ms.
VERSION_SECONDS = 10.0
_VERSION = re.compile(r"Kubernetes v(\d+\.\d+\.\d+)")


class UserFolder:
    """Programs that the user has put into a folder, side by side.

    Asked for several versions, the folder may hold one such folder a version, named like `1.22.15` or as
    envtest does, `1.22.15-linux-amd64`.
    """

    name = "the user's folder"

    def __init__(self, folder: Path | None = None) -> None:
        named = os.environ.get(FOLDER_VARIABLE)
        self.folder = folder or (Path(named).expanduser() if named else None)

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """The programs, if the folder holds all three in one version that suits."""
        if self.folder is None:
            raise SourceUnavailable(f"{FOLDER_VARIABLE} is not set")
        reasons = [self._reason(folder, version) for folder in self._candidates(version)]
        for folder, reason in zip(self._candidates(version), reasons, strict=True):
            if not reason:
                patch = program_version(folder / KUBERNETES_COMPONENTS[0])
                return {
                    component: Binary(
                        component, patch, folder / component, {"source": self.name, "folder": folder.name}
                    )
                    for component in KUBERNETES_COMPONENTS
                }
        raise SourceUnavailable("; ".join(reasons))

    def _candidates(self, version: KubernetesVersion) -> list[Path]:
        if self.folder is None:
            return []
        inside = sorted(self.folder.glob(f"{version.minor}.*")) + sorted(
            self.folder.glob(f"v{version.minor}.*")
        )
        return [*reversed([each for each in inside if each.is_dir()]), self.folder]

    def _reason(self, folder: Path, version: KubernetesVersion) -> str:
        """Why this folder does not do; empty if it does."""
        missing = [name for name in KUBERNETES_COMPONENTS if not os.access(folder / name, os.X_OK)]
        if missing:
            return f"{folder} lacks {', '.join(missing)}"
        found = {name: program_version(folder / name) for name in KUBERNETES_COMPONENTS}
        if len(set(found.values())) > 1:
            return f"{folder} mixes versions: {', '.join(f'{name} {patch}' for name, patch in found.items())}"
        patch = found[KUBERNETES_COMPONENTS[0]]
        return "" if allows(version, patch) else f"{folder} holds {patch or 'programs that tell no version'}"


class StoredPrograms:
    """Programs that an earlier run has put into the store."""

    name = "the store"

    def __init__(self, store: Store) -> None:
        self.store = store

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """The programs of the newest patch that suits and is whole."""
        suitable = [patch for patch in self.store.versions() if allows(version, patch)]
        reasons = []
        for patch in sorted(suitable, key=version_key, reverse=True):
            entries = {name: self.store.get(patch, name) for name in KUBERNETES_COMPONENTS}
            missing = [name for name, entry in entries.items() if entry is None]
            if not missing:
                return {name: entry.binary for name, entry in entries.items() if entry is not None}
            reasons.append(f"{patch} lacks {', '.join(missing)}")
        raise SourceUnavailable("; ".join(reasons) or f"{self.store.root} holds no {version}")


def program_version(program: Path) -> str:
    """The version that a Kubernetes program tells of itself, or an empty string."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(answer.stdout)
    return match[1] if match else ""
