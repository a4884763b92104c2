"""What must be asked of a given cluster before a run can be planned: its cells are named by what it says."""

from __future__ import annotations

from dataclasses import replace

from vnode_suite.core.settings import Learnt, Settings
from vnode_suite.model import Provider


def with_learnt(settings: Settings, learnt: Learnt | None = None) -> Settings:
    """*settings* with a given cluster's own version in its cells; as they are for a cluster of the run's own.

    :param learnt: what somebody else has asked already (the controller, for its workers).
    :raises UsageError: the kubeconfig cannot be used as it is written.
    :raises ClusterError: the server cannot be reached, or does not take the credential.
    """
    cluster = settings.cluster
    if cluster.provider is not Provider.EXISTING or cluster.kubeconfig is None:
        return settings
    if learnt is None:
        # Imports the Kubernetes client, which costs half a second: only where there is somebody to ask.
        from vnode_suite.clusters.existing import learn

        learnt = learn(cluster.kubeconfig, cluster.context)
    cells = tuple(replace(cell, version=learnt.minor) for cell in settings.cells)
    return replace(settings, cells=cells, cluster=replace(cluster, learnt=learnt))
