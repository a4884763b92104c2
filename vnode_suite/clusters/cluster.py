"""A cluster as a run needs it, whoever gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.model import Provider


def _nothing() -> dict[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server that answers, and how it is reached from here.

    :ivar kube: acts with the rights that the run was given: everything on a cluster of its own.
    :ivar server_url: the API server's address on the runner's side.
    :ivar document: the kubeconfig behind ``kube``, paths absolute; secret.
    :ivar context: context of that kubeconfig; ``None`` for its current one.
    :ivar version_info: the server's own answer to ``GET /version``.
    :ivar provenance: where its programs came from, by component; of a given cluster, which kubeconfig named it.
    :ivar timings: seconds from the beginning to each stage.
    :ivar kubeconfig: the file by which a later sweep reaches it again; ``None`` for a cluster that ends with
        the run, so that nothing in it can outlive the run.
    :ivar memory_pss: bytes by process, of a cluster of this machine's own processes.
    """

    provider: Provider
    kube: KubeClient
    server_url: str
    ca_pem: str = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)
    version_info: Mapping[str, Any]
    context: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    kubeconfig: Path | None = None
    memory_pss: Callable[[], Mapping[str, int]] = _nothing

    @property
    def ends_with_the_run(self) -> bool:
        """Whether what is left in it goes with its processes."""
        return self.kubeconfig is None
