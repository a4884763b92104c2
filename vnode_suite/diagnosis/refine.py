"""Telling causes apart whose texts are the same, by what else is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_address

from vnode_suite.data.causes import load_causes
from vnode_suite.diagnosis.events import Facts, read_time
from vnode_suite.diagnosis.ranking import Finding
from vnode_suite.model import Text

#: The service may show an event some while after the VNode wrote it; a clock that is farther off than this is
#: wrong. PRE-03 warns at 60 s; here the delay of the event's way is added.
SKEW = timedelta(seconds=120)

#: Causes that are about the address that was dialled.
DIALLED = ("api-server-unreachable", "connection-refused", "no-route", "connection-reset")
_CERTIFICATE_TIMES = ("x509-expired", "x509-not-yet-valid")


def refined(finding: Finding, facts: Facts) -> tuple[Finding, ...]:
    """*finding* and what it may mean instead, in the light of *facts* and of its own times."""
    return (finding, *(other for reading in _READINGS for other in reading(finding, facts)))


def _wrong_address(finding: Finding, facts: Facts) -> Iterator[Finding]:
    """A name was dialled at an address that is not the API server's: the network's answer is not about it."""
    server, dialled = _host(finding.fields.get("server", "")), _host(finding.fields.get("address", ""))
    if finding.cause.name not in DIALLED or not facts.server_addresses or not dialled:
        return
    if not _is_address(server) and _is_address(dialled) and dialled not in facts.server_addresses:
        right = ", ".join(facts.server_addresses)
        yield finding.instead(
            load_causes().cause("dns-wrong-address"),
            Text(
                f"{server} was dialled at {dialled}, and the API server is at {right}",
                f"{server} 被解析到 {dialled}，而 API Server 位于 {right}",
            ),
        )


def _empty_ca(finding: Finding, facts: Facts) -> Iterator[Finding]:
    """Without CA data a client falls back on public authorities, which never signed a cluster's server."""
    if finding.cause.name == "x509-unknown-authority" and facts.ca_data_empty:
        yield finding.instead(
            load_causes().cause("ca-data-empty"),
            Text("the kubeconfig that was handed over has no CA data", "交付的 kubeconfig 中没有 CA 数据"),
        )


def _wrong_clock(finding: Finding, _: Facts) -> Iterator[Finding]:
    """The time by which the certificate was judged is not the time at which the event was seen."""
    judged_at = read_time(finding.fields.get("time", ""))
    seen = finding.event.seen
    if finding.cause.name not in _CERTIFICATE_TIMES or judged_at is None or not seen:
        return
    off = min((abs(judged_at - time) for time in seen), default=timedelta())
    if off > SKEW:
        seconds = round(off.total_seconds())
        yield finding.instead(
            load_causes().cause("clock-skew"),
            Text(
                f"the VNode judged by a clock that is {seconds} s off the event's time",
                f"VNode 判断证书所用的时钟与事件时间相差 {seconds} 秒",
            ),
        )


def _right_dates(finding: Finding, facts: Facts) -> Iterator[Finding]:
    """The certificate was valid at the event's own time: it was judged by a clock that is wrong."""
    seen = finding.event.seen
    if finding.cause.name not in _CERTIFICATE_TIMES or facts.certificate_dates is None or not seen:
        return
    begins, ends = facts.certificate_dates
    if all(begins <= time <= ends for time in seen):
        yield finding.instead(
            load_causes().cause("clock-skew"),
            Text(
                f"the server's certificate was valid when the event was seen (from {begins:%F %T} UTC to {ends:%F %T}"
                " UTC): the VNode judged it by another clock",
                f"事件发生时服务器证书有效（UTC {begins:%F %T} 至 {ends:%F %T}）：VNode 判断所用的时钟不同",
            ),
        )


def _strangers_certificate(finding: Finding, facts: Facts) -> Iterator[Finding]:
    """A certificate of the wrong authority is refused as any other wrong credential is."""
    if finding.cause.name == "unauthorized" and facts.issued_by_a_stranger:
        yield finding.instead(
            load_causes().cause("csr-failed"),
            Text(
                "the certificate in the VNode's request is not of the authority that the API server trusts",
                "VNode 的证书请求所得证书并非由 API Server 信任的 CA 签发",
            ),
        )


def _either(finding: Finding, _: Facts) -> Iterator[Finding]:
    """Older Go says "expired or not yet valid" without the times: the rarer one is named as well."""
    if finding.cause.name == "x509-expired" and "time" not in finding.fields:
        yield finding.instead(
            load_causes().cause("x509-not-yet-valid"),
            Text(
                "the text does not say which of both; this is the rarer one", "文本未区分两种情况，此种较少见"
            ),
            likelier=False,
        )


_READINGS: tuple[Callable[[Finding, Facts], Iterator[Finding]], ...] = (
    _wrong_address,
    _empty_ca,
    _wrong_clock,
    _right_dates,
    _strangers_certificate,
    _either,
)


def _host(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.rpartition(":")[0] if address.count(":") == 1 else address


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
