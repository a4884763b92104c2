"""PORT: from the API server to the VNode."""

from __future__ import annotations

from dataclasses import dataclass

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


def _reached(answer: Answer) -> Judgement:
    ways = ", ".join(way for way, _ in answer.ways)
    expected = Text(
        f"the API server reaches TCP {answer.port} ({ways})", f"API Server 可访问 TCP {answer.port}({ways})"
    )
    failed = [(way, slug) for way, slug in answer.ways if slug]
    if not failed:
        return holds(expected, Text("it answers", "有应答"))
    said = "; ".join(f"{way}: {slug}" for way, slug in failed)
    return fails(
        f"port-{failed[0][1]}",
        expected,
        Text(f"{said} {answer.detail}".strip(), f"{said} {answer.detail}".strip()),
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
