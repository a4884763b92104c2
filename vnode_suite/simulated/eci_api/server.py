"""An emulator from start to end: network and fleet first, then the API, then the admin port."""

from __future__ import annotations

import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from vnode_suite.simulated.eci_api import defects, errors, network, persistence, tls
from vnode_suite.simulated.eci_api.admin import Admin
from vnode_suite.simulated.eci_api.config import Config
from vnode_suite.simulated.eci_api.faults import Faults
from vnode_suite.simulated.eci_api.gateway import LONGEST_LINE, Gateway
from vnode_suite.simulated.eci_api.service import Service
from vnode_suite.simulated.eci_api.signature import Authenticator, Credential
from vnode_suite.simulated.eci_api.state import State
from vnode_suite.simulated.interface import Fleet

log = logging.getLogger("vnode_suite.simulated.eci_api")


class Network(Protocol):
    """What the fleet says of the network it made."""

    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def host_address(self) -> str: ...
    @property
    def vpc_cidr(self) -> str: ...
    @property
    def vswitches(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class NoNetwork:
    """Addresses for an API without a simulator: large enough for 10,000 VNodes, routed nowhere."""

    kind: str = "none"
    reason: str = "the simulator is off"
    host_address: str = "127.0.0.1"
    vpc_cidr: str = "10.128.0.0/16"
    vswitches: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> NoNetwork:
        """Three vSwitches of that account and region."""
        blocks = ("10.128.0.0/18", "10.128.64.0/18", "10.128.128.0/18")
        return cls(vswitches=dict(zip(config.vswitch_ids, blocks, strict=True)))


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator; ``ready`` is what the ready line says."""

    ready: Mapping[str, Any]
    gateway: Gateway

    @property
    def service(self) -> Service:
        """The service behind the gateway."""
        return self.gateway.service


@contextlib.asynccontextmanager
async def running(
    config: Config,
    fleet: Fleet | None = None,
    made: Network | None = None,
    clock: Callable[[], float] = time.time,
    fleet_defects: Mapping[str, str] | None = None,
) -> AsyncIterator[Emulator]:
    """Serve until the block ends; the fleet is closed by whoever opened it.

    :param fleet: carries orders out; ``None`` for none.
    :param made: the fleet's network.
    :param fleet_defects: defects that the fleet knows, name to why it cannot be had here (empty if it can);
        ``None`` for those of the design.
    """
    place = made or NoNetwork.of(config)
    state = State(clock)
    known = dict.fromkeys(defects.FLEET_DEFECTS, "") if fleet_defects is None else fleet_defects
    service = Service(
        state,
        _catalogues(config, place),
        fleet,
        config.timing,
        config.pretend_ready_after,
        frozenset(known),
        {name: reason for name, reason in known.items() if reason},
    )
    gateway = Gateway(service, Authenticator(_credentials(config), clock), Faults(config.faults))
    async with contextlib.AsyncExitStack() as stack:
        if config.state_file is not None:
            await stack.enter_async_context(persistence.kept(state, service, config.state_file))
        stack.push_async_callback(service.settle)
        security, ca_pem = tls.context(config.tls, config.address[0])
        endpoint = await _serve(stack, gateway.application(), config.address, security)
        admin: dict[str, str] | None = None
        if config.admin:
            token = secrets.token_urlsafe(24)
            where = await _serve(stack, Admin(gateway, token).application(), ("127.0.0.1", 0), None)
            admin = {"endpoint": where, "token": token}
        yield Emulator(_ready(config, place, service, endpoint, ca_pem, admin), gateway)


async def _serve(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    address: tuple[str, int],
    security: ssl.SSLContext | None,
) -> str:
    runner = web.AppRunner(
        app,
        access_log=None,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        shutdown_timeout=2.0,
        keepalive_timeout=75.0,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, *address, ssl_context=security, backlog=1024)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"{'https' if security else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _credentials(config: Config) -> dict[str, Credential]:
    first = Credential(config.access_key_id, config.access_key_secret, config.account_id)
    return {entry.access_key_id: entry for entry in (first, *config.credentials)}


def _catalogues(config: Config, place: Network) -> dict[tuple[str, str], network.Catalogue]:
    """The fleet's network is the first account's; others get one of the same shape with other ids."""
    found: dict[tuple[str, str], network.Catalogue] = {}
    for account_id in dict.fromkeys([config.account_id, *(entry.account_id for entry in config.credentials)]):
        switches = dict(place.vswitches)
        if account_id != config.account_id:
            switches = {network.make_id("vsw", account_id, name): cidr for name, cidr in switches.items()}
        found[account_id, config.region] = network.build(
            account_id, config.region, config.run_id, place.vpc_cidr, switches, place.host_address
        )
    return found


def _ready(
    config: Config,
    place: Network,
    service: Service,
    endpoint: str,
    ca_pem: str,
    admin: Mapping[str, str] | None,
) -> dict[str, Any]:
    catalogue = service.catalogue(config.account_id, config.region)
    main = next(iter(catalogue.vpcs))
    switches = [
        {"id": switch.id, "cidr": switch.cidr, "zone": switch.zone, "vpc_id": switch.vpc_id}
        for switch in catalogue.vswitches.values()
    ]
    return {
        "endpoint": endpoint,
        "region": config.region,
        "access_key_id": config.access_key_id,
        "access_key_secret": config.access_key_secret,
        "account_id": config.account_id,
        "vpc_id": main,
        "vpc_cidr": place.vpc_cidr,
        "vswitch_ids": [switch["id"] for switch in switches if switch["vpc_id"] == main],
        "vswitches": [switch for switch in switches if switch["vpc_id"] == main],
        "security_group_id": next(iter(catalogue.groups)),
        "resource_group_ids": list(catalogue.resource_groups),
        "host_address": place.host_address,
        "network": place.kind,
        "network_reason": place.reason,
        "packet_rules_refusal": getattr(place, "packet_rules_refusal", ""),
        "for_controls": {
            "vswitch_of_another_vpc": next(s["id"] for s in switches if s["vpc_id"] != main),
            "security_groups": {group.name: group.id for group in catalogue.groups.values()},
        },
        # What of its answers and ways no document confirms: the admin port tells of each why.
        "inferred": errors.inferred(),
        "tls": {"ca_pem": ca_pem} if ca_pem else None,
        "admin": dict(admin) if admin else None,
    }
