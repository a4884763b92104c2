"""Where programs come from: one module a source, behind one small protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vnode_suite.clusters.local.arguments import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from vnode_suite.clusters.local.binaries import Binary
from vnode_suite.core.errors import AssetsError
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion

#: The components that every source gives together, all of one patch.
KUBERNETES_COMPONENTS = (API_SERVER, CONTROLLER_MANAGER, SCHEDULER)


class SourceUnavailable(AssetsError):
    """This source cannot give what is wanted; the next one may."""


class Source(Protocol):
    """One place to get Kubernetes' own three programs from."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def obtain(self, version: KubernetesVersion, progress: Progress) -> Mapping[str, Binary]:
        """The programs of `KUBERNETES_COMPONENTS`, all of one patch that `version` allows.

        :raises SourceUnavailable: it has none, with the reason.
        """


def allows(version: KubernetesVersion, patch: str) -> bool:
    """Whether `patch` is what was asked for: this very patch, or any of the minor."""
    return patch == version.patch if version.exact else patch.startswith(f"{version.minor}.")
