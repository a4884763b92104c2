"""A look from inside the VPC at one address, as an instance in that vSwitch would have it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Any

from vnode_suite.simulated.interface import ProbeOrder
from vnode_suite.simulated.vnode.api import Dialling
from vnode_suite.simulated.vnode.certificates import (
    judge_server_certificate,
    presented_chain,
    unverified_context,
)
from vnode_suite.simulated.vnode.clock import Clock
from vnode_suite.simulated.vnode.defects import clock_offset
from vnode_suite.simulated.vnode.failures import transport_words
from vnode_suite.simulated.vpc.dns import LookupFailed


async def look(order: ProbeOrder, dialling: Dialling) -> Mapping[str, Any]:
    """Resolve, connect and, if asked, open TLS; the answer has the shape that `Fleet.probe` promises."""
    started = time.monotonic()
    answer: dict[str, Any] = {
        "resolved": [],
        "connected": False,
        "error": "",
        "error_kind": "",
        "peer_certificates": [],
    }
    peer = f"{order.host}:{order.port}"
    try:
        async with asyncio.timeout(order.timeout):
            address = await dialling.resolver.resolve(order.host)
            answer["resolved"] = [address]
            peer = f"{address}:{order.port}"
            await _connect(order, dialling, address, answer)
    except TimeoutError:
        answer |= {"error_kind": "timeout", "error": f"dial tcp {peer}: i/o timeout"}
    except LookupFailed as failed:
        kind, words = transport_words(failed, peer)
        answer |= {"error_kind": kind, "error": words}
    except OSError as error:
        kind, words = transport_words(error, peer)
        answer |= {"error_kind": kind, "error": words}
    return answer | {"seconds": round(time.monotonic() - started, 3)}


async def _connect(order: ProbeOrder, dialling: Dialling, address: str, answer: dict[str, Any]) -> None:
    source = (dialling.source, 0) if dialling.source else None
    _, writer = await asyncio.open_connection(address, order.port, local_addr=source)
    answer["connected"] = True
    try:
        if not order.tls:
            return
        await writer.start_tls(unverified_context(), server_hostname=order.host)
        chain = presented_chain(writer.get_extra_info("ssl_object"))
        answer["peer_certificates"] = [ssl.DER_cert_to_PEM_cert(der) for der in chain]
        if order.ca_pem:
            now = Clock(clock_offset(order.defects)).now()
            wrong = judge_server_certificate(chain[0], order.host, now)
            if wrong is None and not await _is_signed_by(order, address, source):
                wrong = "x509-unknown-authority", "x509: certificate signed by unknown authority"
            if wrong is not None:
                answer |= {"error_kind": wrong[0], "error": wrong[1]}
    finally:
        writer.transport.abort()


async def _is_signed_by(order: ProbeOrder, address: str, source: tuple[str, int] | None) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.load_verify_locations(cadata=order.ca_pem)
        _, writer = await asyncio.open_connection(
            address, order.port, ssl=context, server_hostname="", local_addr=source
        )
    except ssl.SSLError:
        return False
    writer.transport.abort()
    return True
