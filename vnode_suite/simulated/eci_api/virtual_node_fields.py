"""The fields of a VNode that create and update share, each read with its rule."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from vnode_suite.simulated.eci_api.errors import ApiError, invalid
from vnode_suite.simulated.eci_api.network import Catalogue
from vnode_suite.simulated.eci_api.parameters import Parameters

#: Taints of one VNode (META).
MOST_TAINTS: Final = 20
EFFECTS: Final = ("NoSchedule", "NoExecute", "PreferNoSchedule")
_NAME = re.compile(r"[A-Za-z0-9一-鿿._:-]{2,128}")
_DOMAIN = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?", re.I
)
_LABEL = re.compile(r"([A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def resource_group(given: Parameters, catalogue: Catalogue) -> str:
    """``ResourceGroupId``, or the account's default group."""
    name = given.text("ResourceGroupId")
    if name and name not in catalogue.resource_groups:
        raise ApiError("InvalidParameter.NotFound", detail=f"ResourceGroupId {name}")
    return name or (catalogue.resource_groups[0] if catalogue.resource_groups else "")


def name(given: Parameters) -> str | None:
    """``VirtualNodeName``; ``None`` if not sent."""
    name = given.text("VirtualNodeName")
    if name and not _NAME.fullmatch(name):
        raise invalid("VirtualNodeName", "2 to 128 letters, Chinese characters, digits and . - _ :")
    return name or None


def internet_address(given: Parameters) -> str:
    """The public address that an EIP or a public network gives."""
    eip = given.text("EipInstanceId", longest=128)
    if eip and not re.fullmatch(r"eip-[a-z0-9]+", eip):
        raise ApiError("InvalidParameter.NotFound", detail=f"EipInstanceId {eip}")
    public = given.boolean("EnablePublicNetwork")
    # 203.0.113.0/24 is kept for documentation (RFC 5737): the emulator has no public addresses.
    return "203.0.113.10" if eip or public else ""


def taints(given: Parameters) -> list[dict[str, str]]:
    """``Taint.N``, each with a known effect."""
    rows = given.table("Taint", ("Key", "Value", "Effect"), most=MOST_TAINTS)
    for row in rows:
        if not _LABEL.fullmatch(row.get("Key", "")):
            raise invalid("Taint", "a taint needs a key in the form of a label key")
        if row.get("Value") and not _LABEL.fullmatch(row["Value"]):
            raise invalid("Taint", "a value is not in the form of a label value")
        if row.get("Effect") not in EFFECTS:
            raise invalid("Taint", f"the effect is one of {', '.join(EFFECTS)}")
    return rows


def cluster_dns(given: Parameters) -> list[str] | None:
    """``ClusterDNS``, addresses; ``None`` if not sent."""
    addresses = given.comma_list("ClusterDNS")
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise invalid("ClusterDNS", "it takes IP addresses separated by commas") from None
    return addresses or None


def cluster_domain(given: Parameters) -> str | None:
    """``ClusterDomain``; ``None`` if not sent."""
    domain = given.text("ClusterDomain")
    if domain and not _DOMAIN.fullmatch(domain):
        raise invalid("ClusterDomain", "it is no domain name")
    return domain or None


def custom_resources(given: Parameters) -> dict[str, str] | None:
    """``CustomResources``, name to count; ``None`` if not sent."""
    found: dict[str, str] = {}
    for item in given.comma_list("CustomResources"):
        name, _, count = item.partition("=")
        if not _LABEL.fullmatch(name) or not re.fullmatch(r"[0-9]{1,18}", count, re.ASCII) or name in found:
            raise invalid("CustomResources", "it takes name=count pairs separated by commas, each name once")
        found[name] = count
    return found or None
