"""A control plane with two API servers, each on a network of its own: what each of them sees of a VNode."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.simulated.vnode.rig import ClusterRig, FleetRig, VNodeRig, fleet_rig
from vnode_suite.checks.port import Answer, api_server_reaches_10250, api_server_reaches_10255
from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.local.another import AnotherApiServer, start_another
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import ControlPlaneSettings, LocalCluster, start_local_cluster
from vnode_suite.clusters.members import api_servers
from vnode_suite.core.modules import command
from vnode_suite.core.polling import poll
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions
from vnode_suite.model import Observation, Provider
from vnode_suite.probes.ports import port_answer

pytestmark = [pytest.mark.long, pytest.mark.cluster, pytest.mark.netns]

API_PORT = 6443
#: The API server's own dial gives up after 30 s; this is how long a test waits for its word.
PATIENCE = 45.0


@dataclass
class Rig:
    """Both servers, and the VPC that they are in."""

    fleet: FleetRig
    first: LocalCluster
    second: AnotherApiServer
    cluster: Cluster
    rights: ClusterRig

    def vnode(self, *defects: str) -> VNodeRig:
        """A VNode that the first server's kubeconfig is handed to, when it is Ready."""
        vnode = self.fleet.launch(self.rights.kubeconfig(self.rights.service_account_token()), *defects)
        self.rights.wait_node(vnode, "True")
        return vnode

    def ways(self, vnode: VNodeRig, port: int) -> Observation[Answer]:
        """What each server makes of a port."""
        with api_servers(self.cluster) as servers:
            node = vnode.node_path.rpartition("/")[2]
            return port_answer(servers, node, port, timeout_seconds=PATIENCE)


def entry(fleet: FleetRig) -> tuple[str, list[str]]:
    """A machine of the VPC: its address, and how its network is entered."""
    pid, address = fleet.thread.run(fleet.fleet.add_host())
    return address, command("vnode_suite.simulated.vpc", "enter", str(pid))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two API servers on one etcd, neither on the runner's network."""
    folder: Path = tmp_path_factory.mktemp("two")
    version = load_versions().resolve("1.22")
    with (
        fleet_rig(network="namespaces") as fleet,
        Supervisor(log=folder / "supervisor.log") as supervisor,
    ):
        (one, into_one), (other, into_other) = entry(fleet), entry(fleet)
        settings = ControlPlaneSettings(
            address=one,
            api_server_entry=into_one,
            api_server_port=API_PORT,
            etcd_address=fleet.network.host_address,
        )
        with (
            start_local_cluster(
                version, folder / "cluster", supervisor, binaries=obtain_binaries(version), settings=settings
            ) as first,
            start_another(first, "second", address=other, entry=into_other, port=API_PORT) as second,
            KubeClient.from_kubeconfig_text(first.admin_kubeconfig) as kube,
        ):
            document = yaml.safe_load(first.admin_kubeconfig)
            cluster = Cluster(
                Provider.LOCAL, kube, first.server_url, first.ca_pem, document, first.version_info
            )
            poll(
                lambda: len(_endpoints(kube)) == 2 or None,
                what="both servers to be in the Endpoints",
                deadline_seconds=30,
            )
            rights = ClusterRig(first, kube, version.facts.csr_api)
            rights.grant_rights()
            yield Rig(fleet, first, second, cluster, rights)


def _endpoints(kube: KubeClient) -> list[str]:
    subsets = kube.get("/api/v1/namespaces/default/endpoints/kubernetes").get("subsets") or ()
    return [address["ip"] for subset in subsets for address in subset.get("addresses") or ()]


def test_every_server_is_asked_by_itself(rig: Rig) -> None:
    """A sound VNode's ports are open to both, and both are named."""
    vnode = rig.vnode()
    for port, check in ((10250, api_server_reaches_10250), (10255, api_server_reaches_10255)):
        answer = rig.ways(vnode, port)
        places = {way.rpartition(" ")[2] for way, _ in answer.value.ways}
        assert places == {
            rig.first.server_url.removeprefix("https://"),
            rig.second.server_url.removeprefix("https://"),
        }
        assert check(answer).holds, answer
    rig.fleet.stop(vnode)


def test_a_port_can_be_open_to_the_runner_and_to_one_server_and_closed_to_the_other(rig: Rig) -> None:
    """Packets of the first server alone are dropped: a dial from here says nothing of what it sees."""
    vnode = rig.vnode("port-10250-closed-to-api-server")
    with socket.create_connection((vnode.address, 10250), timeout=30):
        pass
    answer = rig.ways(vnode, 10250)
    seen = {way.rpartition(" ")[2]: slug for way, slug in answer.value.ways}
    assert seen == {
        rig.first.server_url.removeprefix("https://"): "timed-out",
        rig.second.server_url.removeprefix("https://"): "",
    }
    judged = api_server_reaches_10250(answer)
    assert (judged.holds, judged.reason) == (False, "port-timed-out")
    rig.fleet.stop(vnode)


def test_a_server_that_is_gone_is_not_held_against_the_vnode(rig: Rig) -> None:
    """The Endpoints name it for a while; that it cannot be asked is said, and the other's word is judged."""
    vnode = rig.vnode()
    rig.second.stop()
    with api_servers(rig.cluster) as servers:
        assert servers.unasked == (rig.second.server_url.removeprefix("https://"),)
        node = vnode.node_path.rpartition("/")[2]
        seen = port_answer(servers, node, 10250, timeout_seconds=PATIENCE)
    assert api_server_reaches_10250(seen).holds
    assert any("cannot be reached" in evidence.name for evidence in seen.evidence)
    rig.fleet.stop(vnode)
