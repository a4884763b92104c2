"""Which image a node is made of: kind's published one, by digest, or one that was built here."""

from __future__ import annotations

from vnode_suite.clusters.kind.docker import WORK_SECONDS, Docker
from vnode_suite.clusters.kind.nodeimage.build import PROVENANCE_LABEL, NodeImage, local_reference
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.progress import Progress
from vnode_suite.data.versions import KubernetesVersion


def obtain_image(version: KubernetesVersion, docker: Docker, progress: Progress) -> NodeImage:
    """The image for *version*: what is there already, else pulled.

    :raises ClusterError: none is there, and none can be pulled; says how one is built.
    """
    published, built = _published(version), local_reference(version)
    for reference in (published, built):
        if reference and (found := _there(docker, reference)):
            return found
    reason = f"no image of {version} is published"
    if published:
        try:
            with progress.task(f"pulling {published.partition('@')[0]}"):
                docker("pull", "--quiet", published, timeout=WORK_SECONDS)
            if found := _there(docker, published):
                return found
        except ClusterError as problem:
            reason = problem.found or problem.summary
    raise ClusterError(
        f"there is no node image of Kubernetes {version}",
        wanted=" or ".join(each for each in (published, built) if each) or "a version that has one",
        found=reason,
        remedy=f"docker load it from a machine that can pull, or build one here: vnode-suite assets node-image "
        f"{version.minor}",
    )


def _published(version: KubernetesVersion) -> str:
    """kind's image by digest, empty where it is of another patch than the one that was asked for."""
    tag = version.node_image.partition("@")[0].rpartition(":")[2]
    return "" if version.exact and tag != f"v{version.patch}" else version.node_image


def _there(docker: Docker, reference: str) -> NodeImage | None:
    found = docker.image(reference)
    if found is None:
        return None
    labels = (found.get("Config") or {}).get("Labels") or {}
    made = labels.get(PROVENANCE_LABEL)
    provenance = (
        {"source": "kind's published image"} if made is None else {"source": "built here", "recipe": made}
    )
    return NodeImage(reference, str(found.get("Id", "")), provenance=provenance)
