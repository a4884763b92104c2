"""Packet rules and delays of one member of the VPC, put into its own network namespace.

They are the kernel's nftables, spoken to over netlink, and vanish with the namespace.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.expressions import genex, verdict
from pyroute2.nftables.main import NFTables

from vnode_suite.simulated.vpc.errors import NetworkRefused
from vnode_suite.simulated.vpc.rules import Delay, PacketRule

# include/uapi/linux/netfilter/nf_tables.h
_META_L4PROTO = 16
_META_MARK = 3
_PAYLOAD_NETWORK, _PAYLOAD_TRANSPORT = 1, 2
#: Of the source address in an IPv4 header (RFC 791).
_SOURCE_OFFSET = 12
#: Where NAT is done at its usual place among the hooks (NF_IP_PRI_NAT_DST).
_NAT_PRIORITY = -100
_REJECT_ICMP, _REJECT_TCP_RESET = 0, 1
_ICMP_HOST_UNREACHABLE = 1
_DROP, _ACCEPT = 0, 1
_TCP = 6
#: In byte 13 of the TCP header: SYN and ACK together, and SYN alone.
_SYN_ACK_MASK, _SYN = 0x12, 0x02

_TABLE = "vnode_suite"


def apply_rules(rules: Iterable[PacketRule]) -> None:
    """Put rules into the caller's network namespace. Raises `NetworkRefused` where nftables is missing."""
    rules = tuple(rules)
    if not rules:
        return
    try:
        nft = NFTables(nfgen_family=2)
        try:
            nft.table("add", name=_TABLE)
            for chain, hook in (("in", "input"), ("out", "output")):
                nft.chain(
                    "add", table=_TABLE, name=chain, hook=hook, type="filter", priority=0, policy=_ACCEPT
                )
            for rule in rules:
                nft.rule("add", table=_TABLE, chain=rule.direction, expressions=(_expressions(rule),))
        finally:
            nft.close()
    except (NetlinkError, OSError) as error:
        raise NetworkRefused(f"the kernel takes no packet rules (nftables): {error}") from error


def turn_over(delays: Iterable[Delay], relay_port: int, mark: int) -> None:
    """Let connections to the delayed ports end at *relay_port* of this namespace, unless they carry *mark*.

    :raises NetworkRefused: the kernel has no NAT for nftables.
    """
    delays = tuple(delays)
    if not delays:
        return
    table = f"{_TABLE}_delay"
    try:
        nft = NFTables(nfgen_family=2)
        try:
            nft.table("add", name=table)
            for hook in ("prerouting", "output"):
                nft.chain(
                    "add",
                    table=table,
                    name=hook,
                    hook=hook,
                    type="nat",
                    priority=_NAT_PRIORITY,
                    policy=_ACCEPT,
                )
                for delay in delays:
                    nft.rule("add", table=table, chain=hook, expressions=(_turned(delay, relay_port, mark),))
        finally:
            nft.close()
    except (NetlinkError, OSError) as error:
        raise NetworkRefused(f"the kernel turns no connections over (nftables NAT): {error}") from error


def _turned(delay: Delay, relay_port: int, mark: int) -> list[dict[str, Any]]:
    return [
        _load("meta", key=_META_L4PROTO),
        _equals(struct.pack("B", _TCP)),
        _load("payload", base=_PAYLOAD_TRANSPORT, offset=2, len=2),
        _equals(struct.pack("!H", delay.port)),
        _load("meta", key=_META_MARK),
        # Marks are in the machine's own byte order; NFT_CMP_NEQ.
        genex("cmp", {"sreg": 1, "op": 1, "data": _value(struct.pack("=I", mark))}),
        genex("immediate", {"dreg": 1, "data": _value(struct.pack("!H", relay_port))}),
        genex("redir", {"reg_proto_min": 1}),
    ]


def _expressions(rule: PacketRule) -> list[dict[str, Any]]:
    found = [_load("meta", key=_META_L4PROTO), _equals(struct.pack("B", _TCP))]
    if rule.port is not None:
        found += [
            _load("payload", base=_PAYLOAD_TRANSPORT, offset=2, len=2),
            _equals(struct.pack("!H", rule.port)),
        ]
    if rule.source:
        found += [
            _load("payload", base=_PAYLOAD_NETWORK, offset=_SOURCE_OFFSET, len=4),
            _equals(IPv4Address(rule.source).packed),
        ]
    if rule.opening_only:
        found += [
            _load("payload", base=_PAYLOAD_TRANSPORT, offset=13, len=1),
            genex(
                "bitwise",
                {
                    "sreg": 1,
                    "dreg": 1,
                    "len": 1,
                    "mask": _value(bytes([_SYN_ACK_MASK])),
                    "xor": _value(b"\0"),
                },
            ),
            _equals(bytes([_SYN])),
        ]
    if rule.action == "drop":
        return found + list(verdict(_DROP))
    kind, code = (_REJECT_TCP_RESET, 0) if rule.action == "reset" else (_REJECT_ICMP, _ICMP_HOST_UNREACHABLE)
    return [*found, genex("reject", {"type": kind, "icmp_code": code})]


def _load(what: str, **where: int) -> dict[str, Any]:
    return dict(genex(what, {"dreg": 1, **where}))


def _equals(value: bytes) -> dict[str, Any]:
    return dict(genex("cmp", {"sreg": 1, "op": 0, "data": _value(value)}))


def _value(value: bytes) -> dict[str, Any]:
    return {"attrs": [("NFTA_DATA_VALUE", value)]}
