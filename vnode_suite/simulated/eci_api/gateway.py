"""The HTTP side: from a request to an action's result or the gateway's error body."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from vnode_suite.simulated.eci_api import account_reads, container_groups, virtual_nodes
from vnode_suite.simulated.eci_api.errors import ApiError, missing
from vnode_suite.simulated.eci_api.faults import Fault, Faults
from vnode_suite.simulated.eci_api.parameters import COMMON, Parameters
from vnode_suite.simulated.eci_api.service import Action, Call, Service, Staleness
from vnode_suite.simulated.eci_api.signature import Authenticator, Credential, Wire
from vnode_suite.simulated.eci_api.state import LoggedRequest

log = logging.getLogger("vnode_suite.simulated.eci_api")

#: Bytes of a request line and of one header; a kubeconfig travels in the URL (the real limit is not
#: published).
LONGEST_LINE = 1024 * 1024
#: Bytes of a form body.
LONGEST_BODY = 4 * 1024 * 1024
#: Parameters of one call; the most an honest one has is about 100 (20 tags, 20 taints).
MOST_PARAMETERS = 1000
#: Characters of a parameter's value in the log of requests.
_LOGGED = 256

#: Version, then action, to what carries it out and its RAM action.
ACTIONS: Final[Mapping[str, Mapping[str, tuple[Action, str]]]] = {
    "2018-08-08": {
        "CreateVirtualNode": (virtual_nodes.create, "eci:CreateVirtualNode"),
        "DescribeVirtualNodes": (virtual_nodes.describe, "eci:DescribeVirtualNodes"),
        "UpdateVirtualNode": (virtual_nodes.update, "eci:UpdateVirtualNode"),
        "DeleteVirtualNode": (virtual_nodes.delete, "eci:DeleteVirtualNode"),
        "DescribeRegions": (virtual_nodes.regions, "eci:DescribeRegions"),
        "DescribeContainerGroups": (container_groups.describe, "eci:DescribeContainerGroups"),
    },
    "2016-04-28": {
        "DescribeVpcs": (account_reads.vpcs, "vpc:DescribeVpcs"),
        "DescribeVSwitches": (account_reads.vswitches, "vpc:DescribeVSwitches"),
    },
    "2014-05-26": {
        "DescribeSecurityGroups": (account_reads.security_groups, "ecs:DescribeSecurityGroups"),
        "DescribeSecurityGroupAttribute": (
            account_reads.security_group_attribute,
            "ecs:DescribeSecurityGroupAttribute",
        ),
    },
    "2015-04-01": {"GetCallerIdentity": (account_reads.caller_identity, "sts:GetCallerIdentity")},
}


class Gateway:
    """Takes requests, authenticates them, lets faults happen, and answers in the gateway's form."""

    def __init__(self, service: Service, authenticator: Authenticator, faults: Faults) -> None:
        self.service = service
        self.authenticator = authenticator
        self.faults = faults
        self._closing = asyncio.Event()

    def application(self) -> web.Application:
        """The aiohttp application; every path is the same endpoint."""
        app = web.Application(client_max_size=LONGEST_BODY)
        app.router.add_route("*", "/{anything:.*}", self.handle)
        app.on_shutdown.append(self._on_shutdown)
        return app

    async def _on_shutdown(self, _: web.Application) -> None:
        self._closing.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; whatever happens inside, the answer has the gateway's form."""
        request_id = str(uuid.uuid4()).upper()
        host = request.headers.get("Host", "")
        entry: dict[str, Any] = {
            "account_id": "",
            "action": "",
            "version": "",
            "parameters": {},
            "fault": "",
            "ignored": [],
        }
        try:
            status, body, headers = 200, await self._answer(request, request_id, entry), {}
        except ApiError as error:
            status, headers = error.status, error.headers
            body = _error_body(error, request_id, host)
        except _Spoilt as spoilt:
            return await self._spoil(request, spoilt.fault, entry, request_id)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except web.HTTPRequestEntityTooLarge:
            status, headers = 413, {}
            body = _error_body(ApiError("RequestEntityTooLarge"), request_id, host)
        except Exception:
            log.exception("action %s broke", entry["action"])
            status, headers = 500, {}
            body = _error_body(ApiError("InternalError"), request_id, host)
        self._note(request, entry, status, str(body.get("Code", "")), request_id)
        return _response(status, body, request_id, headers)

    async def _answer(self, request: web.Request, request_id: str, entry: dict[str, Any]) -> dict[str, Any]:
        wire = await _read(request)
        given = wire.parameters
        name = wire.header("x-acs-action") or given.get("Action", "")
        version = wire.header("x-acs-version") or given.get("Version", "")
        entry |= {"action": name, "version": version, "parameters": loggable(given)}
        if request.method not in ("GET", "POST"):
            raise ApiError("UnsupportedHTTPMethod")
        if not name or not version:
            raise missing("Version" if name else "Action")
        action, ram_action = ACTIONS.get(version, {}).get(name) or (None, "")
        if action is None or wire.path != "/":
            raise ApiError("InvalidApi.NotFound")
        credential = self.authenticator.authenticate(wire)
        entry["account_id"] = credential.account_id
        fault = self.faults.next_for(name)
        if fault is not None:
            entry["fault"] = fault.kind
            await self._before(fault, credential, ram_action)
        if credential.refuses(ram_action):
            raise _refused(credential, ram_action)
        call = Call(name, credential, Parameters(given), request_id, _staleness(fault))
        result = {"RequestId": request_id} | await action(self.service, call)
        entry["ignored"] = call.parameters.ignored
        if fault is not None and fault.takes_effect:
            if fault.kind == "error-after":
                raise _fault_error(fault)
            raise _Spoilt(fault)
        return result

    async def _before(self, fault: Fault, credential: Credential, ram_action: str) -> None:
        if fault.kind == "error" and fault.code == "NoPermission" and not fault.message:
            raise _refused(credential, ram_action)
        if fault.kind in ("error", "throttle"):
            raise _fault_error(fault)
        if fault.kind in ("timeout-before", "reset-before", "html"):
            raise _Spoilt(fault)
        if fault.kind == "slow":
            await self._hold(fault.seconds)

    async def _hold(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    async def _spoil(
        self, request: web.Request, fault: Fault, entry: dict[str, Any], request_id: str
    ) -> web.StreamResponse:
        """An answer that is no answer of the API."""
        self._note(request, entry, 0, "", request_id)
        if fault.kind == "malformed":
            return web.Response(
                text='{"RequestId": "', content_type="application/json", status=fault.status or 200
            )
        if fault.kind == "html":
            page = "<html><body><h1>Bad Gateway</h1></body></html>"
            return web.Response(text=page, content_type="text/html", status=fault.status or 502)
        if fault.kind.startswith("timeout"):
            await self._hold(fault.seconds)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError(f"fault {fault.kind}")

    def _note(
        self, request: web.Request, entry: dict[str, Any], status: int, code: str, request_id: str
    ) -> None:
        log.info("%s %s -> %s %s", request.method, entry["action"] or "?", status or entry["fault"], code)
        self.service.state.requests.append(
            LoggedRequest(
                moment=self.service.state.clock(),
                signature="ACS3" if request.headers.get("Authorization") else "RPC",
                status=status,
                code=code,
                request_id=request_id,
                **entry,
            )
        )


class _Spoilt(Exception):
    """The answer of this call is to be spoilt by a fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.kind)


async def _read(request: web.Request) -> Wire:
    body = await request.read()
    # Bytes that are no UTF-8 stay recognisable (surrogates) instead of being an error here: the signature
    # decides.
    query = _pairs(request.rel_url.raw_query_string)
    is_form = request.content_type == "application/x-www-form-urlencoded"
    form = _pairs(body.decode("ascii", "surrogateescape")) if is_form else []
    headers = [(name, value) for name, value in request.headers.items()]
    return Wire(request.method, request.rel_url.raw_path, query, form, headers, body)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MOST_PARAMETERS,
            separator="&",
        )
    except ValueError:
        raise ApiError("RequestEntityTooLarge") from None
    for key, value in pairs:
        if not (key + value).isascii() and any("\ud800" <= char <= "\udfff" for char in key + value):
            raise ApiError("InvalidParameter", detail="the parameters are not UTF-8")
    return pairs


def _response(
    status: int, body: Mapping[str, Any], request_id: str, headers: Mapping[str, str]
) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        headers={
            "Content-Type": "application/json;charset=utf-8",
            "x-acs-request-id": request_id,
            "Access-Control-Allow-Origin": "*",
            **headers,
        },
    )


def _error_body(error: ApiError, request_id: str, host: str) -> dict[str, Any]:
    return {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Eci",
        **error.extra,
    }


def _fault_error(fault: Fault) -> ApiError:
    headers = {"x-acs-retry-after": str(fault.retry_after)} if fault.retry_after else {}
    code = fault.code or "Throttling.User"
    return ApiError(code, message=fault.message or None, status=fault.status or None, headers=headers)


def _staleness(fault: Fault | None) -> Staleness:
    if fault is None:
        return Staleness()
    return Staleness(
        unseen=fault.seconds if fault.kind == "unseen" else 0.0,
        lingering=fault.seconds if fault.kind == "lingering" else 0.0,
    )


def _refused(credential: Credential, ram_action: str) -> ApiError:
    detail = {
        "AuthAction": ram_action,
        "AuthPrincipalType": "SubUser",
        "AuthPrincipalOwnerId": credential.account_id,
        "NoPermissionType": "ImplicitDeny",
        "PolicyType": "AccountLevelIdentityBasedPolicy",
    }
    return ApiError("NoPermission", detail=ram_action, extra={"AccessDeniedDetail": detail})


def loggable(parameters: Mapping[str, str]) -> dict[str, str]:
    """Parameters as they may be shown: what holds a credential is a digest and a length."""
    shown = {}
    for name, value in parameters.items():
        if name in COMMON:
            continue
        if name == "KubeConfig":
            digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
            value = f"sha256:{digest[:16]}, {len(value)} characters"
        shown[name] = value if len(value) <= _LOGGED else f"{value[:_LOGGED]}..."
    return shown
