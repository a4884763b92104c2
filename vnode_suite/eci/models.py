"""What goes to and comes from the ECI API, typed; the names on the wire stand in the converters."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NewType

VirtualNodeId = NewType("VirtualNodeId", str)
Effect = Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint put on the Node of a VNode."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """The parameters of CreateVirtualNode; the region is the client's.

    ``kubeconfig`` is the YAML text; it is Base64-encoded for the wire (the page's "Base64", plain).
    """

    vswitch_ids: tuple[str, ...]
    security_group_id: str
    kubeconfig: str = field(default="", repr=False)
    tls_bootstrap: bool = False
    name: str = ""
    zone_id: str = ""
    resource_group_id: str = ""
    eip_instance_id: str = ""
    enable_public_network: bool | None = None
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    #: Resource name to count.
    custom_resources: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    #: At most 64 ASCII characters; made by the client when empty.
    client_token: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Parameters by their names in the API; what is empty is not sent."""
        encoded = base64.b64encode(self.kubeconfig.encode()).decode() if self.kubeconfig else ""
        return _without_empty(
            {
                "VSwitchId": ",".join(self.vswitch_ids),
                "SecurityGroupId": self.security_group_id,
                "KubeConfig": encoded,
                "TlsBootstrapEnabled": self.tls_bootstrap,
                "VirtualNodeName": self.name,
                "ZoneId": self.zone_id,
                "ResourceGroupId": self.resource_group_id,
                "EipInstanceId": self.eip_instance_id,
                "EnablePublicNetwork": self.enable_public_network,
                "ClusterDNS": ",".join(self.cluster_dns),
                "ClusterDomain": self.cluster_domain,
                "CustomResources": _pairs(self.custom_resources),
                "Tag": _tags(self.tags),
                "Taint": [{"Key": t.key, "Value": t.value, "Effect": t.effect} for t in self.taints],
                "ClientToken": self.client_token,
            }
        )


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """The parameters of UpdateVirtualNode; only a Ready VNode takes them, and never a new kubeconfig."""

    virtual_node_id: str
    name: str = ""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    custom_resources: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    client_token: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Parameters by their names in the API; what is empty is not sent."""
        return _without_empty(
            {
                "VirtualNodeId": self.virtual_node_id,
                "VirtualNodeName": self.name,
                "ClusterDNS": ",".join(self.cluster_dns),
                "ClusterDomain": self.cluster_domain,
                "CustomResources": _pairs(self.custom_resources),
                "Tag": _tags(self.tags),
                "ClientToken": self.client_token,
            }
        )


@dataclass(frozen=True, slots=True)
class VNodeEvent:
    """One entry of ``Events[]``; times as the API wrote them (RFC 3339)."""

    type: str
    reason: str
    message: str
    name: str = ""
    count: int = 1
    first_timestamp: str = ""
    last_timestamp: str = ""


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """A VNode as DescribeVirtualNodes shows it.

    ``status`` is Pending, Ready, Failed or Cleaned; any other value is passed through.
    """

    id: VirtualNodeId
    name: str
    region: str
    status: str
    vpc_id: str
    vswitch_id: str
    security_group_id: str
    resource_group_id: str
    intranet_ip: str
    internet_ip: str
    creation_time: str
    tags: Mapping[str, str] = field(default_factory=dict)
    events: tuple[VNodeEvent, ...] = ()

    @property
    def created(self) -> datetime | None:
        """The creation time, or ``None`` when the API's text is no time."""
        try:
            return datetime.fromisoformat(self.creation_time.replace("Z", "+00:00")).astimezone(UTC)
        except ValueError:
            return None

    @classmethod
    def from_wire(cls, row: Mapping[str, Any]) -> VirtualNode:
        """From one item of ``VirtualNodes[]``; the documented spellings only."""
        return cls(
            id=VirtualNodeId(_text(row, "VirtualNodeId")),
            name=_text(row, "VirtualNodeName"),
            region=_text(row, "RegionId"),
            status=_text(row, "Status"),
            vpc_id=_text(row, "VpcId"),
            vswitch_id=_text(row, "VirtualNodeVSwitchId"),
            security_group_id=_text(row, "VirtualNodeSecurityGroupId"),
            resource_group_id=_text(row, "ResourceGroupId"),
            intranet_ip=_text(row, "IntranetIp"),
            internet_ip=_text(row, "InternetIp"),
            creation_time=_text(row, "CreationTime"),
            tags={_text(tag, "Key"): _text(tag, "Value") for tag in row.get("Tags") or ()},
            events=tuple(
                VNodeEvent(
                    type=_text(event, "Type"),
                    reason=_text(event, "Reason"),
                    message=_text(event, "Message"),
                    name=_text(event, "Name"),
                    count=int(event.get("Count") or 1),
                    first_timestamp=_text(event, "FirstTimestamp"),
                    last_timestamp=_text(event, "LastTimestamp"),
                )
                for event in row.get("Events") or ()
            ),
        )


@dataclass(frozen=True, slots=True)
class ContainerGroup:
    """The instance that a Pod on a VNode runs in."""

    id: str
    name: str
    #: Pending, Running, Succeeded, Failed ... as the API writes it.
    status: str
    vpc_id: str
    vswitch_id: str
    security_group_id: str
    intranet_ip: str

    @classmethod
    def from_wire(cls, row: Mapping[str, Any]) -> ContainerGroup:
        """From one item of ``ContainerGroups[]``."""
        return cls(
            id=_text(row, "ContainerGroupId"),
            name=_text(row, "ContainerGroupName"),
            status=_text(row, "Status"),
            vpc_id=_text(row, "VpcId"),
            vswitch_id=_text(row, "VSwitchId"),
            security_group_id=_text(row, "SecurityGroupId"),
            intranet_ip=_text(row, "IntranetIp"),
        )


@dataclass(frozen=True, slots=True)
class Region:
    """A region that the service lists."""

    id: str
    endpoint: str
    zones: tuple[str, ...]
    recommended_zones: tuple[str, ...] = ()


def wire_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API takes them."""
    return _tags(tags)


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _pairs(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={count}" for name, count in values.items())


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in values.items() if value is not None and value != "" and value != []
    }


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)
