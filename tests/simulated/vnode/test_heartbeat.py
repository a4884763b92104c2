"""The leader lock of servers without coordination v1, and the Lease of those that forbid it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from vnode_suite.simulated.interface import VNodeOrder
from vnode_suite.simulated.vnode.api import ApiServer
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.failures import ApiFailure
from vnode_suite.simulated.vnode.heartbeat import LEADER_ANNOTATION, LeaderLock, LeaseRenewal
from vnode_suite.simulated.vnode.node import NodeWriter


class Recorder:
    """Stands in for an API server: keeps what it is sent, and refuses the verbs it is told to."""

    def __init__(self, **refused: int) -> None:
        self._refused = refused
        self.sent: list[tuple[str, str, Mapping[str, Any]]] = []

    async def _do(self, verb: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.sent.append((verb, path, body))
        if verb in self._refused:
            code = self._refused[verb]
            raise ApiFailure("status", "the server's own words", verb, path, code)
        return json.loads(json.dumps(body))  # type: ignore[no-any-return]

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST."""
        return await self._do("create", path, body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT."""
        return await self._do("replace", path, body)

    async def patch(self, path: str, body: Mapping[str, Any], kind: str = "merge") -> dict[str, Any]:
        """PATCH."""
        return await self._do("patch", path, body)

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        """GET: an object that somebody made."""
        await self._do("get", path, {})
        return {"metadata": {"name": "vnd-1", "annotations": {}}}

    @property
    def verbs(self) -> list[str]:
        """What was asked for, in order."""
        return [verb for verb, _, _ in self.sent]


def server(recorder: Recorder) -> ApiServer:
    """The recorder in the place of a client."""
    return cast("ApiServer", recorder)


def test_the_lock_is_an_endpoints_object_named_after_the_vnode() -> None:
    """Created in kube-system with the record, then updated: the two rights that the page asks for."""
    recorder = Recorder()
    lock = LeaderLock("vnd-1", Clock())
    asyncio.run(lock.acquire(server(recorder)))
    asyncio.run(lock.renew(server(recorder)))
    (_, collection, body), (_, path, _) = recorder.sent
    assert collection == "/api/v1/namespaces/kube-system/endpoints"
    assert path == f"{collection}/vnd-1"
    assert json.loads(body["metadata"]["annotations"][LEADER_ANNOTATION])["holderIdentity"] == "vnd-1"
    assert recorder.verbs == ["create", "replace"]


def test_a_lock_of_an_earlier_life_is_taken_over() -> None:
    """The object is there already: it is read and updated."""
    recorder = Recorder(create=409)
    asyncio.run(LeaderLock("vnd-1", Clock()).acquire(server(recorder)))
    assert recorder.verbs == ["create", "get", "replace"]


def test_a_forbidden_lock_is_told_in_client_go_s_words() -> None:
    """The server's message follows what client-go puts before it."""
    with pytest.raises(ApiFailure) as failed:
        asyncio.run(LeaderLock("vnd-1", Clock()).acquire(server(Recorder(create=403))))
    assert str(failed.value) == "error initially creating leader election record: the server's own words"


def test_a_lock_that_was_never_taken_is_not_renewed() -> None:
    """Where leases exist nothing touches Endpoints."""
    recorder = Recorder()
    asyncio.run(LeaderLock("vnd-1", Clock()).renew(server(recorder)))
    assert recorder.sent == []


def lease(api_version: str) -> LeaseRenewal:
    """The Lease of a VNode."""
    order = VNodeOrder("vnd-1", "n", "cn-test", "", False, "vsw", "sg")
    return LeaseRenewal(NodeWriter(order, "10.0.0.1", "v1.13.12", Clock()), api_version)


def beats(renewal: LeaseRenewal, recorder: Recorder, times: int) -> list[str]:
    """The verbs of so many heartbeats."""

    async def run() -> None:
        for _ in range(times):
            await renewal.renew(server(recorder), "uid")

    asyncio.run(run())
    return recorder.verbs


def test_a_lease_is_created_once_and_then_patched() -> None:
    """In the version that the server has, owned by the Node."""
    recorder = Recorder()
    assert beats(lease("v1"), recorder, 3) == ["create", "patch", "patch"]
    body = recorder.sent[0][2]
    assert body["apiVersion"] == "coordination.k8s.io/v1"
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid"


def test_a_forbidden_lease_is_not_asked_for_again() -> None:
    """Servers of 1.13 forbid it to nodes' rights: node status alone is the heartbeat there."""
    assert beats(lease("v1beta1"), Recorder(create=403), 3) == ["create"]


def test_a_namespace_that_is_not_there_yet_is_tried_again() -> None:
    """Some servers make kube-node-lease seconds after they serve."""
    assert beats(lease("v1"), Recorder(create=404), 2) == ["create", "create"]


def test_no_lease_without_the_api() -> None:
    """Nothing is sent where coordination.k8s.io is missing."""
    assert beats(lease(""), Recorder(), 1) == []
