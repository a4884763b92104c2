"""The VNode's ports, through the API server's own eyes."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

from vnode_suite.checks.port import Answer
from vnode_suite.clusters.kube import KubeClient, KubeError, KubeUnreachable
from vnode_suite.clusters.members import Members
from vnode_suite.model import Evidence, Observation, Source

#: What the API server's dialler says, in Go's words, and what that means.
_DIAL_ERRORS = (
    (re.compile(r"connection refused"), "refused"),
    (re.compile(r"i/o timeout|deadline exceeded|[Tt]imeout"), "timed-out"),
    (re.compile(r"no route to host|network is unreachable"), "no-route"),
)


def node_proxy(kube: KubeClient, node: str, port: int, *, timeout_seconds: float) -> tuple[str, str]:
    """What the node proxy makes of *port*: ``("", body)`` where it answers, else a slug and the server's words.

    10250 is asked over TLS, 10255 in plain, as a kubelet serves them.
    """
    scheme = "https:" if port == 10250 else ""
    path = f"/api/v1/nodes/{scheme}{node}:{port}/proxy/healthz"
    return _ask(kube, path, timeout_seconds)


def pod_logs(kube: KubeClient, namespace: str, pod: str, *, timeout_seconds: float) -> tuple[str, str]:
    """What asking the API server for a Pod's logs makes of port 10250."""
    return _ask(kube, f"/api/v1/namespaces/{namespace}/pods/{pod}/log", timeout_seconds)


def _ask(kube: KubeClient, path: str, timeout_seconds: float) -> tuple[str, str]:
    try:
        answer = kube.raw(path, timeout_seconds=timeout_seconds)
    except KubeUnreachable as silent:
        return "timed-out", silent.detail
    except KubeError as refused:
        return "other", refused.message
    if answer.status < 400:
        return "", answer.text
    return slug_of(answer.text), _words(answer.text)


def _words(body: str) -> str:
    """The message of a ``Status``, or the text as it is."""
    try:
        return str(json.loads(body)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return body.strip()


def slug_of(words: str) -> str:
    """What an error of the API server's dialler means."""
    return next((slug for pattern, slug in _DIAL_ERRORS if pattern.search(words)), "other")


def port_answer(
    servers: Members, node: str, port: int, *, timeout_seconds: float, pod: tuple[str, str] | None = None
) -> Observation[Answer]:
    """Every way to *port* from every API server, tried side by side: a dial that is dropped takes half a minute.

    :param pod: namespace and name of a Pod that runs on the node, for its logs (10250).
    """
    several = len(servers.asked) > 1 or bool(servers.unasked)
    with ThreadPoolExecutor(2 * len(servers.asked)) as pool:
        tried = {}
        for place, kube in servers.asked.items():
            proxied = pool.submit(node_proxy, kube, node, port, timeout_seconds=timeout_seconds)
            tried[f"node proxy{f' of {place}' if several else ''}"] = proxied
            if pod is not None:
                logs = pool.submit(pod_logs, kube, *pod, timeout_seconds=timeout_seconds)
                tried[f"logs of a Pod{f' from {place}' if several else ''}"] = logs
        answers = {way: future.result() for way, future in tried.items()}
    detail = next((said for slug, said in answers.values() if slug), "")
    unasked = tuple(
        Evidence(f"{place} cannot be reached from here", "what it sees of the VNode was not looked at")
        for place in servers.unasked
    )
    return Observation(
        Answer(port, tuple((way, slug) for way, (slug, _) in answers.items()), detail[:300]),
        Source.NETWORK,
        evidence=(
            *(Evidence(f"{way} to {node}:{port}", said[:2000]) for way, (_, said) in answers.items()),
            *unasked,
        ),
    )
