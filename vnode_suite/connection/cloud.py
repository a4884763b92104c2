"""The ECI side of one world: a client of the API, and what is known of the place it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from vnode_suite.cleanup.networks import bridge_of, network_name
from vnode_suite.core.errors import CloudError
from vnode_suite.core.memory import pss_bytes
from vnode_suite.core.modules import command, environment
from vnode_suite.core.processes import OwnedProcess
from vnode_suite.core.secrets import Secret
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.network import NetworkReader
from vnode_suite.model import Cloud, Grade

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run

#: client-go's time-out of one request, as the page's event texts have it (32 s), and what the simulated VNode
#: takes for it: the report says so.
REAL_CLIENT_TIMEOUT = 32.0
SIMULATED_CLIENT_TIMEOUT = 2.0
#: A kubelet renews every 10 s; the simulated VNode does in step with the shortened node-monitor grace.
SIMULATED_HEARTBEAT = 1.25
SIMULATED_RETRY = 0.5
_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0
_ADMIN_SECONDS = 60.0
#: Reserved tag by which a twin tells the emulator which defect it is to have; never sent to the real service.
DEFECT_TAG = "vnode-suite:defect"
RUN_TAG = "vnode-suite:run"


@dataclass(frozen=True, slots=True)
class CloudSide:
    """What the steps need of the ECI side.

    :ivar host_address: address in the VNodes' network at which the control plane can be reached.
    :ivar network: ``namespaces`` or ``loopback``; for the latter, ``network_reason`` says why and what is lost.
    """

    client: EciClient
    networks: NetworkReader
    kind: Cloud
    region: str
    vpc_id: str
    vpc_cidr: str
    vswitches: Mapping[str, str]
    security_group_id: str
    default_resource_group: str
    host_address: str
    network: str
    network_reason: str
    for_controls: Mapping[str, Any]
    _admin: str = ""
    _token: Secret | None = None
    _process: OwnedProcess | None = field(default=None, repr=False)

    @property
    def grade(self) -> Grade:
        """How strong what this side says is as evidence."""
        return Grade.LIVE if self.kind is Cloud.LIVE else Grade.SIMULATED

    def probe(self, **order: Any) -> Mapping[str, Any]:
        """A look from inside the VPC, as an instance in that vSwitch would have it."""
        return self._ask("POST", "/probe", order)

    def state(self) -> Mapping[str, Any]:
        """What the emulator holds: VNodes that are there, deleted ones, instances, requests."""
        return self._ask("GET", "/state")

    def purge(self, kept: str) -> None:
        """Really remove what a defect of the emulator kept: a VNode or an instance, by its id."""
        self._ask("POST", "/purge", {"id": kept})

    def memory_pss(self) -> dict[str, int]:
        """Memory of the emulator and of every simulated VNode, in bytes."""
        if self._process is None or self._process.exited:
            return {}
        return {"simulated": pss_bytes(self._process.pid, with_children=True)}

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        if self._token is None:
            raise CloudError(f"{path} is only to be had of the emulator")
        session = requests.Session()
        session.trust_env = False
        answer = session.request(
            method,
            f"{self._admin}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token.reveal()}"},
            timeout=_ADMIN_SECONDS,
        )
        if answer.status_code >= 400:
            raise CloudError(
                f"the emulator refused {method} {path}", found=f"{answer.status_code} {answer.text[:200]}"
            )
        return dict(answer.json())


@contextmanager
def open_cloud(
    run: Run, version: str, *, connected: Sequence[str] = (), dns_records: Mapping[str, str] | None = None
) -> Iterator[CloudSide]:
    """Start the emulator, as a process of its own, and connect the official SDK to it.

    :param connected: networks (CIDR) outside the VPC that are reached over this machine.
    :param dns_records: names that the VPC's DNS knows: to an address, or to ``host`` for this machine's.
    """
    kind = run.settings.cloud.cloud
    if kind is not Cloud.EMULATOR:
        # Never a simulated node instead: it would join somebody's cluster unasked.
        raise CloudError(f"this build has no {kind.value} cloud side", wanted="--vnode-cloud emulator")
    name = f"simulated-{version}"
    network_id = network_name(run.id, version)
    config = run.scratch / f"{name}.json"
    config.write_text(
        json.dumps(
            {
                "run_id": network_id,
                "region": run.settings.cloud.region,
                "admin": True,
                "connected": list(connected),
                "dns_records": dict(dns_records or {}),
                "timing": {
                    "client_timeout": SIMULATED_CLIENT_TIMEOUT,
                    "heartbeat": SIMULATED_HEARTBEAT,
                    "retry": SIMULATED_RETRY,
                },
            }
        ),
        encoding="utf-8",
    )
    network = run.journal.intend(
        "network",
        bridge_of(network_id).name,
        {"action": "remove-network", "run": network_id},
        where="local",
    )
    process = run.supervisor.start(
        name,
        command("vnode_suite.simulated", "--config", str(config)),
        env=environment(),
        log=run.folder / "evidence" / f"{name}.log",
        ready_line=True,
        ready_deadline_seconds=_READY_SECONDS,
    )
    # Its own end removes the network; this is for the end that it has no say in.
    removal = run.supervisor.at_end(command("vnode_suite.simulated.vpc", "remove", network_id))
    ready = json.loads(process.ready_line)
    secret = Secret(ready["access_key_secret"], "access-key-secret")
    token = Secret(ready["admin"]["token"], "admin-token")
    client = EciClient.connect(
        single(ready["endpoint"], ready["region"]), StaticCredentials(ready["access_key_id"], secret.reveal())
    )
    try:
        yield CloudSide(
            client=client,
            networks=NetworkReader(client),
            kind=Cloud.EMULATOR,
            region=ready["region"],
            vpc_id=ready["vpc_id"],
            vpc_cidr=ready["vpc_cidr"],
            vswitches={v["id"]: v["cidr"] for v in ready["vswitches"] if v["vpc_id"] == ready["vpc_id"]},
            security_group_id=ready["security_group_id"],
            default_resource_group=ready["resource_group_ids"][0],
            host_address=ready["host_address"],
            network=ready["network"],
            network_reason=ready.get("network_reason", ""),
            for_controls=ready["for_controls"],
            _admin=ready["admin"]["endpoint"],
            _token=token,
            _process=process,
        )
    finally:
        client.close()
        stopped = run.supervisor.stop(name, _STOP_SECONDS)
        if stopped.returncode == 0 and not stopped.killed:
            run.supervisor.cancel_at_end(removal)
            network.undone()
