"""The official release download: one file a program, each with a checksum beside it.

    <base>/v1.22.17/bin/linux/amd64/kube-apiserver
    <base>/v1.22.17/bin/linux/amd64/kube-apiserver.sha512

SHA-512 is asked for first, then SHA-256. Of old releases only a SHA-1 may be published: it is taken, since
it still tells a damaged file, and the provenance says that it was no more than that. A file without any is
refused.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from pathlib import Path

from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.clusters.local.sources import KUBERNETES_COMPONENTS, SourceUnavailable
from vnode_suite.clusters.local.sources.download import Download, NotThere
from vnode_suite.clusters.local.store import Store, StoreEntry, digest_of
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion

BASE_VARIABLE = "VNODE_SUITE_RELEASE_URL"
DEFAULT_BASE = "https://dl.k8s.io"
#: Kinds of checksum by the ending of their file, strongest first.
CHECKSUMS = ("sha512", "sha256", "sha1")


class ReleaseDownload:
    """Programs as upstream released them, downloaded into the store."""

    name = "the release download"

    def __init__(self, store: Store, base: str | None = None, download: Download | None = None) -> None:
        self.store = store
        self.base = (base or os.environ.get(BASE_VARIABLE) or DEFAULT_BASE).rstrip("/")
        self.download = download or Download()

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """Download the three programs, or take what another run has just downloaded."""
        patch = version.patch_from("official")
        if patch is None:
            raise SourceUnavailable(f"no release of {version} is known")
        self.download.check_reachable(self.base)
        return {name: self._component(patch, name, progress).binary for name in KUBERNETES_COMPONENTS}

    def _component(self, patch: str, component: str, progress: Progress) -> StoreEntry:
        with self.store.holding(f"{patch}-{component}", f"downloading {component} {patch}", progress):
            entry = self.store.get_sound(patch, component)
            if entry is None:
                entry = self._fetch(patch, component, progress)
            return entry

    def _fetch(self, patch: str, component: str, progress: Progress) -> StoreEntry:
        platform = self.store.platform
        url = f"{self.base}/v{patch}/bin/{platform.os}/{platform.arch}/{component}"
        began = time.monotonic()
        kind, wanted = self._checksum(url)
        part = self.store.part(patch, component)
        resumed = part.exists()
        with progress.task(f"downloading {component} {patch}", unit="B") as task:
            self.download.to_file(url, part, task)
            if digest_of(part, kind) != wanted and resumed:
                # The first half may be of another file than the second; once more from the beginning tells.
                part.unlink()
                self.download.to_file(url, part, task)
        _check(part, kind, wanted, url)
        provenance = {
            "source": self.name,
            "url": url,
            "checksum": f"{kind}:{wanted}",
            "downloaded": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "duration_seconds": round(time.monotonic() - began, 1),
            "deviations": [],
        }
        return self.store.add(patch, component, part, provenance)

    def _checksum(self, url: str) -> tuple[str, str]:
        for kind in CHECKSUMS:
            try:
                text = self.download.text(f"{url}.{kind}")
            except NotThere:
                continue
            digits = text.split()[0].lower() if text.split() else ""
            if digits and set(digits) <= set("0123456789abcdef"):
                return kind, digits
            raise SourceUnavailable(f"{url}.{kind} holds no checksum")
        raise SourceUnavailable(f"{url} is not there, or has no checksum beside it ({', '.join(CHECKSUMS)})")


def _check(part: Path, kind: str, wanted: str, url: str) -> None:
    found = digest_of(part, kind)
    if found != wanted:
        size = part.stat().st_size
        # What is wrong once stays wrong: the next try must not resume from it.
        part.unlink()
        raise SourceUnavailable(
            f"{url} has a wrong checksum",
            wanted=f"{kind} {wanted}",
            found=f"{kind} {found} ({size} bytes)",
        )
