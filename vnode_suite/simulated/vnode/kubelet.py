"""The two ports of a VNode: 10250 (TLS, for the API server) and 10255 (plain, read only, for monitors)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from vnode_suite.simulated.vnode.certificates import load_pair, self_signed
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.node import KUBELET_PORT, READ_ONLY_PORT


class Kubelet:
    """Serves what a kubelet serves of it; ``pods`` answers the Pods that run, as a list of Pod objects."""

    def __init__(
        self, node_name: str, address: str, clock: Clock, pods: Callable[[], list[Mapping[str, Any]]]
    ) -> None:
        self._node_name = node_name
        self._address = address
        self._clock = clock
        self._pods = pods

    async def open(self, stack: AsyncExitStack, defects: frozenset[str]) -> None:
        """Listen until the stack is closed; a port closed by a defect is left to the kernel to refuse."""
        if "kubelet-not-listening" in defects:
            return
        if "port-10250-closed" not in defects:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            load_pair(context, *self_signed(self._node_name, self._address))
            await self._listen(stack, KUBELET_PORT, self._secure, context)
        if "port-10255-closed" not in defects:
            await self._listen(stack, READ_ONLY_PORT, self._read_only, None)

    async def _listen(
        self,
        stack: AsyncExitStack,
        port: int,
        handler: Callable[[web.BaseRequest], web.StreamResponse],
        context: ssl.SSLContext | None,
    ) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return handler(request)

        server = web.Server(handle, access_log=None)
        listener = await asyncio.get_running_loop().create_server(server, self._address, port, ssl=context)
        stack.push_async_callback(server.shutdown, 0)
        stack.callback(listener.close)

    def _secure(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[0] == "containerLogs" and len(parts) == 4:
            return self._logs(*parts[1:])
        if parts[0] in {"exec", "attach", "portForward", "run"}:
            return web.Response(status=501, text="not simulated\n")
        return self._read_only(request)

    def _read_only(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.path.rstrip("/"):
            case "/healthz":
                return web.Response(text="ok")
            case "/pods":
                return _json({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": self._pods()})
            case "/stats/summary":
                return _json(self._summary())
            case "/metrics":
                return web.Response(
                    text=f"# TYPE kubelet_running_pods gauge\nkubelet_running_pods {len(self._pods())}\n"
                )
        return web.Response(status=404, text="404 page not found\n")

    def _logs(self, namespace: str, name: str, container: str) -> web.StreamResponse:
        for pod in self._pods():
            if (pod["metadata"]["namespace"], pod["metadata"]["name"]) == (namespace, name):
                line = f"{self._clock.seconds()} {namespace}/{name} {container} on {self._node_name}\n"
                return web.Response(text=line)
        return web.Response(status=404, text=f'pod "{name}" not found in namespace "{namespace}"\n')

    def _summary(self) -> dict[str, Any]:
        def reference(pod: Mapping[str, Any]) -> dict[str, str]:
            return {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}

        now = self._clock.seconds()
        return {
            "node": {"nodeName": self._node_name, "startTime": now},
            "pods": [{"podRef": reference(pod), "startTime": now} for pod in self._pods()],
        }


def _json(body: Mapping[str, Any]) -> web.Response:
    return web.Response(text=json.dumps(body), content_type="application/json")
