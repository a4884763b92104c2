"""One fleet and one control plane for all tests that need a real API server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.simulated.vnode.rig import ClusterRig, FleetRig, fleet_rig
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, start_local_cluster
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

#: Name under which the VPC's DNS knows the control plane's host.
API_NAME = "apiserver.vnode-suite.test"
#: Life of a signed certificate: long enough for the other tests, short enough to see a renewal.
SIGNING_SECONDS = 600
#: Another minor, where its binaries are at hand.
VERSION = os.environ.get("VNODE_SUITE_TEST_VERSION", "1.22")


@pytest.fixture(scope="session")
def fleet() -> Iterator[FleetRig]:
    """A fleet in network namespaces."""
    with fleet_rig(network="namespaces", dns_records={API_NAME: "host"}) as rig:
        yield rig


@pytest.fixture(scope="session")
def cluster(fleet: FleetRig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    """A control plane on the VPC's host address, with the rights of the page granted."""
    folder = tmp_path_factory.mktemp("cluster")
    version = load_versions().resolve(VERSION)
    settings = ControlPlaneSettings(
        address=fleet.network.host_address,
        node_monitor_grace_seconds=4,
        cluster_signing_seconds=SIGNING_SECONDS,
    )
    with (
        Supervisor(log=folder / "supervisor.log") as supervisor,
        start_local_cluster(
            version, folder / "cluster", supervisor, binaries=obtain_binaries(version), settings=settings
        ) as running,
        KubeClient.from_kubeconfig_text(running.admin_kubeconfig) as kube,
    ):
        rig = ClusterRig(running, kube, version.facts.csr_api)
        rig.grant_rights()
        yield rig
