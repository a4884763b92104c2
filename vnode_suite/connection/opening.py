"""Opening a world, one way for each provider: the control plane, the ECI side, and the way between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.cleanup.nets import Nets
from vnode_suite.cleanup.undo import ClusterAccess, standard_registry
from vnode_suite.clusters import kube
from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.existing import KUBE_PROXY, open_existing
from vnode_suite.clusters.kind.cluster import open_kind_cluster, prepare
from vnode_suite.clusters.kind.config import KindOrder, cluster_name
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.clusters.local.another import start_another
from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import (
    START_DEADLINE_SECONDS,
    ControlPlaneSettings,
    LocalCluster,
    start_local_cluster,
)
from vnode_suite.clusters.local.store import Store
from vnode_suite.clusters.members import endpoint_addresses
from vnode_suite.connection import way
from vnode_suite.connection.cloud import CloudSide, open_emulated
from vnode_suite.connection.live import open_live
from vnode_suite.connection.needed import check_rights
from vnode_suite.connection.recorded import replayed
from vnode_suite.connection.standing import open_standing
from vnode_suite.connection.standins import KubeProxy, stand_in_for_kubeadm
from vnode_suite.core.documents import load_yaml
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.modules import command
from vnode_suite.core.polling import poll
from vnode_suite.eci import sdk
from vnode_suite.model import Cloud, Profile, Provider
from vnode_suite.probes.daemonsets import bound_node, path_of, pods_of
from vnode_suite.probes.snapshots import Snapshot, dump

if TYPE_CHECKING:
    from vnode_suite.clusters.relay import Relay
    from vnode_suite.connection.run import Run
    from vnode_suite.connection.world import World

#: How soon a lost heartbeat shows, in seconds (kube-controller-manager's default: 40 and 5): after a few that did
#: not come, as there.
NODE_MONITOR_GRACE = 3.5
NODE_MONITOR_PERIOD = 0.5
#: ... and on a busy machine so many times what the API server took to answer: 2 to 3 s on two idle cores, where a
#: heartbeat takes hundredths of a second.
NODE_MONITOR_GRACE_STARTS = 1.0
#: Of an API server on a network of its own, where nobody else has it: kubeadm's.
API_SERVER_PORT = 6443
#: The label by which a node is known as a VNode (the page's exclusion rests on it).
_VNODE_LABEL = ("type", "virtual-kubelet")


@dataclass(frozen=True, slots=True)
class Opened:
    """A world's places.

    :ivar kube_proxy: ``None`` where the cluster has no DaemonSet of that name.
    :ivar before: the cluster as it was before the run made anything that is to be undone.
    :ivar longer: entries of the table of deadlines, and by how many seconds they are longer here than it says.
    """

    cluster: Cluster
    cloud: CloudSide
    way: way.Way
    kube_proxy: KubeProxy | None
    before: Snapshot
    longer: Mapping[str, float] = field(default_factory=dict)


def open_local(world: World, stack: ExitStack) -> Opened:
    """A control plane of local processes, bound to an address of the simulated VPC."""
    run, version = world.run, world.version_name
    binaries = world.timed("binaries", lambda: obtain_binaries(world.version, progress=run.progress))
    world.say(f"starting Kubernetes {binaries.version}", f"正在启动 Kubernetes {binaries.version}")
    # Long done when the control plane is up.
    sdk.preload()
    kube.preload()
    cloud = open_simulated(run, version, stack)
    run.journal.cluster(world.ref, kubeconfig=None, context=None, server="")
    local = stack.enter_context(
        start_local_cluster(
            world.version,
            run.scratch / f"cluster-{version}",
            run.supervisor,
            binaries=binaries,
            name=f"k8s-{version}",
            settings=dataclasses.replace(
                _placed(world, cloud),
                node_monitor_grace_seconds=NODE_MONITOR_GRACE,
                node_monitor_grace_starts=NODE_MONITOR_GRACE_STARTS,
                node_monitor_period_seconds=NODE_MONITOR_PERIOD,
            ),
        )
    )
    stack.callback(_keep_logs, run, local.logs, version)
    if local.settings.api_server_entry:
        _add_second_server(local, cloud, stack)
    client = stack.enter_context(KubeClient.from_kubeconfig_text(local.admin_kubeconfig))
    cluster = Cluster(
        provider=Provider.LOCAL,
        kube=client,
        server_url=local.server_url,
        ca_pem=local.ca_pem,
        document=load_yaml(local.admin_kubeconfig),
        version_info=local.version_info,
        provenance=local.provenance,
        timings=local.timings,
        memory_pss=local.memory_pss,
    )
    kube_proxy = stand_in_for_kubeadm(client, world.version)
    longer = {"stays-ready": local.settings.node_monitor_grace_seconds - NODE_MONITOR_GRACE}
    return Opened(cluster, cloud, way.Way(here=local.server_url), kube_proxy, dump(client), longer)


def _placed(world: World, cloud: CloudSide) -> ControlPlaneSettings:
    """Where the API server is: at this machine's address in the VPC; in profile full on a network of its own.

    What a port is to the API server can then differ from what it is to the runner.
    """
    if world.run.settings.scope.profile is not Profile.FULL or cloud.network != "namespaces":
        return ControlPlaneSettings(address=cloud.host_address)
    address, entry = cloud.new_host()
    return ControlPlaneSettings(
        address=address,
        api_server_entry=entry,
        api_server_port=API_SERVER_PORT,
        etcd_address=cloud.host_address,
    )


def _add_second_server(local: LocalCluster, cloud: CloudSide, stack: ExitStack) -> None:
    """A control plane of two API servers, each on a network of its own; both are in the Endpoints when this returns."""
    address, entry = cloud.new_host()
    second = stack.enter_context(
        start_another(local, "second", address=address, entry=entry, port=API_SERVER_PORT)
    )
    wanted = {local.settings.address, address}
    with KubeClient.from_kubeconfig_text(second.admin_kubeconfig) as its:
        poll(
            lambda: wanted <= set(endpoint_addresses(its)) or None,
            what="both API servers to stand in the Endpoints of the Service kubernetes",
            deadline_seconds=START_DEADLINE_SECONDS,
        )


#: The end of a log says why a component failed; all of it would outweigh the report.
_LOG_BYTES = 256 * 1024


def _keep_logs(run: Run, logs: Mapping[str, Path], version: str) -> None:
    """The end of each component's log, without secrets, as evidence."""
    for name, path in logs.items():
        if path.exists():
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LOG_BYTES))
                text = file.read().decode("utf-8", "replace")
            kept, _ = run.secrets.redact(text)
            (run.folder / "evidence" / f"{name}-{version}.log").write_text(kept, encoding="utf-8")


def open_given(world: World, stack: ExitStack) -> Opened:
    """The user's own cluster: nothing of it is changed here, and rights are looked at before anything is made.

    :raises StepNotReached: the kubeconfig's user lacks a right that the run needs.
    """
    run, settings = world.run, world.run.settings.cluster
    if settings.kubeconfig is None:
        raise ClusterError("an existing cluster needs a kubeconfig")
    world.say("looking at the given cluster", "正在检查给定的集群")
    sdk.preload()
    cluster = stack.enter_context(open_existing(settings.kubeconfig, settings.context))
    kube = cluster.kube
    check_rights(kube, run.settings, world.version.facts)
    run.journal.cluster(
        world.ref, kubeconfig=settings.kubeconfig, context=settings.context, server=cluster.server_url
    )
    before = world.timed("snapshot", lambda: dump(kube))
    kube_proxy = find_kube_proxy(kube)
    if run.settings.given is not None:
        # Undone last: what the run made is Pods and claims of its own, and nothing of the VNode.
        stack.callback(undo_what_is_left, world, kube)
        cloud, here = open_standing(run, run.settings.given, cluster, stack)
        return Opened(cluster, cloud, here, kube_proxy, before)
    admin = admin_cluster(cluster.document, settings.context)
    # Undone last of all in the cluster, when no VNode is left that could register its Node again.
    stack.callback(undo_what_is_left, world, kube)
    if run.settings.cloud.cloud is Cloud.LIVE:
        # Its VNodes dial what the kubeconfig names, over a network that is not ours to look into.
        cloud = stack.enter_context(open_live(run))
        # Undone before the VNodes are: those are not deleted while Pods' instances are on them.
        stack.callback(undo_what_is_left, world, kube, kinds=("Pod",))
        return Opened(cluster, cloud, way.Way(admin.server), kube_proxy, before)
    planned = way.plan(admin)
    cloud = open_simulated(
        run, world.version_name, stack, connected=planned.connected, dns_records=planned.dns_records
    )
    namespaces = cloud.network == "namespaces"
    relay = _relayed(planned, cloud, stack) if namespaces else None
    found = way.resolve(
        admin, planned, relay=(relay.host, relay.port) if relay else None, namespaces=namespaces
    )
    return Opened(cluster, cloud, found, kube_proxy, before)


def open_kind(world: World, stack: ExitStack) -> Opened:
    """A kind cluster, whose API server Docker publishes at this machine's address in the simulated VPC.

    So VNodes reach it as they reach a local one; it reaches them through the machine, which lends it that address.
    """
    run, version = world.run, world.version_name
    store = Store.default()
    prepared = world.timed("binaries", lambda: prepare(world.version, store=store, progress=run.progress))
    world.say(
        f"kind {prepared.kind.version} is making a cluster of {prepared.image.reference.partition('@')[0]}",
        f"kind {prepared.kind.version} 正在用 {prepared.image.reference.partition('@')[0]} 创建集群",
    )
    sdk.preload()
    kube.preload()
    cloud = open_simulated(run, version, stack)
    run.journal.cluster(world.ref, kubeconfig=None, context=None, server="")
    order = KindOrder(
        name=cluster_name(run.id, version),
        image=prepared.image.reference,
        address=cloud.host_address,
    )
    entry = run.journal.intend(
        "kind cluster", order.name, {"action": "remove-kind-cluster", "cluster": order.name}, where="local"
    )
    removal = run.supervisor.at_end(command("vnode_suite.clusters.kind", "remove", order.name))

    def gone() -> None:
        run.supervisor.cancel_at_end(removal)
        entry.undone()

    cluster = stack.enter_context(
        open_kind_cluster(
            order,
            world.version,
            prepared,
            folder=run.scratch / f"kind-{version}",
            evidence=run.folder / "evidence",
            keeps=lambda: world.keeps(entry),
            gone=gone,
        )
    )
    entry.done()
    before = dump(cluster.kube)
    return Opened(
        cluster,
        cloud,
        way.published(cluster.server_url, cloud.host_address, namespaces=cloud.network == "namespaces"),
        find_kube_proxy(cluster.kube),
        before,
    )


OPENINGS: Mapping[Provider, Callable[[World, ExitStack], Opened]] = {
    Provider.LOCAL: open_local,
    Provider.EXISTING: open_given,
    Provider.KIND: open_kind,
}


def open_simulated(
    run: Run,
    version: str,
    stack: ExitStack,
    *,
    connected: Sequence[str] = (),
    dns_records: Mapping[str, str] | None = None,
) -> CloudSide:
    """The emulator, or a recording with the emulator's VNodes standing in for the recorded ones."""
    simulator = stack.enter_context(open_emulated(run, version, connected=connected, dns_records=dns_records))
    if run.settings.cloud.cloud is not Cloud.REPLAY:
        return simulator
    return stack.enter_context(replayed(run, simulator))


def find_kube_proxy(kube: KubeClient) -> KubeProxy | None:
    """kube-proxy's DaemonSet, and the nodes that must keep it; ``None`` where there is none.

    Those are the nodes that have it now: a Windows node, or one with another proxy, need not.
    """
    namespace, name = KUBE_PROXY
    try:
        daemonset = kube.get(path_of(namespace, name))
    except KubeError as problem:
        if problem.status == 404:
            return None
        raise
    key, value = _VNODE_LABEL
    ordinary = [
        node["metadata"]["name"]
        for node in kube.list("/api/v1/nodes")
        if (node["metadata"].get("labels") or {}).get(key) != value
    ]
    holding = {bound_node(pod) for pod in pods_of(kube, namespace, name)}
    # Where no kubelet runs any, all that can be seen is where the controller binds it.
    runs = int((daemonset.get("status") or {}).get("numberReady") or 0) > 0
    kept = tuple(node for node in ordinary if node in holding) or tuple(ordinary)
    return KubeProxy(namespace, name, kept, runs=runs)


def undo_what_is_left(world: World, kube: KubeClient, kinds: Sequence[str] = ()) -> None:
    """The net under a given cluster: whatever of the run's own the journal still names is undone; never raises.

    After an orderly closing nothing is left; after an interruption this is the closing.

    :param kinds: only objects of these; empty for all.
    """
    registry = standard_registry(ClusterAccess({}, {world.ref: kube}))
    nets = Nets(world.run.journal, registry)
    nets.close(
        lambda entry: (
            entry.undo.get("cluster") == world.ref
            and not world.keeps(entry)
            and (not kinds or entry.kind in kinds)
        )
    )


def _relayed(planned: way.Plan, cloud: CloudSide, stack: ExitStack) -> Relay | None:
    from vnode_suite.clusters.relay import Relay

    if planned.relayed is None:
        return None
    return stack.enter_context(Relay(cloud.host_address, planned.relayed))
