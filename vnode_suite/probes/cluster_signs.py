"""Signs of a VNode's trouble in the cluster's own objects; everything is read, nothing is changed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from vnode_suite.access.rights import VNODES_GROUP
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError
from vnode_suite.diagnosis.events import read_time
from vnode_suite.diagnosis.evidence import Clock, Moment, Sign
from vnode_suite.model import Source, Text
from vnode_suite.probes.server_signs import now

Json = Mapping[str, Any]

_REQUESTS: Final = (
    "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "/apis/certificates.k8s.io/v1beta1/certificatesigningrequests",
)
#: Of a row of the timeline, in characters: messages of some components are pages long.
LONGEST_TEXT = 300
#: Differences of clocks above this make certificates and tokens fail (PRE-03 warns at the same).
APART_SECONDS = 60.0


def certificate_requests(kube: KubeClient, virtual_node_id: str) -> tuple[Json, ...]:
    """The requests for a certificate of this VNode: its id is in the subject, whoever asked; the newest last."""
    for collection in _REQUESTS:
        try:
            found = kube.list(collection)
        except KubeError as problem:
            if problem.status == 404:
                continue
            raise
        mine = [one for one in found if virtual_node_id in _subject(one)]
        return tuple(sorted(mine, key=lambda one: str(one["metadata"].get("creationTimestamp"))))
    return ()


def _subject(request: Json) -> str:
    try:
        pem = base64.b64decode(str(request["spec"]["request"]), validate=True)
        names = x509.load_pem_x509_csr(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (KeyError, ValueError, binascii.Error):
        return ""
    return str(names[0].value) if names else ""


def client_authority(kube: KubeClient) -> str:
    """The CA by which the API server knows client certificates (PEM); empty where it may not be read."""
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    try:
        return str((kube.get(path).get("data") or {}).get("client-ca-file") or "")
    except KubeError:
        return ""


@dataclass(frozen=True, slots=True)
class Issue:
    """What became of the VNode's last request for a certificate."""

    sign: Sign
    #: It was given one that the API server does not trust; None where that cannot be told.
    by_a_stranger: bool | None = None


def issue(requests: Sequence[Json], authority: str) -> Issue:
    """Judge the newest of *requests* (`certificate_requests`), with the cluster's own *authority* at hand."""
    how = "list certificatesigningrequests"
    if not requests:
        said = Text("the VNode has asked for no certificate", "VNode 没有提交过证书请求")
        return Issue(Sign("csr", "none", said, Source.CLUSTER, now(), how))
    request = requests[-1]
    name, status = request["metadata"]["name"], request.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}

    def found(slug: str, en: str, zh: str) -> Issue:
        sign = Sign("csr", slug, Text(f"{name} {en}", f"{name} {zh}"), Source.CLUSTER, now(), how)
        return Issue(sign, {"foreign": True, "issued": False}.get(slug))

    for kind, slug in (("Denied", "denied"), ("Failed", "failed")):
        if kind in conditions:
            why = f"{conditions[kind].get('reason', '')}: {conditions[kind].get('message', '')}"
            return found(slug, f"is {slug} ({why})", f"状态为 {slug}（{why}）")
    if "Approved" not in conditions:
        return found("pending", "waits for somebody to approve it", "尚未被批准")
    if not status.get("certificate"):
        return found("unsigned", "is approved and nobody has signed it", "已批准但未签发")
    if authority and not _signed_by(str(status["certificate"]), authority, request):
        return found(
            "foreign",
            "holds a certificate that is not its key's, or not of the API server's authority",
            "中的证书与其密钥不符，或并非由 API Server 信任的 CA 签发",
        )
    return found("issued", "is approved and signed", "已批准并签发")


def _signed_by(encoded: str, authority: str, request: Json) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(base64.b64decode(encoded))
        asked = x509.load_pem_x509_csr(base64.b64decode(str(request["spec"]["request"])))
    except (ValueError, binascii.Error):
        return False
    if certificate.public_key() != asked.public_key():
        return False
    for known in x509.load_pem_x509_certificates(authority.encode()):
        try:
            certificate.verify_directly_issued_by(known)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def right(kube: KubeClient, fields: Mapping[str, str]) -> Sign | None:
    """Whether the user of a refusal's *fields* may do now what it was refused; None for a text that does not say."""
    user = fields.get("anyone") or fields.get("vnode_user") or ""
    resource, verb = fields.get("resource", ""), fields.get("verb", "")
    if not user or not verb or not resource or resource.startswith("/"):
        return None
    plain, _, subresource = resource.partition("/")
    namespace = fields.get("scope", "").partition('"')[2].rstrip('"')
    request = AccessRequest(verb, plain, fields.get("group", ""), subresource, namespace)
    decision = kube.access_review(request, user=user, groups=_groups(user))
    held = decision.allowed
    said = Text(
        f"{user} may {'' if held else 'not '}{verb} {resource}",
        f"{user} {'可以' if held else '不可以'} {verb} {resource}",
    )
    return Sign(
        "right", "held" if held else "missing", said, Source.CLUSTER, now(), "create a subjectaccessreview"
    )


def _groups(user: str) -> tuple[str, ...]:
    everyone = "system:authenticated"
    if user.startswith("system:serviceaccount:"):
        return ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", everyone)
    if user.startswith("system:vnode"):
        return (VNODES_GROUP, everyone)
    return ("system:bootstrappers", everyone) if user.startswith("system:bootstrap:") else (everyone,)


def apis(kube: KubeClient) -> Sign:
    """Whether the server serves an API version in which a certificate can be asked for."""
    served = [path.split("/")[3] for path in _REQUESTS if _is_served(kube, path)]
    said = Text(
        f"certificates.k8s.io is served in {', '.join(served) or 'no version'}",
        f"certificates.k8s.io 提供的版本：{', '.join(served) or '无'}",
    )
    return Sign("apis", "served" if served else "not-served", said, Source.CLUSTER, now(), "GET /apis")


def _is_served(kube: KubeClient, path: str) -> bool:
    return kube.raw(f"{path}?limit=1").status != 404


def clocks(kube: KubeClient) -> tuple[Sign, float]:
    """The API server's clock against the runner's: the sign, and by how many seconds the server is ahead."""
    answer = kube.raw("/version")
    header, here = answer.headers.get("Date"), now()
    if header is None:
        said = Text("the API server tells no time", "API Server 未返回时间")
        return Sign("clocks", "", said, Source.CLUSTER, here, "GET /version"), 0.0
    ahead = (parsedate_to_datetime(header).astimezone(UTC) - here).total_seconds()
    # The header has whole seconds.
    apart = abs(ahead) > APART_SECONDS + 1
    said = Text(
        f"the API server's clock is {ahead:+.0f} s off the one here",
        f"API Server 时钟与此处相差 {ahead:+.0f} 秒",
    )
    return Sign("clocks", "apart" if apart else "together", said, Source.CLUSTER, here, "GET /version"), ahead


def timeline(kube: KubeClient, virtual_node_id: str, requests: Sequence[Json]) -> Iterator[Moment]:
    """The cluster's own times of the VNode: its requests, its Node and what is written about it."""
    for request in requests:
        name = request["metadata"]["name"]
        yield from _moment(
            request["metadata"].get("creationTimestamp"),
            Clock.CLUSTER,
            f"{name} was created",
            f"{name} 已创建",
        )
        for one in (request.get("status") or {}).get("conditions") or ():
            yield from _moment(
                one.get("lastUpdateTime"), Clock.CLUSTER, f"{name}: {one['type']}, {one.get('reason', '')}"
            )
    for node in kube.list("/api/v1/nodes"):
        name = str(node["metadata"]["name"])
        if virtual_node_id not in name:
            continue
        yield from _moment(
            node["metadata"].get("creationTimestamp"), Clock.CLUSTER, f"Node {name} was created"
        )
        for one in (node.get("status") or {}).get("conditions") or ():
            if one["type"] == "Ready":
                # Written by the VNode itself, until the node controller speaks for it.
                clock = Clock.CLUSTER if one["status"] == "Unknown" else Clock.VNODE
                yield from _moment(
                    one.get("lastTransitionTime"),
                    clock,
                    f"Node {name}: Ready={one['status']}, {one.get('reason', '')}",
                )
    for event in kube.list("/api/v1/events"):
        about = event.get("involvedObject") or {}
        if virtual_node_id in str(about.get("name")):
            text = f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {event.get('message')}"
            yield from _moment(event.get("lastTimestamp"), Clock.CLUSTER, text)


def _moment(at: object, clock: Clock, en: str, zh: str = "") -> Iterator[Moment]:
    """A row, where *at* is a time; what objects say of themselves is the same in both languages."""
    time: datetime | None = read_time(str(at))
    if time is not None:
        yield Moment(time, clock, Source.CLUSTER, Text(en[:LONGEST_TEXT], (zh or en)[:LONGEST_TEXT]))
