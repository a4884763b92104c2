"""Everything that can be looked at when a VNode has not come: its events, the cluster's objects, the server itself.

Nothing is changed, and nobody is contacted but the ECI API, the cluster of the given kubeconfig, and the server of the
kubeconfig that was handed to the VNode. An address that only the text of an event names is never dialled.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml
from cryptography import x509

from vnode_suite.access.generate import token_expiry
from vnode_suite.access.kubeconfig import Credential, KubeconfigView, Problem, view
from vnode_suite.clusters.kube import KubeClient, KubeError, KubeUnreachable
from vnode_suite.core.documents import load_yaml
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.secrets import Secret
from vnode_suite.diagnosis import Diagnosis, EventText, Facts, diagnose
from vnode_suite.diagnosis.evidence import Case, Clock, Moment, Sign, weigh
from vnode_suite.diagnosis.refine import DIALLED
from vnode_suite.eci.models import VirtualNode
from vnode_suite.model import Source, Text
from vnode_suite.probes import cluster_signs
from vnode_suite.probes.cluster_signs import LONGEST_TEXT, Issue, Json
from vnode_suite.probes.server_signs import Met, Server, meet, now

_ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO_AM_I = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {"nonResourceAttributes": {"path": "/version", "verb": "get"}},
}
_INLINE = frozenset({Credential.TOKEN, Credential.CERTIFICATE})
_BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be asked."""

    virtual_node: VirtualNode | None = None
    #: The cluster, with an administrator's credential: read only.
    kube: KubeClient | None = None
    #: The text of the kubeconfig that the VNode was handed.
    handed: Secret | None = None
    #: Events from elsewhere than the VNode: pasted ones, or the refusal of the call that was to create it.
    events: tuple[EventText, ...] = ()


@dataclass(slots=True)
class _Seen:
    signs: list[Sign] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    requests: tuple[Json, ...] = ()
    addresses: tuple[str, ...] = ()
    issue: Issue | None = None
    met: Met = field(default_factory=lambda: Met(()))
    cluster_ahead: float = 0.0


def investigate(sources: Sources) -> Case:
    """The causes that the events name, weighed by all that *sources* show, with the timeline."""
    events = (*sources.events, *_events(sources.virtual_node))
    seen = _Seen()
    if sources.kube is not None:
        _look_at_cluster(sources.kube, sources.virtual_node, seen)
    handed = view(sources.handed.reveal()) if sources.handed is not None else None
    if handed is not None and sources.handed is not None:
        _look_at_handed(handed, sources.handed, sources.kube, seen)
    facts = Facts(
        server_addresses=seen.addresses or _own_address(handed),
        ca_data_empty=Problem.CA_EMPTY in handed.problems if handed is not None else None,
        certificate_dates=seen.met.dates,
        issued_by_a_stranger=seen.issue.by_a_stranger if seen.issue is not None else None,
    )
    found = diagnose(events, facts)
    if sources.kube is not None:
        seen.signs += _of_refusals(sources.kube, found, seen)
    seen.signs += _dialled(found, facts)
    moments = (*_cloud_moments(sources.virtual_node, events), *seen.moments, *_own_moments(seen.signs))
    return weigh(found, seen.signs, moments)


def _events(node: VirtualNode | None) -> Iterator[EventText]:
    for event in node.events if node is not None else ():
        yield EventText(
            text=event.message,
            reason=event.reason,
            type=event.type,
            count=event.count,
            first=event.first_timestamp,
            last=event.last_timestamp,
            virtual_node_id=node.id if node is not None else "",
        )


def _own_address(handed: KubeconfigView | None) -> tuple[str, ...]:
    return (handed.host,) if handed is not None and handed.host and not handed.server_is_name else ()


# -- the cluster --------------------------------------------------------------------------------------------------


def _look_at_cluster(kube: KubeClient, node: VirtualNode | None, seen: _Seen) -> None:
    """Objects and clock of the cluster; what it refuses or cannot answer is a sign without a finding."""
    try:
        subsets = kube.get(_ENDPOINTS).get("subsets") or ()
        seen.addresses = tuple(a["ip"] for subset in subsets for a in subset.get("addresses") or ())
        sign, seen.cluster_ahead = cluster_signs.clocks(kube)
        seen.signs.append(sign)
        if node is None:
            return
        seen.requests = cluster_signs.certificate_requests(kube, node.id)
        seen.issue = cluster_signs.issue(seen.requests, cluster_signs.client_authority(kube))
        seen.signs.append(seen.issue.sign)
        seen.moments += cluster_signs.timeline(kube, node.id, seen.requests)
    except (KubeError, KubeUnreachable) as problem:
        said = Text(f"the cluster could not be looked at: {problem}", f"无法查看集群：{problem}")
        seen.signs.append(Sign("cluster", "", said, Source.CLUSTER, now(), "the given kubeconfig"))


def _of_refusals(kube: KubeClient, found: Diagnosis, seen: _Seen) -> list[Sign]:
    """What the server refuses by the events, asked of the server."""
    signs: list[Sign] = []
    # The server that was handed over has been asked already; there may be several, and they may differ.
    asked = any(sign.name == "apis" for sign in seen.signs)
    with suppress(KubeError, KubeUnreachable):
        for match in found.causes:
            if match.cause == "forbidden":
                sign = cluster_signs.right(kube, match.fields)
                signs += [sign] if sign is not None else []
            elif match.cause == "version-outside-window" and not asked:
                signs.append(cluster_signs.apis(kube))
    return signs


# -- what was handed over -----------------------------------------------------------------------------------------


def _look_at_handed(handed: KubeconfigView, text: Secret, kube: KubeClient | None, seen: _Seen) -> None:
    """The kubeconfig itself, then the server that it names, then whether its credential is taken there."""

    def of_file(name: str, found: str, en: str, zh: str) -> None:
        seen.signs.append(Sign(name, found, Text(en, zh), Source.LOCAL, now(), "read the kubeconfig"))

    if handed.unusable:
        reasons = ", ".join(handed.unusable)
        of_file(
            "kubeconfig", "unusable", f"it cannot be used as it stands: {reasons}", f"无法直接使用：{reasons}"
        )
    else:
        of_file("kubeconfig", "usable", "it can be used as it stands", "可以直接使用")
    if Problem.CA_EMPTY in handed.problems:
        of_file("ca-data", "empty", "certificate-authority-data is empty", "certificate-authority-data 为空")
    elif handed.ca_pem:
        of_file(
            "ca-data",
            "given",
            "certificate-authority-data holds a certificate",
            "certificate-authority-data 含有证书",
        )
    if not handed.host:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="credential") as pool:
        # Never a program that a kubeconfig names: whoever wrote it would have it run here.
        inline = handed.credentials and set(handed.credentials) <= _INLINE
        credential = pool.submit(_credential, text, kube) if inline else None
        seen.met = meet(Server(handed.host, handed.port, handed.ca_pem), seen.addresses)
        seen.signs += [*seen.met.signs, *(credential.result() if credential is not None else ())]


def _credential(text: Secret, kube: KubeClient | None) -> tuple[Sign, ...]:
    how = "create a selfsubjectaccessreview with the kubeconfig that was handed over"
    served: tuple[Sign, ...] = ()
    try:
        with KubeClient.from_kubeconfig_text(text.reveal()) as its:
            status = its.raw(_REVIEWS, "POST", body=_WHO_AM_I, timeout_seconds=10).status
            if status not in (401, 429):
                served = (cluster_signs.apis(its),)
    except SuiteError as problem:
        said = Text(
            f"the credential could not be tried: {problem.summary}", f"无法验证凭据：{problem.summary}"
        )
        return (Sign("credential", "", said, Source.NETWORK, now(), how),)
    if status == 429:
        said = Text("the API server answers 429 here too", "API Server 在此处同样返回 429")
        return (Sign("load", "turned-away", said, Source.NETWORK, now(), how),)
    if status != 401:
        said = Text("the API server takes the credential", "API Server 接受该凭据")
        return (Sign("credential", "accepted", said, Source.NETWORK, now(), how), *served)
    en, zh = _why_rejected(text, kube)
    return (Sign("credential", "rejected", Text(en, zh), Source.NETWORK, now(), how),)


def _why_rejected(text: Secret, kube: KubeClient | None) -> tuple[str, str]:
    """The event cannot tell an expired credential from a deleted or a mistyped one; the cluster's Secrets can."""
    token = str(_user(text).get("token") or "")
    bootstrap = _BOOTSTRAP_TOKEN.fullmatch(token)
    if bootstrap and kube is not None:
        return _why_bootstrap_token_rejected(kube, bootstrap[1], bootstrap[2])
    ends = token_expiry(token) if token else _certificate_end(text)
    if ends is not None and ends < now():
        return f"the credential ended at {ends:%F %T} UTC", f"凭据已于 UTC {ends:%F %T} 到期"
    return (
        "the API server rejects it, and it has not expired: deleted, mistyped or of another cluster",
        "API Server 拒绝该凭据，且其尚未到期：可能已删除、有误或属于其他集群",
    )


def _why_bootstrap_token_rejected(kube: KubeClient, token_id: str, secret: str) -> tuple[str, str]:
    name = f"bootstrap-token-{token_id}"
    try:
        kept = kube.get(f"/api/v1/namespaces/kube-system/secrets/{name}").get("data") or {}
    except KubeError as problem:
        if problem.status == 404:
            return (
                f"there is no Secret {name}: deleted or mistyped",
                f"不存在 Secret {name}：已删除或令牌有误",
            )
        return f"Secret {name} may not be read", f"无权读取 Secret {name}"
    if base64.b64decode(str(kept.get("token-secret", ""))).decode() != secret:
        return f"Secret {name} holds another secret: mistyped", f"Secret {name} 中的内容不同：令牌有误"
    ends = base64.b64decode(str(kept.get("expiration", ""))).decode() or "none"
    return (
        f"Secret {name} has ended or may not authenticate (expiration {ends})",
        f"Secret {name} 已到期或不可用于认证（expiration {ends}）",
    )


def _user(text: Secret) -> Mapping[str, Any]:
    try:
        users = load_yaml(text.reveal())["users"]
        return dict(users[0]["user"])
    except (yaml.YAMLError, KeyError, TypeError, IndexError, ValueError):
        return {}


def _certificate_end(text: Secret) -> datetime | None:
    try:
        pem = base64.b64decode(str(_user(text).get("client-certificate-data") or ""))
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None


# -- the timeline, and what the events say of addresses -----------------------------------------------------------


def _dialled(found: Diagnosis, facts: Facts) -> Iterator[Sign]:
    """Whether the address that the VNode dialled, by its own words, is the API server's."""
    for match in found.causes:
        if match.cause not in DIALLED:
            continue
        server = match.fields.get("server", "").rpartition(":")[0]
        address = match.fields.get("address", "").rpartition(":")[0]
        if not facts.server_addresses or not _is_address(address) or _is_address(server):
            continue
        right = address in facts.server_addresses
        wanted = ", ".join(facts.server_addresses)
        said = Text(
            f"the VNode dialled {address}; the API server is {wanted}",
            f"VNode 连接 {address}；API Server 为 {wanted}",
        )
        yield Sign("dialled", "right" if right else "elsewhere", said, Source.CLOUD, now(), "read the event")
        return


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _cloud_moments(node: VirtualNode | None, events: Iterable[EventText]) -> Iterator[Moment]:
    if node is not None and node.created is not None:
        made = Text(f"{node.id} was created", f"{node.id} 已创建")
        yield Moment(node.created, Clock.SERVICE, Source.CLOUD, made)
    for event in events:
        times = sorted(set(event.seen))
        said = f"{event.reason}: {event.text}"[:LONGEST_TEXT]
        for number, at in enumerate(times):
            often = (
                Text(f" (the last of {event.count})", f"（共 {event.count} 次，最后一次）")
                if number
                else Text("", "")
            )
            text = Text(f"{said}{often.en}", f"{said}{often.zh}")
            yield Moment(at, Clock.SERVICE, Source.CLOUD, text)


def _own_moments(signs: Iterable[Sign]) -> Iterator[Moment]:
    for sign in signs:
        text = Text(f"{sign.name}: {sign.said.en}", f"{sign.name}: {sign.said.zh}")
        yield Moment(sign.at, Clock.RUNNER, sign.source, text)
