"""The admin port: faults, looks from inside the VPC, and everything that exists. Off unless asked for."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from vnode_suite.simulated.eci_api import errors, faults, virtual_nodes
from vnode_suite.simulated.eci_api.gateway import Gateway
from vnode_suite.simulated.eci_api.network import Rule, SecurityGroup
from vnode_suite.simulated.eci_api.parameters import Parameters
from vnode_suite.simulated.eci_api.service import Call
from vnode_suite.simulated.eci_api.state import VirtualNode, utc
from vnode_suite.simulated.eci_api.virtual_nodes import to_api
from vnode_suite.simulated.interface import ProbeOrder

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admin:
    """Handlers of the admin port.

    :param token: must be sent as ``Authorization: Bearer <token>``.
    """

    def __init__(self, gateway: Gateway, token: str) -> None:
        self._gateway = gateway
        self._service = gateway.service
        self._token = token

    def application(self) -> web.Application:
        """The aiohttp application of the admin port."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/state", self.state)
        app.router.add_delete("/state", self.forget)
        app.router.add_get("/faults", self.list_faults)
        app.router.add_post("/faults", self.add_faults)
        app.router.add_delete("/faults", self.clear_faults)
        app.router.add_post("/probe", self.probe)
        app.router.add_post("/dns-records", self.set_dns_record)
        app.router.add_post("/hosts", self.add_host)
        app.router.add_post("/purge", self.purge)
        app.router.add_post("/virtual-nodes", self.follow)
        app.router.add_post("/security-group-rules", self.set_rules)
        app.router.add_post("/vswitches", self.set_vswitch)
        app.router.add_get("/behaviours", self.behaviours)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = (
            request.headers.get("Authorization", "")
            .removeprefix("Bearer ")
            .encode("utf-8", "surrogateescape")
        )
        if not hmac.compare_digest(sent, self._token.encode()):
            return web.json_response({"error": "the admin token is missing or wrong"}, status=401)
        try:
            return await handler(request)
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    async def state(self, _: web.Request) -> web.Response:
        """What exists, what was deleted, what was asked: enough to judge cleanup from the cloud's side."""
        state, fleet = self._service.state, self._service.fleet
        now = state.clock()

        async def show(node: VirtualNode) -> dict[str, Any]:
            pods = len(await fleet.instances(node.id)) if fleet and node.deleted is None else 0
            return to_api(node) | {
                "AccountId": node.account_id,
                "TlsBootstrapEnabled": node.tls_bootstrap,
                "Taints": node.taints,
                "ClusterDNS": node.cluster_dns,
                "ClusterDomain": node.cluster_domain,
                "CustomResources": node.custom_resources,
                "Defects": node.defects,
                "PodsRunning": pods,
                "KeptAfterDelete": node.kept_after_delete,
                "DeletedAt": utc(node.deleted) if node.deleted is not None else None,
                "BilledSeconds": round(node.billed_seconds(now), 3),
            }

        return web.json_response(
            {
                "virtual_nodes": [await show(node) for node in state.all_nodes()],
                "deleted": [await show(node) for node in state.deleted],
                "instances": [
                    {"id": name, "virtual_node_id": node, "status": "Running"}
                    for name, node in state.left_instances.items()
                ],
                "networks": [
                    {
                        "account_id": account_id,
                        "region": region,
                        "vpcs": [asdict(vpc) for vpc in catalogue.vpcs.values()],
                        "vswitches": [
                            asdict(switch) | {"available": switch.available}
                            for switch in catalogue.vswitches.values()
                        ],
                        "security_groups": [asdict(group) for group in catalogue.groups.values()],
                        "resource_groups": list(catalogue.resource_groups),
                    }
                    for (account_id, region), catalogue in self._service.catalogues.items()
                ],
                "requests": [asdict(entry) for entry in state.requests],
                "faults": self._gateway.faults.rows(),
            }
        )

    async def forget(self, _: web.Request) -> web.Response:
        """End everything that exists, and be as if just started: for the next who wants an emulator of their own."""
        fleet = self._service.fleet
        self._gateway.faults.clear()
        await self._service.forget()
        remover = getattr(fleet, "remove_hosts", None)
        if remover is not None:
            await remover()
        return web.json_response({})

    async def list_faults(self, _: web.Request) -> web.Response:
        """The faults in force, and the kinds there are."""
        return web.json_response({"faults": self._gateway.faults.rows(), "kinds": dict(faults.KINDS)})

    async def add_faults(self, request: web.Request) -> web.Response:
        """Put one fault, or a list of them, in force."""
        body = await request.json()
        rows = [faults.parse(row) for row in (body if isinstance(body, list) else [body])]
        return web.json_response({"ids": [self._gateway.faults.add(row) for row in rows]})

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Take the fault ``?id=`` away, or every one."""
        return web.json_response({"cleared": self._gateway.faults.clear(request.query.get("id"))})

    async def probe(self, request: web.Request) -> web.Response:
        """Look from inside the VPC; the body is a ProbeOrder, the answer the fleet's."""
        body = dict(await request.json())
        if self._service.fleet is None:
            return web.json_response({"error": "there is no simulator, nobody to look"}, status=409)
        order = ProbeOrder(**(body | {"defects": frozenset(body.get("defects", ()))}))
        try:
            return web.json_response(dict(await self._service.fleet.probe(order)))
        except Exception as error:
            # The fleet's own refusals: what cannot be had on this machine.
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=409)

    async def set_dns_record(self, request: web.Request) -> web.Response:
        """Let the VPC's DNS know a name: ``{"name", "address"}``; without an address it forgets it."""
        body = dict(await request.json())
        setter = getattr(self._service.fleet, "set_dns_record", None)
        if setter is None:
            return web.json_response({"error": "there is no simulator, and so no DNS"}, status=409)
        await setter(body["name"], body.get("address"))
        return web.json_response({"name": body["name"], "address": body.get("address")})

    async def add_host(self, _: web.Request) -> web.Response:
        """A machine in the VPC that is no VNode: ``{"pid", "address"}``, the process whose network it is."""
        adder = getattr(self._service.fleet, "add_host", None)
        if adder is None:
            return web.json_response({"error": "there is no simulator, and so no VPC"}, status=409)
        try:
            pid, address = await adder()
        except Exception as error:
            # The fleet's own refusals, as of a probe.
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=409)
        return web.json_response({"pid": pid, "address": address})

    async def purge(self, request: web.Request) -> web.Response:
        """Really remove a VNode or an instance that a defect kept: ``{"id": ...}``, or all of them:
        ``{}``.
        """
        wanted = dict(await request.json()).get("id") if request.can_read_body else None
        state = self._service.state
        nodes = [
            node
            for node in list(state.all_nodes())
            if (node.id == wanted if wanted else node.kept_after_delete)
        ]
        instances = [name for name in state.left_instances if wanted in (None, name)]
        for node in nodes:
            state.bury(node)
            await self._service.stop(node)
        for name in instances:
            del state.left_instances[name]
        return web.json_response({"purged": [node.id for node in nodes] + instances})

    async def follow(self, request: web.Request) -> web.Response:
        """Start a VNode under a given id: ``{"virtual_node_id", "parameters": {flat parameters of
        create}}``.
        """
        body = dict(await request.json())
        credential = next(iter(self._gateway.authenticator.credentials.values()))
        parameters = Parameters({str(name): str(value) for name, value in dict(body["parameters"]).items()})
        call = Call("CreateVirtualNode", credential, parameters, request_id="")
        try:
            made = await virtual_nodes.follow(self._service, call, str(body["virtual_node_id"]))
        except errors.ApiError as error:
            return web.json_response({"error": str(error), "code": error.code}, status=400)
        return web.json_response(made)

    async def set_rules(self, request: web.Request) -> web.Response:
        """Replace a group's rules: ``{"security_group_id", "type"?, "rules": [{protocol, ports, source,
        ...}]}``.
        """
        body = dict(await request.json())
        group = self._group(body["security_group_id"])
        group.rules = [Rule(**row) for row in body["rules"]]
        group.type = body.get("type", group.type)
        return web.json_response({"security_group_id": group.id, "rules": len(group.rules)})

    async def set_vswitch(self, request: web.Request) -> web.Response:
        """Make addresses scarce: ``{"vswitch_id", "capacity": n}``."""
        body = dict(await request.json())
        for catalogue in self._service.catalogues.values():
            if switch := catalogue.vswitches.get(body["vswitch_id"]):
                switch.capacity = int(body["capacity"])
                return web.json_response({"vswitch_id": switch.id, "available": switch.available})
        raise KeyError(body["vswitch_id"])

    async def behaviours(self, _: web.Request) -> web.Response:
        """Every code and behaviour with its basis: confirmed or inferred."""
        return web.json_response(
            {
                "codes": [asdict(code) for code in errors.codes().values()],
                "behaviours": [asdict(row) for row in errors.behaviours()],
            }
        )

    def _group(self, name: str) -> SecurityGroup:
        for catalogue in self._service.catalogues.values():
            if group := catalogue.groups.get(name):
                return group
        raise KeyError(name)
