"""What the actions share: the account's network, the fleet that carries orders out, client tokens."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import secrets
import string
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from vnode_suite.simulated.eci_api import defects, network
from vnode_suite.simulated.eci_api.errors import ApiError
from vnode_suite.simulated.eci_api.parameters import Parameters
from vnode_suite.simulated.eci_api.signature import Credential
from vnode_suite.simulated.eci_api.state import State, VirtualNode
from vnode_suite.simulated.interface import Fleet, Timing, VNodeOrder, VNodeReport

log = logging.getLogger("vnode_suite.simulated.eci_api")

#: How long the answer to a delete waits for the VNode's process to end, in seconds.
STOP_WAIT = 3.0
_LETTERS = string.ascii_lowercase + string.digits
#: Ids need not be unguessable, only different from each other in every process.
_ids = random.Random(secrets.randbits(128))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Staleness:
    """How far behind the lists are in one call: eventual consistency, in seconds."""

    unseen: float = 0.0
    lingering: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call of an action."""

    action: str
    credential: Credential
    parameters: Parameters
    request_id: str
    staleness: Staleness = Staleness()

    @property
    def account_id(self) -> str:
        """The account of whoever signed."""
        return self.credential.account_id


Action = Callable[["Service", Call], Awaitable[dict[str, Any]]]


class Service:
    """The emulated service behind its gateway.

    :param catalogues: networks by account and region.
    :param fleet: carries orders out; ``None`` leaves every VNode Pending.
    :param pretend_ready_after: seconds after which a VNode is shown Ready where there is no fleet, for tests
        of clients that wait for it; ``None`` for never.
    """

    def __init__(
        self,
        state: State,
        catalogues: dict[tuple[str, str], network.Catalogue],
        fleet: Fleet | None,
        timing: Timing,
        pretend_ready_after: float | None = None,
        fleet_defects: frozenset[str] = defects.FLEET_DEFECTS,
        refused_defects: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.catalogues = catalogues
        self.fleet = fleet
        self.timing = timing
        self.fleet_defects = fleet_defects
        self.refused_defects = dict(refused_defects or {})
        self._pretend_ready_after = pretend_ready_after
        self._tasks: set[asyncio.Task[None]] = set()

    def region(self, call: Call, *, required: bool = True) -> str:
        """``RegionId``, one that the service lists."""
        region = call.parameters.required("RegionId") if required else call.parameters.text("RegionId")
        if region and region not in self.regions():
            raise ApiError("InvalidRegionId.NotFound")
        return region

    def regions(self) -> dict[str, tuple[str, ...]]:
        """Regions with their zones; regions that have a network but are not in the table are added."""
        listed = dict(network.zones())
        for (_, region), catalogue in self.catalogues.items():
            listed.setdefault(region, tuple({switch.zone: None for switch in catalogue.vswitches.values()}))
        return listed

    def catalogue(self, account_id: str, region: str) -> network.Catalogue:
        """The network of an account in a region; empty where it has none."""
        return self.catalogues.get((account_id, region)) or network.Catalogue()

    async def once(self, call: Call, region: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Carry a change out once per ClientToken; a repetition gets the same result."""
        token = call.parameters.text("ClientToken")
        if not token:
            return act()
        if len(token) > 64 or not token.isascii() or not token.isprintable():
            raise ApiError(
                "InvalidParameter", parameter="ClientToken", detail="at most 64 printable ASCII characters"
            )
        key = (call.account_id, region, call.action, token)
        fingerprint = _fingerprint(call.parameters.values)
        known = self.state.remembered(key)
        if known is not None:
            if known.fingerprint != fingerprint:
                raise ApiError("IdempotentParameterMismatch")
            call.parameters.all_known()
            return dict(known.result)
        result = act()
        self.state.remember(key, fingerprint, dict(result))
        return result

    def start(self, node: VirtualNode) -> None:
        """Have the fleet start a VNode; the call that created it does not wait."""
        if self.fleet is not None:
            self._spawn(self._launch(self.fleet, node))
        elif self._pretend_ready_after is not None:
            self._spawn(self._pretend_ready(node, self._pretend_ready_after))

    async def stop(self, node: VirtualNode) -> None:
        """Have the fleet stop a VNode; a failure is only logged, the API has forgotten the VNode anyway."""
        switch = self.catalogue(node.account_id, node.region).vswitches.get(node.vswitch_id)
        if switch is not None:
            switch.used = max(0, switch.used - 1)
        if self.fleet is not None:
            # Most stop at once; a slow one must not make the answer to delete late.
            await asyncio.wait([self._spawn(self._stop(self.fleet, node))], timeout=STOP_WAIT)

    async def forget(self) -> None:
        """Stop every VNode, and forget what there was and what was asked."""
        nodes = list(self.state.all_nodes())
        for node in nodes:
            self.state.bury(node)
        await asyncio.gather(*(self.stop(node) for node in nodes))
        self.state.forget()

    async def _stop(self, fleet: Fleet, node: VirtualNode) -> None:
        try:
            await fleet.stop(node.id)
        except Exception:
            log.exception("stopping %s failed", node.id)

    async def settle(self) -> None:
        """End what is still being started."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pretend_ready(self, node: VirtualNode, delay: float) -> None:
        await asyncio.sleep(delay)
        if node.deleted is None:
            node.status = "Ready"
            node.note("Normal", "Ready", "The virtual node is ready.", self.state.clock())
            self.state.changed()

    async def _launch(self, fleet: Fleet, node: VirtualNode) -> None:
        order = VNodeOrder(
            virtual_node_id=node.id,
            virtual_node_name=node.name,
            region=node.region,
            kubeconfig=node.kubeconfig,
            tls_bootstrap=node.tls_bootstrap,
            vswitch_id=node.vswitch_id,
            security_group_id=node.security_group_id,
            taints=tuple(
                {"key": row["Key"], "value": row.get("Value", ""), "effect": row["Effect"]}
                for row in node.taints
            ),
            cluster_dns=tuple(node.cluster_dns),
            cluster_domain=node.cluster_domain,
            custom_resources=node.custom_resources,
            defects=defects.for_fleet(frozenset(node.defects)),
            timing=self.timing,
        )
        try:
            address = await fleet.launch(order, lambda report: self._take_report(node, report))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("starting %s failed: %s: %s", node.id, type(error).__name__, error)
            node.status = "Failed"
            node.note("Warning", "FailedCreate", f"{type(error).__name__}: {error}", self.state.clock())
        else:
            if node.deleted is not None:
                await fleet.stop(node.id)
                return
            node.intranet_ip = node.intranet_ip or _shown_address(node, address)
            if "api-says-ready-without-node" in node.defects:
                node.status = "Ready"
        self.state.changed()

    def _take_report(self, node: VirtualNode, report: VNodeReport) -> None:
        now, body = self.state.clock(), report.body
        if report.kind == "event":
            node.note(
                str(body.get("type", "Normal")),
                str(body.get("reason", "")),
                str(body.get("message", "")),
                now,
            )
        elif report.kind == "state":
            if body.get("internal_ip"):
                node.intranet_ip = _shown_address(node, str(body["internal_ip"]))
            if body.get("status") and "api-says-ready-without-node" not in node.defects:
                node.status = str(body["status"])
        elif node.deleted is None:
            node.status = "Failed"
            node.note("Warning", "Exited", f"The virtual node ended with code {body.get('code')}.", now)
        self.state.changed()


def new_virtual_node_id() -> str:
    """An id in the service's form, ``vnd-`` and 20 lowercase letters and digits."""
    return "vnd-" + "".join(_ids.choices(_LETTERS, k=20))


def _shown_address(node: VirtualNode, address: str) -> str:
    if "internal-ip-mismatch" not in node.defects or "." not in address:
        return address
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) % 254 + 1}"


def _fingerprint(values: Mapping[str, str]) -> str:
    text = json.dumps(sorted(values.items()), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
