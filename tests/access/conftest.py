"""A real control plane for the tests of identities, started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnode_suite.access.creating import Making
from vnode_suite.access.kubeconfig import AdminCluster, admin_cluster
from vnode_suite.access.objects import Naming
from vnode_suite.cleanup.journal import Journal
from vnode_suite.cleanup.nets import Nets
from vnode_suite.cleanup.undo import ClusterAccess, standard_registry
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.kubeconfig import parse_kubeconfig

#: Version of the control plane that these tests run against; any of the table will do.
VERSION = os.environ.get("VNODE_SUITE_TEST_VERSION", "1.22")


@dataclass(frozen=True, slots=True)
class Access:
    """What a test of an identity works with; everything it makes is undone after it."""

    kube: KubeClient
    admin: AdminCluster
    admin_kubeconfig: str
    making: Making
    naming: Naming
    nets: Nets


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The admin kubeconfig of a local control plane."""
    from vnode_suite.clusters.local.assets import obtain_binaries
    from vnode_suite.clusters.local.controlplane import start_local_cluster
    from vnode_suite.core.processes import Supervisor
    from vnode_suite.data.versions import load_versions

    version = load_versions().resolve(VERSION)
    folder = tmp_path_factory.mktemp("control-plane")
    with (
        Supervisor(log=folder / "supervisor.log") as supervisor,
        start_local_cluster(
            version, folder / "cluster", supervisor, binaries=obtain_binaries(version)
        ) as cluster,
    ):
        yield cluster.admin_kubeconfig


@pytest.fixture
def access(control_plane: str, tmp_path: Path) -> Iterator[Access]:
    """A client, a journal and a naming of a run of the test's own."""
    naming = Naming("test", "1.22-bootstrap")
    with (
        KubeClient.from_kubeconfig_text(control_plane) as kube,
        Journal.open("test", state=tmp_path / "state") as journal,
    ):
        nets = Nets(journal, standard_registry(ClusterAccess({}, {"it": kube})))
        admin = admin_cluster(parse_kubeconfig(control_plane, origin="the admin kubeconfig"))
        yield Access(kube, admin, control_plane, Making(kube, journal, "it"), naming, nets)
        assert nets.close() == ()
