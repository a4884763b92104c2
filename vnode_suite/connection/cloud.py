"""The ECI side of one world: a client of the API, and what is known of the place it serves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vnode_suite.connection.recorded import recorded_emulator
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.errors import CloudError
from vnode_suite.core.memory import pss_bytes
from vnode_suite.core.modules import command
from vnode_suite.core.processes import OwnedProcess
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.emulator import EmulatorAdmin, ProbeResult
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.network import NetworkReader
from vnode_suite.eci.recording import RecordingTransport, ReplayTransport
from vnode_suite.eci.sdk import SdkTransport
from vnode_suite.model import Cloud, Grade, Text, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.emulators import Emulator
    from vnode_suite.connection.run import Run

#: client-go's time-out of one request, as the page's event texts have it (32 s), and what the simulated VNode
#: takes for it: the report says so.
REAL_CLIENT_TIMEOUT = 32.0
SIMULATED_CLIENT_TIMEOUT = 2.0
#: A kubelet renews every 10 s; the simulated VNode does in step with the shortened node-monitor grace.
SIMULATED_HEARTBEAT = 1.0
SIMULATED_RETRY = 0.5


@dataclass(frozen=True, slots=True)
class CloudSide:
    """What the steps need of the ECI side.

    :ivar grade: how strong what this side says is as evidence.
    :ivar vswitches: vSwitch to CIDR, those that may be given first to last.
    :ivar pod_cidrs: vSwitch to the CIDR in which its Pods' addresses are seen in the cluster: another one where a
        simulated VPC stands in for a recorded one.
    :ivar host_address: address in the VNodes' network at which the control plane can be reached; empty where the
        network is real.
    :ivar network: ``namespaces``, ``loopback`` or ``real``; where packets cannot be looked after, ``network_reason``
        says why and what is lost.
    :ivar admin: the emulator behind it; ``None`` where there is none.
    :ivar recorder: what writes the exchanges down, where that is asked for.
    :ivar replay: what the answers come from, where they are recorded ones.
    """

    client: EciClient
    networks: NetworkReader
    kind: Cloud
    grade: Grade
    region: str
    vpc_id: str
    vswitches: Mapping[str, str]
    pod_cidrs: Mapping[str, str]
    security_group_id: str
    default_resource_group: str
    host_address: str
    network: str
    network_reason: str
    for_controls: Mapping[str, Any]
    #: Names of the emulator's answers and ways that no document confirms.
    inferred: tuple[str, ...] = ()
    admin: EmulatorAdmin | None = None
    recorder: RecordingTransport | None = None
    replay: ReplayTransport | None = None
    _inside: str = ""
    _process: OwnedProcess | None = field(default=None, repr=False)

    def probe(self, host: str, port: int, **how: Any) -> ProbeResult:
        """A look from inside the VPC, as an instance in its first vSwitch would have it.

        :raises StepNotReached: nobody can look from there.
        """
        if self.admin is None:
            detail = Text(
                "nobody can look from inside a real VPC; the VNode itself tells, once it is there",
                "无法从真实 VPC 内部观察;VNode 加入后由其自身体现",
            )
            raise StepNotReached(Unreached("vpc", "no-view", detail))
        return self.admin.probe(self._inside, host, port, **how)

    def instances_left(self, instances: Sequence[str], vnodes: Sequence[str]) -> tuple[str, ...]:
        """Which of the *instances* that ran on *vnodes* the cloud still has.

        :raises StepNotReached: the service can only be asked by an id, and one is not known.
        """
        if self.kind is Cloud.LIVE:
            unknown = [name for name in instances if not name.startswith("eci-")]
            if unknown:
                detail = Text(
                    f"the VNode wrote no instance id for {unknown[0]}", f"VNode 未写入实例 id:{unknown[0]}"
                )
                raise StepNotReached(Unreached("instance", "id-unknown", detail))
            return tuple(group.id for group in self.client.describe_container_groups(instances))
        assert self.admin is not None  # noqa: S101 - every other side has an emulator behind it
        left = self.admin.state()["instances"]
        return tuple(row["id"] for row in left if row["virtual_node_id"] in vnodes)

    def new_host(self) -> tuple[str, Sequence[str]]:
        """A machine in the VPC that is no VNode: its address, and the command that enters its network."""
        if self.admin is None:
            raise CloudError("a machine in the VPC is only to be had of the emulator")
        pid, address = self.admin.add_host()
        return address, command("vnode_suite.simulated.vpc", "enter", str(pid))

    def purge(self, kept: str) -> None:
        """Really remove what a defect of the emulator kept: a VNode or an instance, by its id."""
        if self.admin is not None:
            self.admin.purge(kept)

    def address_in_cloud(self, virtual_node_id: str, shown: str, seen: str) -> str:
        """The address that a VNode has in the cloud, if *seen* is its own in the cluster; else *seen*.

        They are one but in a replay, where a simulated VNode stands at another address than the recorded one.

        :param shown: what the (recorded) service says it is.
        """
        if self.replay is None or self.admin is None:
            return seen
        rows = self.admin.state()["virtual_nodes"]
        own = next((row["IntranetIp"] for row in rows if row["VirtualNodeId"] == virtual_node_id), "")
        return shown if own and own == seen else seen

    @property
    def process_name(self) -> str:
        """What the supervisor knows the emulator by; empty where there is none."""
        return self._process.name if self._process is not None else ""

    @property
    def process_has_ended(self) -> bool:
        """Whether the emulator is gone already."""
        return self._process is not None and self._process.exited

    def memory_pss(self) -> dict[str, int]:
        """Memory of the emulator and of every simulated VNode, in bytes."""
        if self._process is None or self._process.exited:
            return {}
        return {"simulated": pss_bytes(self._process.pid, with_children=True)}


@contextmanager
def open_emulated(
    run: Run, version: str, *, connected: Sequence[str] = (), dns_records: Mapping[str, str] | None = None
) -> Iterator[CloudSide]:
    """Connect the official SDK to an emulator that holds nothing yet; at the end it is emptied for the next world.

    :param connected: networks (CIDR) outside the VPC that are reached over this machine.
    :param dns_records: names that the VPC's DNS knows: to an address, or to ``host`` for this machine's.
    """
    emulator = run.emulators.lend(connected, dns_records or {})
    try:
        emulator.admin.add_faults(run.settings.cloud.faults)
        side = _side(run, emulator)
        try:
            yield side
        finally:
            side.client.close()
            _keep_the_books(run, version, side)
    finally:
        if not run.supervisor.keeps(emulator.process.name):
            run.emulators.take_back(emulator)


def _side(run: Run, emulator: Emulator) -> CloudSide:
    ready = emulator.ready
    sdk = SdkTransport(
        single(ready.endpoint, ready.region),
        StaticCredentials(ready.access_key_id, ready.access_key_secret),
    )
    recorder = recorded_emulator(run, sdk, ready)
    client = EciClient(ready.region, recorder or sdk)
    vswitches = {v["id"]: v["cidr"] for v in ready.vswitches if v["vpc_id"] == ready.vpc_id}
    return CloudSide(
        client=client,
        networks=NetworkReader(client),
        kind=Cloud.EMULATOR,
        grade=Grade.SIMULATED,
        region=ready.region,
        vpc_id=ready.vpc_id,
        vswitches=vswitches,
        pod_cidrs=vswitches,
        security_group_id=ready.security_group_id,
        default_resource_group=ready.resource_group_ids[0],
        host_address=ready.host_address,
        network=ready.network,
        network_reason=ready.network_reason,
        for_controls={
            "vswitch_of_another_vpc": ready.vswitch_of_another_vpc,
            "security_groups": ready.security_groups,
        },
        inferred=ready.inferred,
        admin=emulator.admin,
        recorder=recorder,
        _inside=next(iter(vswitches)),
        _process=emulator.process,
    )


def _keep_the_books(run: Run, version: str, side: CloudSide) -> None:
    """What the emulator itself says was there to the end, as evidence from the cloud's side; never raises."""
    if side.process_has_ended:
        run.ledger.write("harness-error", where=f"emulator {version}", message="it ended before the run did")
        return
    if side.admin is None:
        return
    with suppress(CloudError):
        state = side.admin.state()
        calls = Counter(
            f"{call['action']} {call['status']} {call['code']}".strip() for call in state["requests"]
        )
        books = {
            "virtual_nodes": [_bought(node) for node in state["virtual_nodes"]],
            "deleted": [_bought(node) for node in state["deleted"]],
            "instances": state["instances"],
            "calls": dict(sorted(calls.items())),
            "faults": state["faults"],
            **side.admin.behaviours(),
        }
        path = run.folder / "evidence" / f"cloud-{version}.json"
        path.write_text(json.dumps(books, indent=1) + "\n", encoding="utf-8")


def _bought(node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: node[key]
        for key in ("VirtualNodeId", "VirtualNodeName", "CreationTime", "DeletedAt", "BilledSeconds")
    }
