"""PRE: looking before anything is created."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

from vnode_suite.access.kubeconfig import KubeconfigView, view
from vnode_suite.checks.pre import BothWays, Clocks, Reach, ServerVersion, rules_itself_out
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.connection.given import GivenSubject
from vnode_suite.connection.looks import of_the_version
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.diagnosis import diagnose
from vnode_suite.model import Evidence, Observation, Source, Text, Unreached
from vnode_suite.probes.vnodes import find

#: What a probe calls its failure, and what a check calls it.
_PROBLEMS = {
    "timeout": "no-answer",
    "refused": "connection-refused",
    "reset": "connection-refused",
    "no-route": "no-route",
    "network-unreachable": "no-route",
    "dns-no-such-host": "name-not-resolved",
    "dns-timeout": "name-not-resolved",
}


@of_the_version
def server_version(subject: Subject) -> Observation[ServerVersion]:
    """``GET /version`` of the server that the subject is to join."""
    window = subject.cell.run.catalogue.window
    if subject.has("server-too-old", "server-too-new"):
        first, last = window
        minor = _beside(first, -1) if subject.has("server-too-old") else _beside(last, +1)
        with _stub_server(minor) as kube:
            answer = kube.server_version()
    else:
        answer = subject.world.kube.server_version()
    return Observation(
        ServerVersion(str(answer["gitVersion"]), window),
        Source.CLUSTER,
        evidence=(Evidence("GET /version", json.dumps(answer, indent=1), "json"),),
    )


def _beside(minor: str, step: int) -> str:
    major, _, number = minor.partition(".")
    return f"{major}.{int(number) + step}"


@contextmanager
def _stub_server(minor: str) -> Iterator[KubeClient]:
    """A server beside the cluster that answers ``/version`` with another minor, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(
                {"major": "1", "minor": minor.split(".")[1], "gitVersion": f"v{minor}.0"}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the evidence has the answer."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            with KubeClient.anonymous(f"http://127.0.0.1:{server.server_port}", "") as kube:
                yield kube
        finally:
            server.shutdown()


def handed_view(subject: Subject) -> KubeconfigView:
    """The kubeconfig that is handed over, as facts; needs one that names a server."""
    seen = view(subject.kubeconfig().text.reveal())
    if not seen.host:
        detail = Text("the kubeconfig names no server", "kubeconfig 未指明服务器")
        raise StepNotReached(Unreached("kubeconfig", "no-server", detail))
    return seen


def before_the_call(subject: Subject) -> Observation[Reach]:
    """What is known of the way before there is a VNode: a dial where somebody can dial, else the address alone.

    :raises StepNotReached: the address may be right, and nobody can look from inside the VPC.
    """
    if subject.world.cloud.admin is not None:
        return subject.observe(reach)
    seen = handed_view(subject)
    if rules_itself_out(seen.host):
        return Observation(Reach(seen.host, seen.port, (), None), Source.LOCAL)
    raise StepNotReached(Unreached("vpc", "no-view", _NO_VIEW))


_NO_VIEW = Text(
    "before a VNode is there nobody can look from inside a real VPC", "VNode 加入之前无法从真实 VPC 内部观察"
)


def reach(subject: Subject) -> Observation[Reach]:
    """A dial from the VNode's side to the server of the kubeconfig, unless the address rules itself out.

    One that was made elsewhere dials by itself: its heartbeat at the API server is what is seen.
    """
    if isinstance(subject, GivenSubject):
        return _by_heartbeat(subject)
    seen = handed_view(subject)
    if subject.world.cloud.network == "loopback":
        reason = subject.world.cloud.network_reason
        raise StepNotReached(
            Unreached(
                "vpc", "no-namespaces", Text(f"no VPC could be made: {reason}", f"无法构建 VPC:{reason}")
            )
        )
    if rules_itself_out(seen.host):
        return Observation(Reach(seen.host, seen.port, (), None), Source.LOCAL)
    if subject.world.cloud.admin is None:
        problem, evidence = told_by_the_vnode(subject)
        return Observation(
            Reach(seen.host, seen.port, (), not problem, problem, evidence.text if problem else ""),
            Source.NETWORK,
            evidence=(evidence,),
        )
    return _dialled(subject, seen)


#: What the diagnosis calls the causes that are a matter of the way, and what a check calls them.
_CAUSES = {
    "api-server-unreachable": "no-answer",
    "connection-refused": "connection-refused",
    "no-route": "no-route",
    "dns-no-such-host": "name-not-resolved",
    "dns-wrong-address": "name-resolves-elsewhere",
}


def told_by_the_vnode(subject: Subject) -> tuple[str, Evidence]:
    """What the VNode itself shows of the way to the API server: nothing wrong where it registered, else its events.

    :returns: the problem (empty for none), and what that rests on.
    :raises StepNotReached: it did not register, and its events do not blame the way.
    """
    outcome = subject.outcome(subject.node)
    if outcome.product is not None:
        joined = outcome.product
        said = f"the VNode dialled it from its VPC: {joined.name} registered {joined.seconds:.1f} s after the call"
        return "", Evidence("the way", said)
    assert outcome.unreached is not None  # noqa: S101 - narrowing
    created = subject.steps.known("vnode")
    if created is not None and created.product is not None:
        found = find(subject.world.cloud.client, created.product.id)
        texts = [event.message for event in found.events if event.type == "Warning"] if found else []
        for match in diagnose(texts).causes:
            if match.cause in _CAUSES:
                return _CAUSES[match.cause], Evidence("the VNode's events", "\n".join(texts))
    raise StepNotReached(outcome.unreached)


def _dialled(subject: Subject, seen: KubeconfigView) -> Observation[Reach]:
    """A dial by somebody who stands in the simulated VPC."""
    answer = subject.world.cloud.probe(
        seen.host,
        seen.port,
        tls=True,
        timeout=subject.cell.seconds("route-answer"),
        defects=sorted(subject.defects_at("vnode")),
    )
    problem = "" if answer.connected else _PROBLEMS.get(answer.error_kind, "no-answer")
    way = subject.world.way
    expected = way.expected(seen.host) or resolve_here(seen.host)
    if answer.resolved and expected and not set(answer.resolved) & set(expected):
        problem = "name-resolves-elsewhere"
    shown = {key: value for key, value in asdict(answer).items() if key != "peer_certificates"}
    dial = Evidence(f"dial {seen.host}:{seen.port} from the VPC", json.dumps(shown, indent=1), "json")
    return Observation(
        Reach(seen.host, seen.port, answer.resolved, not problem, problem, answer.error),
        Source.NETWORK,
        evidence=(dial, Evidence("the way", way.how.en)) if way.how else (dial,),
    )


def _by_heartbeat(subject: GivenSubject) -> Observation[Reach]:
    parts = urlsplit(subject.world.admin.server)
    said = subject.heard()
    return Observation(
        Reach(parts.hostname or "", parts.port or 443, (), True),
        Source.CLUSTER,
        evidence=(Evidence("the VNode's own heartbeat at the API server", said),),
    )


def resolve_here(host: str) -> tuple[str, ...]:
    """Addresses of *host* on the runner's side; itself where it is an address; none where it is unknown here."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def clocks(subject: Subject) -> Observation[Clocks]:
    """``Date`` of the API server against the runner's clock, and the start of its certificate."""
    kube = subject.world.kube
    before = time.time()
    answer = kube.raw("/version")
    runner = (before + time.time()) / 2
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp() if "Date" in answer.headers else runner
    ahead = max(0.0, _certificate_begins(subject) - runner)
    # The header has whole seconds: half a second of difference says nothing.
    skew = date + 0.5 - runner
    return Observation(
        Clocks(skew if abs(skew) > 1 else 0.0, ahead),
        Source.NETWORK,
        evidence=(
            Evidence(
                "Date header", f"{answer.headers.get('Date')} at {datetime.fromtimestamp(runner, UTC):%F %T}Z"
            ),
        ),
    )


def _certificate_begins(subject: Subject) -> float:
    from cryptography import x509

    parts = urlsplit(subject.world.admin.server)
    pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 443))
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc.timestamp()


def needs_a_way_back(subject: Subject) -> None:
    """Go on only where the API server could reach a simulated VNode at all.

    :raises StepNotReached: the cluster stands behind a relay, which carries one direction.
    """
    if not subject.world.way.returns:
        detail = Text(
            "the simulated VPC is connected to the cluster by a relay, which carries VNodes to the API server and "
            "nobody back",
            "模拟 VPC 仅通过中继连接集群,只能由 VNode 访问 API Server,反向不通",
        )
        raise StepNotReached(Unreached("vpc", "one-way", detail))


def both_ways(subject: Subject) -> Observation[BothWays]:
    """Both directions between the cluster's network and the VPC: the VNode's dial, and the API server's."""
    from vnode_suite.probes.ports import node_proxy

    there = reach(subject)
    needs_a_way_back(subject)
    back, said = False, ""
    for port in (10250, 10255):
        slug, said = node_proxy(
            subject.world.kube, subject.node().name, port, timeout_seconds=subject.cell.seconds("port-answer")
        )
        # Who refuses has answered. Where either port does, the way is there, and PORT-01 or PORT-02 says of the other.
        back = slug in ("", "refused")
        if back:
            break
    return Observation(
        BothWays(bool(there.value.connected), back, there.value.error if back else said[:200]),
        Source.NETWORK,
        evidence=there.evidence,
    )
