"""Saying that the VNode lives: node status, a Lease where it is let, a lock where leases cannot be one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vnode_suite.simulated.vnode.api import ApiServer
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.failures import ApiFailure
from vnode_suite.simulated.vnode.node import LEASE_SECONDS, NodeWriter

_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
#: Annotation in which leader election by an Endpoints object is written (client-go, resourcelock).
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"


@dataclass(slots=True)
class LeaseRenewal:
    """The Lease of one VNode. Once forbidden (as 1.13 does to nodes' rights), it is not tried again."""

    writer: NodeWriter
    #: Version of coordination.k8s.io that the server has, "" for none.
    api_version: str
    _exists: bool = False
    _forbidden: bool = False

    @property
    def kept(self) -> bool:
        """Whether there is a Lease that says that the VNode lives."""
        return self._exists and not self._forbidden

    async def renew(self, server: ApiServer, node_uid: str) -> None:
        """Create or renew. Raises `ApiFailure`, save for the one refusal that is expected."""
        if self._forbidden or not self.api_version:
            return
        collection = f"/apis/coordination.k8s.io/{self.api_version}/namespaces/kube-node-lease/leases"
        body = self.writer.lease(self.api_version, node_uid)
        try:
            if not self._exists:
                await self._create(server, collection, body)
            else:
                await server.patch(f"{collection}/{self.writer.name}", {"spec": body["spec"]})
        except ApiFailure as failure:
            # 404: the namespace is made by the server itself, on some versions seconds after it serves.
            self._forbidden = failure.code == _FORBIDDEN
            self._exists = self._exists and failure.code != _NOT_FOUND
            if failure.code not in {_FORBIDDEN, _NOT_FOUND}:
                raise

    async def _create(self, server: ApiServer, collection: str, body: Mapping[str, Any]) -> None:
        try:
            await server.create(collection, body)
        except ApiFailure as failure:
            if failure.code != _CONFLICT:
                raise
            patch = {
                "spec": body["spec"],
                "metadata": {"ownerReferences": body["metadata"]["ownerReferences"]},
            }
            await server.patch(f"{collection}/{self.writer.name}", patch)
        self._exists = True


@dataclass(slots=True)
class LeaderLock:
    """Leader election by an Endpoints object in kube-system, named after the VNode.

    Used where the server has no coordination v1 (1.13): there the page asks for the right to endpoints.
    """

    virtual_node_id: str
    clock: Clock
    _held: dict[str, Any] = field(default_factory=dict)

    async def acquire(self, server: ApiServer) -> None:
        """Take the lock. Raises `ApiFailure` with client-go's words before the server's."""
        record = {
            "holderIdentity": self.virtual_node_id,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": self.clock.seconds(),
            "renewTime": self.clock.seconds(),
            "leaderTransitions": 0,
        }
        body = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": self.virtual_node_id,
                "namespace": "kube-system",
                "annotations": {LEADER_ANNOTATION: json.dumps(record)},
            },
        }
        collection = "/api/v1/namespaces/kube-system/endpoints"
        try:
            self._held = await server.create(collection, body)
        except ApiFailure as failure:
            if failure.code != _CONFLICT:
                failure.words = f"error initially creating leader election record: {failure.words}"
                raise
            self._held = await server.get(f"{collection}/{self.virtual_node_id}")
            await self.renew(server)

    async def renew(self, server: ApiServer) -> None:
        """Renew the lock. Raises `ApiFailure`."""
        if not self._held:
            return
        annotations = self._held["metadata"].setdefault("annotations", {})
        record = json.loads(annotations.get(LEADER_ANNOTATION, "{}"))
        annotations[LEADER_ANNOTATION] = json.dumps({**record, "renewTime": self.clock.seconds()})
        self._held["metadata"].pop("resourceVersion", None)
        path = f"/api/v1/namespaces/kube-system/endpoints/{self.virtual_node_id}"
        try:
            self._held = await server.replace(path, self._held)
        except ApiFailure as failure:
            failure.words = f"failed to renew leader election record: {failure.words}"
            raise
