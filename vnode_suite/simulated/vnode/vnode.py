"""The life of a VNode: reach the API server, get an identity, register, heartbeat, run Pods, renew."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeVar

from vnode_suite.simulated.interface import VNodeOrder
from vnode_suite.simulated.vnode.api import ApiServer, Dialling
from vnode_suite.simulated.vnode.certificates import end_of_validity
from vnode_suite.simulated.vnode.channel import Channel
from vnode_suite.simulated.vnode.clock import Clock, rfc3339
from vnode_suite.simulated.vnode.csr import ClientCertificate, RequestRefused, SigningRequest
from vnode_suite.simulated.vnode.defects import clock_offset
from vnode_suite.simulated.vnode.failures import ApiFailure
from vnode_suite.simulated.vnode.heartbeat import LeaderLock, LeaseRenewal
from vnode_suite.simulated.vnode.kubeconfig import ClusterAccess, KubeconfigRefused, parse_kubeconfig
from vnode_suite.simulated.vnode.kubelet import Kubelet
from vnode_suite.simulated.vnode.node import NodeWriter, patch_of
from vnode_suite.simulated.vnode.pods import Pods

T = TypeVar("T")

_CONFLICT = 409
#: Heartbeats to one status where a Lease carries them (a kubelet: 10 s and 5 min).
_STATUS_EVERY = 10
#: Share of a certificate's life after which it is renewed (client-go's certificate manager: 70 to 90 %).
RENEWAL_SPAN = (0.7, 0.9)


class JoinEnded(Exception):
    """Nothing that this VNode can do will make it join."""


class VNode:
    """One VNode, from its order until its process is ended."""

    def __init__(self, order: VNodeOrder, address: str, dialling: Dialling, channel: Channel) -> None:
        self._order = order
        self._address = address
        self._dialling = dialling
        self._channel = channel
        self._clock = Clock(clock_offset(order.defects))
        self._pods = Pods(order, channel, self._clock)
        self._server_changed = asyncio.Event()
        self._server: ApiServer
        self._certificate: ClientCertificate | None = None

    async def run(self) -> None:
        """Live. Returns only when joining has ended for good; the process then idles until it is stopped."""
        self._state("Pending")
        try:
            async with AsyncExitStack() as stack:
                await self._live(stack)
        except JoinEnded as ending:
            self._channel.event("Warning", "FailedJoin", str(ending))
            self._state("Failed")

    async def _live(self, stack: AsyncExitStack) -> None:
        try:
            access = parse_kubeconfig(self._order.kubeconfig)
            self._server = self._connect(access)
        except (KubeconfigRefused, ApiFailure) as refused:
            raise JoinEnded(f"failed to load kubeconfig: {refused}") from refused
        stack.push_async_callback(self._disconnect)
        version = await self._insist(
            "FailedGetServerVersion",
            "failed to get kubernetes server version, ",
            lambda: self._server.get("/version", timeout="32s"),
        )
        groups = await self._insist("FailedDiscovery", "failed to get server groups: ", self._groups)
        if self._order.tls_bootstrap:
            await self._bootstrap(access, groups)
        writer = NodeWriter(self._order, self._address, str(version["gitVersion"]), self._clock)
        if "vnode-never-registers" in self._order.defects:
            await asyncio.Event().wait()
        lock = LeaderLock(self._order.virtual_node_id, self._clock)
        coordination = groups.get("coordination.k8s.io", ())
        if "v1" not in coordination:
            await self._insist("FailedLeaderElection", "", lambda: lock.acquire(self._server))
        await Kubelet(writer.name, self._address, self._clock, self._pods.running).open(
            stack, self._order.defects
        )
        uid = await self._insist(
            "FailedRegisterNode", f"failed to register node {writer.name}: ", lambda: self._register(writer)
        )
        if "node-not-ready" not in self._order.defects:
            self._state("Ready")
        lease = LeaseRenewal(writer, next(iter(coordination), ""))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(writer, lease, lock, uid))
            group.create_task(self._follow_pods(writer.name))
            group.create_task(self._keep_certificate(access, groups))

    def _connect(self, access: ClusterAccess) -> ApiServer:
        return ApiServer(access, self._dialling, self._clock, self._order.timing.client_timeout)

    async def _disconnect(self) -> None:
        await self._server.close()

    async def _insist(self, reason: str, prefix: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds, with an event for each failure."""
        while True:
            try:
                return await attempt()
            except ApiFailure as failure:
                self._channel.event("Warning", reason, f"{prefix}{failure}")
            await asyncio.sleep(self._order.timing.retry)

    async def _groups(self) -> dict[str, tuple[str, ...]]:
        """The server's API groups with their versions, the preferred first: it says what it can do."""
        found = {}
        for group in (await self._server.get("/apis"))["groups"]:
            preferred = group["preferredVersion"]["version"]
            others = (entry["version"] for entry in group["versions"])
            found[group["name"]] = (preferred, *(version for version in others if version != preferred))
        return found

    async def _bootstrap(self, access: ClusterAccess, groups: dict[str, tuple[str, ...]]) -> None:
        request = SigningRequest.prepare(self._order.virtual_node_id, _csr_version(groups))
        await self._insist(
            "FailedBootstrap",
            "failed to bootstrap: cannot create certificate signing request: ",
            lambda: request.submit(self._server),
        )

        def overdue(text: str) -> None:
            self._channel.event("Warning", "FailedBootstrap", f"failed to bootstrap: {text}")

        try:
            certificate = await self._insist(
                "FailedBootstrap",
                "failed to bootstrap: ",
                lambda: request.result(self._server, self._order.timing.client_timeout, overdue),
            )
        except RequestRefused as refused:
            raise JoinEnded(f"failed to bootstrap: {refused}") from refused
        await self._use(access, certificate)

    async def _use(self, access: ClusterAccess, certificate: ClientCertificate) -> None:
        """From now on show this certificate, and nothing else."""
        old = self._server
        self._certificate = certificate
        self._server = self._connect(
            replace(
                access, token="", certificate_pem=certificate.certificate_pem, key_pem=certificate.key_pem
            )
        )
        self._server_changed.set()
        await old.close()

    async def _register(self, writer: NodeWriter) -> str:
        node = writer.node()
        try:
            created = await self._server.create("/api/v1/nodes", node)
        except ApiFailure as failure:
            if failure.code != _CONFLICT:
                raise
            created = await self._server.patch(f"/api/v1/nodes/{writer.name}", patch_of(node))
            await self._server.patch(
                f"/api/v1/nodes/{writer.name}/status", {"status": node["status"]}, "strategic"
            )
        return str(created["metadata"]["uid"])

    async def _beat(self, writer: NodeWriter, lease: LeaseRenewal, lock: LeaderLock, uid: str) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        # The status that it was registered with is as good as a first one.
        for beat in itertools.count(1):
            await self._attempt("renew lease", lambda server: lease.renew(server, uid))
            # As a kubelet: where the lease is the heartbeat, the much larger status is written now and then.
            if beat % _STATUS_EVERY == 0 or not lease.kept:
                await self._attempt("update node status", lambda server: self._status(server, writer))
            await self._attempt("renew leader lock", lock.renew)
            if "heartbeat-stops" in self._order.defects:
                return
            due = max(due + self._order.timing.heartbeat, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _attempt(self, what: str, attempt: Callable[[ApiServer], Awaitable[None]]) -> None:
        server = self._server
        try:
            await attempt(server)
        except ApiFailure as failure:
            if self._server is not server:
                # The certificate was renewed meanwhile, and its connections were closed under the attempt.
                await self._attempt(what, attempt)
                return
            self._channel.event("Warning", "FailedHeartbeat", f"failed to {what}: {failure}")

    async def _status(self, server: ApiServer, writer: NodeWriter) -> None:
        await server.patch(f"/api/v1/nodes/{writer.name}/status", writer.heartbeat(), "strategic")

    async def _follow_pods(self, node_name: str) -> None:
        while True:
            self._server_changed.clear()
            follow = asyncio.create_task(self._pods.follow(self._server, node_name))
            changed = asyncio.create_task(self._server_changed.wait())
            try:
                await asyncio.wait({follow, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
                was_changed = changed.done() and not changed.cancelled()
                follow.cancel()
            try:
                await follow
            except asyncio.CancelledError:
                if not was_changed:
                    raise
            except ApiFailure as failure:
                if not was_changed:
                    self._channel.event("Warning", "FailedWatchPods", f"failed to watch pods: {failure}")
                    await asyncio.sleep(self._order.timing.retry)

    async def _keep_certificate(self, access: ClusterAccess, groups: dict[str, tuple[str, ...]]) -> None:
        if self._certificate is None or "renewal-stops" in self._order.defects:
            return
        while True:
            # Counted from now, not from notBefore: signers backdate, and a short life would be over at once.
            left = (end_of_validity(self._certificate.certificate_pem) - self._clock.now()).total_seconds()
            await asyncio.sleep(max(0.0, left * random.uniform(*RENEWAL_SPAN)))  # noqa: S311
            certificate = await self._renewed(groups)
            await self._use(access, certificate)
            end = rfc3339(end_of_validity(certificate.certificate_pem))
            self._channel.event(
                "Normal", "CertificateRenewed", f"client certificate renewed, valid until {end}"
            )

    async def _renewed(self, groups: dict[str, tuple[str, ...]]) -> ClientCertificate:
        def overdue(text: str) -> None:
            self._channel.event("Warning", "FailedRenewal", f"failed to renew client certificate: {text}")

        while True:
            request = SigningRequest.prepare(self._order.virtual_node_id, _csr_version(groups))
            await self._insist(
                "FailedRenewal",
                "failed to renew client certificate: cannot create certificate signing request: ",
                lambda request=request: request.submit(self._server),  # type: ignore[misc]
            )
            try:
                return await self._insist(
                    "FailedRenewal",
                    "failed to renew client certificate: ",
                    lambda request=request: request.result(  # type: ignore[misc]
                        self._server, self._order.timing.client_timeout, overdue
                    ),
                )
            except RequestRefused as refused:
                overdue(str(refused))
            await asyncio.sleep(self._order.timing.retry)

    def _state(self, status: str) -> None:
        self._channel.say("state", status=status, internal_ip=self._address)


def _csr_version(groups: dict[str, tuple[str, ...]]) -> str:
    versions = groups.get("certificates.k8s.io", ())
    return "v1" if "v1" in versions else "v1beta1"
