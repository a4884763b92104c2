"""Every API server of a control plane, each asked by itself: behind one address there may be several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from vnode_suite.clusters.cluster import Cluster
from vnode_suite.clusters.kube import KubeClient, KubeUnreachable

_ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
#: One that does not answer its own version within this cannot be asked from here, such as those behind a load balancer.
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Members:
    """The API servers of a control plane."""

    #: ``host:port`` to a client that asks that one.
    asked: Mapping[str, KubeClient]
    #: Those that cannot be reached from here: nothing can be said of what they see.
    unasked: tuple[str, ...] = ()


@contextmanager
def api_servers(cluster: Cluster) -> Iterator[Members]:
    """The servers that the Service ``kubernetes`` stands for; a single one is asked by whatever address it goes.

    Behind an address that none of several can be told apart from, that address is asked.
    """
    places = _places(cluster.kube)
    front = urlsplit(cluster.server_url).netloc
    if len(places) < 2:
        yield Members({front: cluster.kube})
        return
    with ExitStack() as stack:
        made = {place: stack.enter_context(_at(cluster, place)) for place in places}
        with ThreadPoolExecutor(len(made)) as pool:
            answers = dict(zip(made, pool.map(_answers, made.values()), strict=True))
        asked = {place: kube for place, kube in made.items() if answers[place]}
        yield Members(asked or {front: cluster.kube}, tuple(place for place in places if not answers[place]))


def endpoint_addresses(kube: KubeClient) -> tuple[str, ...]:
    """The addresses of the API servers that the Service ``kubernetes`` stands for."""
    return tuple(place.rpartition(":")[0] for place in _places(kube))


def _places(kube: KubeClient) -> list[str]:
    subsets = kube.get(_ENDPOINTS).get("subsets") or ()
    return [
        f"{address['ip']}:{port['port']}"
        for subset in subsets
        for address in subset.get("addresses") or ()
        for port in (subset.get("ports") or ())[:1]
    ]


def _at(cluster: Cluster, place: str) -> KubeClient:
    given = cluster.kubeconfig is not None
    return KubeClient.of_server(
        f"https://{place}", dict(cluster.document), cluster.context, environment_proxy=given
    )


def _answers(kube: KubeClient) -> bool:
    try:
        return kube.raw("/version", timeout_seconds=_ANSWER_SECONDS).status < 500
    except KubeUnreachable:
        return False
