"""The typed client of the ECI API: what the rest of the suite calls."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from vnode_suite.eci.credentials import Credentials
from vnode_suite.eci.endpoints import Endpoints
from vnode_suite.eci.errors import EciError, EciUnreachable, NotFound
from vnode_suite.eci.exchange import ApiCall, Product, Transport
from vnode_suite.eci.models import (
    ContainerGroup,
    CreateRequest,
    Region,
    UpdateRequest,
    VirtualNode,
    VirtualNodeId,
    wire_tags,
)
from vnode_suite.eci.retrying import RetryPolicy, call_with_retries

#: Ids of one DescribeVirtualNodes call, and VNodes of one page (API metadata).
IDS_PER_CALL = 20


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the credentials belong to: whose bill it is."""

    account_id: str
    arn: str


@dataclass(slots=True)
class CallStatistics:
    """How often the API was called and had to be called again."""

    calls: int = 0
    retries: int = 0
    retry_codes: list[str] = field(default_factory=list)


class EciClient:
    """VNodes of one region.

    :param region: sent with every call.
    :param transport: carries the calls; :meth:`connect` makes the SDK's.
    :param policy: retries and deadline of each call.
    :param on_retry: told about each retry (progress, ledger).
    :param reads_apart: least seconds between two reads, whoever asks: several looks poll at once, and the service
        throttles an account, not a look.
    """

    def __init__(
        self,
        region: str,
        transport: Transport,
        policy: RetryPolicy | None = None,
        on_retry: Callable[[EciError, float], None] = lambda _error, _pause: None,
        reads_apart: float = 0.0,
    ) -> None:
        self.region = region
        self.statistics = CallStatistics()
        self._transport = transport
        self._closing = threading.Event()
        self._policy = replace(policy or RetryPolicy(), closing=self._closing)
        self._on_retry = on_retry
        self._reads_apart = reads_apart
        self._turn = threading.Lock()
        self._next_read = 0.0

    @classmethod
    def connect(
        cls, endpoints: Endpoints, credentials: Credentials, policy: RetryPolicy | None = None, **options: Any
    ) -> Self:
        """A client through the official SDK, which is imported at the first call."""
        from vnode_suite.eci.sdk import SdkTransport

        return cls(endpoints.region, SdkTransport(endpoints, credentials), policy, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End pauses between retries; calls that wait raise their last error."""
        self._closing.set()

    def create_virtual_node(self, request: CreateRequest) -> VirtualNodeId:
        """CreateVirtualNode; repeated under one ClientToken when no answer came: one VNode is bought.

        200 and an id say nothing about the connection: the VNode's status and events do.
        """
        token = request.client_token or new_client_token()
        body = self._call("CreateVirtualNode", replace(request, client_token=token).to_wire())
        found = str(body.get("VirtualNodeId") or "")
        if not found:
            raise EciUnreachable(
                "CreateVirtualNode answered no VirtualNodeId", wanted="VirtualNodeId in the answer"
            )
        return VirtualNodeId(found)

    def describe_virtual_nodes(
        self,
        ids: Sequence[str] = (),
        *,
        name: str = "",
        status: str = "",
        resource_group_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> list[VirtualNode]:
        """Every VNode that matches, all pages; an unknown id is simply not in the list."""
        return list(
            self.iter_virtual_nodes(
                ids, name=name, status=status, resource_group_id=resource_group_id, tags=tags
            )
        )

    def iter_virtual_nodes(
        self,
        ids: Sequence[str] = (),
        *,
        name: str = "",
        status: str = "",
        resource_group_id: str = "",
        tags: Mapping[str, str] | None = None,
        limit: int = IDS_PER_CALL,
    ) -> Iterator[VirtualNode]:
        """The same, page by page as it is consumed: one page is in memory at a time."""
        filters: dict[str, Any] = {
            "VirtualNodeName": name,
            "Status": status,
            "ResourceGroupId": resource_group_id,
            "Tag": wire_tags(tags or {}),
        }
        wanted = {key: value for key, value in filters.items() if value} | {"Limit": limit}
        if not ids:
            yield from self._pages(wanted)
            return
        for start in range(0, len(ids), IDS_PER_CALL):
            chunk = json.dumps(list(ids[start : start + IDS_PER_CALL]))
            yield from self._pages(wanted | {"VirtualNodeIds": chunk})

    def describe_virtual_node(self, virtual_node_id: str) -> VirtualNode | None:
        """One VNode, or ``None`` when the API lists none of that id (an error is not absence: it raises)."""
        return next(
            (node for node in self.iter_virtual_nodes([virtual_node_id]) if node.id == virtual_node_id), None
        )

    def update_virtual_node(self, request: UpdateRequest) -> None:
        """UpdateVirtualNode; only a Ready VNode takes it."""
        token = request.client_token or new_client_token()
        self._call("UpdateVirtualNode", replace(request, client_token=token).to_wire())

    def delete_virtual_node(self, virtual_node_id: str, client_token: str = "") -> None:
        """DeleteVirtualNode; refused while Pods' instances are on it.

        When a repetition of it finds nothing, the first one had taken effect.
        """
        token = client_token or new_client_token()
        before = self.statistics.retries
        try:
            self._call("DeleteVirtualNode", {"VirtualNodeId": virtual_node_id, "ClientToken": token})
        except NotFound:
            if self.statistics.retries == before:
                raise

    def describe_container_groups(self, ids: Sequence[str]) -> list[ContainerGroup]:
        """Instances of Pods by id (the Pods' ``eci-instance-id``); those that are gone are missing."""
        found: list[ContainerGroup] = []
        for start in range(0, len(ids), IDS_PER_CALL):
            wanted = {"ContainerGroupIds": json.dumps(list(ids[start : start + IDS_PER_CALL]))}
            body = self._call("DescribeContainerGroups", wanted)
            found += [ContainerGroup.from_wire(row) for row in body.get("ContainerGroups") or ()]
        return found

    def describe_regions(self) -> list[Region]:
        """The regions that the service lists."""
        rows: Iterable[Mapping[str, Any]] = self.send("eci", "DescribeRegions", {}).get("Regions") or ()
        return [
            Region(
                id=str(row.get("RegionId") or ""),
                endpoint=str(row.get("RegionEndpoint") or ""),
                zones=tuple(row.get("Zones") or ()),
                recommended_zones=tuple(row.get("RecommendZones") or ()),
            )
            for row in rows
        ]

    def caller(self) -> Caller:
        """STS GetCallerIdentity: the account that pays."""
        body = self.send("sts", "GetCallerIdentity", {})
        return Caller(account_id=str(body.get("AccountId") or ""), arn=str(body.get("Arn") or ""))

    def send(self, product: Product, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Any action, with this client's retries; parameters as the API names them, RegionId not added."""
        call = ApiCall(product, action, parameters)

        def once(left: float) -> Mapping[str, Any]:
            if call.is_read:
                self._take_turn()
            self.statistics.calls += 1
            return self._transport.send(call, left)

        return call_with_retries(
            once,
            self._policy,
            is_read=call.is_read,
            has_token=bool(parameters.get("ClientToken")),
            on_retry=self._retried,
        )

    def _call(self, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.send("eci", action, {"RegionId": self.region, **parameters})

    def _take_turn(self) -> None:
        if not self._reads_apart:
            return
        with self._turn:
            now = time.monotonic()
            mine = max(now, self._next_read)
            self._next_read = mine + self._reads_apart
        self._closing.wait(mine - now)

    def _pages(self, parameters: Mapping[str, Any]) -> Iterator[VirtualNode]:
        token, seen = "", set[str]()
        while True:
            extra = {"NextToken": token} if token else {}
            body = self._call("DescribeVirtualNodes", {**parameters, **extra})
            for row in body.get("VirtualNodes") or ():
                yield VirtualNode.from_wire(row)
            token = str(body.get("NextToken") or "")
            if not token:
                return
            if token in seen:
                raise EciUnreachable(
                    "DescribeVirtualNodes goes round in circles", found="a NextToken given twice"
                )
            seen.add(token)

    def _retried(self, error: EciError, pause: float) -> None:
        self.statistics.retries += 1
        self.statistics.retry_codes.append(error.code or type(error).__name__)
        self._on_retry(error, pause)


def new_client_token() -> str:
    """A ClientToken that nobody else has: 36 ASCII characters (64 are allowed)."""
    return str(uuid.uuid4())
