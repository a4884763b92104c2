"""A cluster that the user already has, reached with the user's own kubeconfig and nothing else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.clusters.kubeconfig import read_kubeconfig_files
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.settings import Learnt
from vnode_suite.model import Provider

#: Where kubeadm, and every distribution that follows it, has kube-proxy.
KUBE_PROXY = ("kube-system", "kube-proxy")
#: The API group of eci-profile's Selectors (its published deploy.yaml).
ECI_PROFILE_GROUP = "eci.aliyun.com"
_MINOR = re.compile(r"v?(\d+)\.(\d+)")


def learn(kubeconfig: Path, context: str | None) -> Learnt:
    """Ask a given cluster what must be known before its cells have names; reads three things and changes none.

    :raises UsageError: the kubeconfig cannot be used as it is written.
    :raises ClusterError: the server cannot be reached, or does not take the credential.
    """
    cluster = admin_cluster(read_kubeconfig_files(kubeconfig), context)
    with KubeClient.from_kubeconfig_file(kubeconfig, context) as kube:
        try:
            said = str(kube.server_version()["gitVersion"])
            kube_proxy = _has_kube_proxy(kube)
            eci_profile = kube.raw(f"/apis/{ECI_PROFILE_GROUP}").status == 200
        except KubeError as refused:
            raise ClusterError(
                f"the API server {kube.server} refuses the credential of --kubeconfig",
                found=refused.message or str(refused),
                remedy="see whether kubectl works with this kubeconfig and context",
            ) from None
    return Learnt(
        said,
        minor_of(said),
        kube_proxy,
        server_by_name=not _is_address(cluster.host),
        eci_profile=eci_profile,
    )


def minor_of(git_version: str) -> str:
    """``1.22`` of ``v1.22.15-eks-fb459a0``.

    :raises ClusterError: it is no version.
    """
    found = _MINOR.match(git_version)
    if found is None:
        raise ClusterError(
            "the server's version is not understood", wanted="such as v1.22.15", found=git_version
        )
    return f"{found[1]}.{found[2]}"


@contextmanager
def open_existing(kubeconfig: Path, context: str | None) -> Iterator[Cluster]:
    """The cluster of *context*; nothing of it is changed by opening or closing."""
    began = time.monotonic()
    document = read_kubeconfig_files(kubeconfig)
    named = admin_cluster(document, context)
    with KubeClient.from_kubeconfig_file(kubeconfig, context) as kube:
        version = kube.server_version()
        yield Cluster(
            provider=Provider.EXISTING,
            kube=kube,
            server_url=kube.server,
            ca_pem=named.ca_pem,
            document=document,
            version_info=version,
            context=named.context,
            # File names alone: a path may tell more of the machine than a report should.
            provenance={
                "kubeconfig": os.pathsep.join(Path(part).name for part in str(kubeconfig).split(os.pathsep)),
                "context": named.context,
                "server": kube.server,
            },
            timings={"usable": round(time.monotonic() - began, 3)},
            kubeconfig=kubeconfig,
        )


def _has_kube_proxy(kube: KubeClient) -> bool:
    namespace, name = KUBE_PROXY
    answer = kube.raw(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")
    if answer.status == 401:
        raise KubeError(401, "Unauthorized", "Unauthorized")
    # Who may not look (403) does not know: it is taken to be there, so that a plan asks for the right to see it, and
    # a run ends at its check of rights.
    return answer.status != 404


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
