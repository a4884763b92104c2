"""PORT: from the API server to the VNode."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.param import Inbound, first_refused
from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server's node proxy made of one port, once for each way that was tried."""

    port: int
    #: Way (``node proxy``, ``logs of a Pod``) to slug: empty (answered), ``refused``, ``timed-out``, ``no-route``
    #: or ``other``.
    ways: tuple[tuple[str, str], ...]
    detail: str = ""
    #: By the rules of the security group: address of an API server to why it is not admitted, empty where it is. Nobody
    #: where the rules are not known.
    predicted: tuple[tuple[str, str], ...] = ()


def predicted(inbound: Inbound, port: int) -> tuple[tuple[str, str], ...]:
    """What the rules of a group make of TCP *port*: each source (CIDR) to why it is refused, empty where it is not."""
    found = []
    for source in inbound.sources:
        refused = first_refused(inbound.rules, "TCP", (port, port), source)
        found.append((source, refused[1] if refused else ""))
    return tuple(found)


def against_the_rules(answer: Answer) -> Text:
    """Whether the network does what the security group's rules say; empty where they are not known."""
    if not answer.predicted:
        return Text("", "")
    said = "; ".join(f"{source}: {why}" for source, why in answer.predicted if why)
    slugs = {slug for _, slug in answer.ways}
    # A group drops: whoever refuses, or answers, has got the packets.
    if slugs <= {"", "refused"}:
        if said:
            return Text(
                f"; against the security group's rules, which do not admit it ({said}): other rules let it in",
                f"；与安全组规则不符（规则未放行：{said}）：由其他规则放行",
            )
        if "refused" in slugs:
            return Text(
                "; the security group's rules admit it: it is not they", "；安全组规则已放行，并非其所致"
            )
        return Text("; as the security group's rules say", "；与安全组规则一致")
    if said:
        return Text(f"; as the security group's rules say ({said})", f"；与安全组规则一致（{said}）")
    return Text(
        "; against the security group's rules, which admit it: look at routes, firewalls and the VNode itself",
        "；与安全组规则不符（规则已放行）：请检查路由、防火墙与 VNode 本身",
    )


def _reached(answer: Answer) -> Judgement:
    ways = ", ".join(way for way, _ in answer.ways)
    expected = Text(
        f"the API server reaches TCP {answer.port} ({ways})", f"API Server 可访问 TCP {answer.port}({ways})"
    )
    failed = [(way, slug) for way, slug in answer.ways if slug]
    rules = against_the_rules(answer)
    if not failed:
        return holds(expected, Text(f"it answers{rules.en}", f"有应答{rules.zh}"))
    said = "; ".join(f"{way}: {slug}" for way, slug in failed)
    return fails(
        f"port-{failed[0][1]}",
        expected,
        Text(f"{said} {answer.detail}".strip() + rules.en, f"{said} {answer.detail}".strip() + rules.zh),
    )


@check("PORT-01")
def api_server_reaches_10250(answer: Answer) -> Judgement:
    """The API server reaches the VNode on TCP 10250: node proxy and logs of a Pod."""
    return _reached(answer)


@check("PORT-02")
def api_server_reaches_10255(answer: Answer) -> Judgement:
    """The API server reaches the VNode on TCP 10255."""
    return _reached(answer)


@check("PORT-03")
def streams_through_the_api_server(answer: Answer) -> Judgement:
    """exec, attach and port-forward through the API server: said, not judged."""
    said = "; ".join(f"{way}: {slug or 'answers'}" for way, slug in answer.ways)
    return reports(
        Text("exec, attach and port-forward answer", "exec、attach、port-forward 可用"), Text(said, said)
    )
