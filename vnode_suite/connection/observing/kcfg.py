"""KCFG: looking at how a kubeconfig was made, and at the kubeconfig itself."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from vnode_suite.access.approver.beside import start_approver
from vnode_suite.access.approver.rules import Variant
from vnode_suite.access.bootstrap import Issuance, submit_improper
from vnode_suite.access.generate import Generated, access_request
from vnode_suite.access.kubeconfig import Credential, build, view
from vnode_suite.access.limited import account_with
from vnode_suite.access.rights import Kind
from vnode_suite.checks import kcfg as judged
from vnode_suite.checks.kcfg import (
    Authority,
    Expiry,
    Fitness,
    Generation,
    Improper,
    Issue,
    Mode,
    PublishedApprover,
    Resolution,
    TokenLife,
    WhoAmI,
)
from vnode_suite.checks.registry import Check
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError, KubeUnreachable
from vnode_suite.connection import identities
from vnode_suite.connection.observing.pre import handed_view, resolve_here, told_by_the_vnode
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.connection.subject import Subject
from vnode_suite.core.documents import load_yaml
from vnode_suite.model import Evidence, Identity, Observation, Source, Text, Unreached

#: What OpenSSL says (``verify_code``), and what a check calls it. Codes: openssl-verification-options(1).
_VERIFY_CODES = {
    9: "server-certificate-not-yet-valid",
    10: "server-certificate-expired",
    18: "ca-does-not-verify-server",
    19: "ca-does-not-verify-server",
    20: "ca-does-not-verify-server",
    21: "ca-does-not-verify-server",
    62: "server-certificate-wrong-name",
    64: "server-certificate-wrong-name",
}
_DIAL_SECONDS = 10.0
_NOBODYS = tuple(ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))


def generation(subject: Subject) -> Observation[Generation]:
    """How generating the identity ended."""
    outcome = subject.outcome(subject.identity)
    mode = subject.identity_kind.value
    if outcome.unreached is not None:
        return Observation(
            Generation(mode, outcome.unreached.reason, outcome.unreached.detail.en), Source.CLUSTER
        )
    generated: Generated = outcome.product  # type: ignore[assignment]
    extra, answers = _extra_rights(subject, generated)
    return Observation(
        Generation(mode, extra=extra, extra_needed=subject.world.version.facts.endpoints_right_needed),
        Source.CLUSTER,
        evidence=(Evidence("objects made", "\n".join(generated.created)), *answers),
    )


def _extra_rights(subject: Subject, generated: Generated) -> tuple[tuple[str, ...], tuple[Evidence, ...]]:
    """Rights beyond the usual that were given and that the server grants now."""
    given = {g.right.id: g.right for g in generated.granted if g.right.kind is Kind.EXTRA_PRIVILEGE}
    asked = {right_id: access_request(right.tells) for right_id, right in sorted(given.items())}
    if not asked:
        return (), ()
    user, groups = subject.who()
    decisions = subject.world.kube.access_reviews(list(asked.values()), user=user, groups=groups)
    lines = "\n".join(f"{'yes' if d.allowed else 'NO '}  {d.request}" for d in decisions)
    held = tuple(right_id for right_id, d in zip(asked, decisions, strict=True) if d.allowed)
    return held, (Evidence(f"access reviews for {user}", lines),)


def issue(subject: Subject) -> Observation[Issue]:
    """What became of a proper CSR."""
    issuance = subject.issuance()
    return Observation(_issue(subject, issuance), Source.CLUSTER, evidence=(_csr_evidence(issuance),))


def _issue(subject: Subject, issuance: Issuance) -> Issue:
    approver = subject.cell.approver
    others = "nobody" if subject.owns_vnode else "the cluster's own approver"
    name = "the suite's approver (rules of the published one)" if approver else others
    took = issuance.issued_after if issuance.issued_after is not None else issuance.waited
    return Issue(name, issuance.state, took, subject.cell.seconds("certificate-issued"))


def _csr_evidence(issuance: Issuance) -> Evidence:
    shown = {
        "name": issuance.csr_name,
        "username": issuance.requester,
        "groups": issuance.requester_groups,
        "usages": issuance.csr["spec"].get("usages"),
        "signerName": issuance.csr["spec"].get("signerName"),
        "conditions": (issuance.csr.get("status") or {}).get("conditions"),
    }
    return Evidence(f"CertificateSigningRequest {issuance.csr_name}", json.dumps(shown, indent=1), "json")


def improper(subject: Subject) -> Observation[Improper]:
    """What became of every improper CSR, read once a proper one made after them was approved."""
    identities.approver(subject)
    outcome = submit_improper(
        subject.cell.making,
        subject.identity().kubeconfig,
        subject.cell.naming,
        deadline_seconds=subject.cell.seconds("certificate-issued"),
    )
    if not outcome.conclusive:
        detail = Text("no approver looked at the requests", "没有 approver 处理请求")
        raise StepNotReached(Unreached("approver", "nobody-looked", detail))
    states = tuple((variant.value, state) for variant, state in outcome.states)
    lines = "\n".join(f"{variant}: {state}" for variant, state in states)
    left_out = ", ".join(variant.value for variant in outcome.not_expressible)
    note = f"\ncannot be asked of this server: {left_out}" if left_out else ""
    return Observation(
        Improper("the suite's approver", states),
        Source.CLUSTER,
        evidence=(Evidence("improper CSRs", lines + note),),
    )


def published_approver(subject: Subject) -> Observation[PublishedApprover]:
    """Whether the published approver's behaviour sees any CSR on this server: it is started, and says so itself.

    It is given no right to approve: what it would approve besides is the judgement of other clauses.
    """
    cell, world = subject.cell, subject.world
    making, ca = cell.making, world.cluster.ca_pem
    with account_with(making, ca, cell.naming, "onlooker", rules=_MAY_LOOK) as token:
        credential = build(world.admin, {"token": token.reveal()})
        with start_approver(credential, Variant.PUBLISHED_IMAGE) as published:
            api, problem = published.api, published.problem
    seen = PublishedApprover(api, problem, world.version.facts.published_approver_works)
    said = problem or f"it watches certificates.k8s.io/{api}"
    return Observation(seen, Source.CLUSTER, evidence=(Evidence("the approver says", said),))


_MAY_LOOK = (
    {
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["certificatesigningrequests"],
        "verbs": ["list", "watch"],
    },
)


def token_life(subject: Subject) -> Observation[TokenLife]:
    """How long the token lives, and whether a request with it is answered."""
    generated = subject.identity()
    now = datetime.now(UTC)
    remaining = None if generated.expires is None else (generated.expires - now).total_seconds()
    refused = ""
    with KubeClient.from_kubeconfig_text(generated.kubeconfig.reveal()) as client:
        try:
            client.access_review(AccessRequest("get", path="/version"))
        except KubeError as no:
            refused = no.message
    said = "no exp" if generated.expires is None else f"exp {generated.expires:%F %T}Z"
    horizon = subject.cell.seconds("token-horizon")
    return Observation(
        TokenLife(remaining, horizon, refused), Source.CLUSTER, evidence=(Evidence("JWT", said),)
    )


def mode(subject: Subject) -> Observation[str]:
    """The identity's name, for what is only said."""
    subject.identity()
    return Observation(subject.identity_kind.value, Source.LOCAL)


def _form(subject: Subject) -> Credential | None:
    return None if subject.identity_kind is Identity.ADMIN else Credential.TOKEN


def usable(subject: Subject) -> Observation[Fitness]:
    """What keeps the kubeconfig from being used as it stands."""
    handed = subject.kubeconfig()
    seen = view(handed.text.reveal(), wanted=_form(subject), file_name=handed.file_name)
    facts = f"server {seen.server}\ncurrent-context {seen.current_context}\ncredentials {', '.join(seen.credentials)}"
    return Observation(
        Fitness(seen.unusable, seen.server), Source.LOCAL, evidence=(Evidence("kubeconfig", facts),)
    )


def shape(subject: Subject) -> Observation[Fitness]:
    """Where the generated file departs from the page's shape."""
    handed = subject.kubeconfig()
    seen = view(handed.text.reveal(), wanted=_form(subject), file_name=handed.file_name)
    facts = f"file {handed.file_name}\nclusters {seen.clusters}\nuser {seen.user}\nnamespace {seen.namespace}"
    return Observation(
        Fitness(seen.shape_problems, seen.server), Source.LOCAL, evidence=(Evidence("kubeconfig", facts),)
    )


def authority(subject: Subject) -> Observation[Authority]:
    """The CA in the kubeconfig against the server that answers."""
    handed = subject.kubeconfig()
    seen = view(handed.text.reveal(), wanted=_form(subject), file_name=handed.file_name)
    if seen.authority_problems:
        return Observation(Authority(seen.authority_problems[0], ""), Source.LOCAL)
    address = handed_view(subject)
    _refuse_to_dial(address.host)
    dialled = subject.world.way.dialled_from_here(address.host, address.port)
    problem, detail = _handshake(dialled, address.host, seen.ca_pem)
    return Observation(
        Authority("", problem, detail),
        Source.NETWORK,
        evidence=(Evidence("TLS handshake", detail or "verified"),),
    )


def _handshake(dialled: tuple[str, int], host: str, ca_pem: str) -> tuple[str, str]:
    """What is wrong with the certificate that is shown at *dialled* to somebody who wants *host*."""
    import socket

    context = ssl.create_default_context(cadata=ca_pem)
    try:
        with (
            socket.create_connection(dialled, timeout=_DIAL_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return "", ""
    except ssl.SSLCertVerificationError as refused:
        slug = _VERIFY_CODES.get(refused.verify_code, "ca-does-not-verify-server")
        return slug, f"{slug.replace('-', ' ')}: {refused.verify_message}"
    except OSError as failed:
        # Nobody showed a certificate: whether the CA is the server's cannot be told.
        detail = Text(f"no TLS handshake with {host}: {failed}", f"与 {host} 未能完成 TLS 握手:{failed}")
        raise StepNotReached(Unreached("api-server", "no-handshake", detail)) from None


def _refuse_to_dial(host: str) -> None:
    """Go on unless *host* is an address that belongs to nobody, so that whoever answers is not who is meant.

    :raises StepNotReached: it is one that is set aside for documents (RFC 5737).
    """
    try:
        meant = ip_address(host)
    except ValueError:
        return
    if any(meant in network for network in _NOBODYS):
        detail = Text(f"{host} is an address for documents, which nobody has", f"{host} 是仅供文档使用的地址")
        raise StepNotReached(Unreached("api-server", "not-reached", detail))


def resolution(subject: Subject) -> Observation[Resolution]:
    """The server's name, resolved on the VNode's side and here."""
    seen = handed_view(subject)
    world = subject.world
    expected = world.way.expected(seen.host) or resolve_here(seen.host) or resolve_here(world.admin.host)
    if world.cloud.admin is None:
        # The VNode checks the server's certificate against the kubeconfig's CA and this name: it met the right one.
        problem, evidence = told_by_the_vnode(subject)
        resolved = () if problem == "name-not-resolved" else expected
        return Observation(
            Resolution(seen.host, resolved, expected, evidence.text), Source.NETWORK, evidence=(evidence,)
        )
    answer = world.cloud.probe(
        seen.host,
        seen.port,
        timeout=subject.cell.seconds("route-answer"),
        defects=sorted(subject.defects_at("vnode")),
    )
    return Observation(Resolution(seen.host, answer.resolved, expected, answer.error), Source.NETWORK)


def who(subject: Subject) -> Observation[WhoAmI]:
    """Who the server takes the credential for, by a refusal that names the user (there is no SelfSubjectReview)."""
    handed = subject.kubeconfig()
    _need(subject, judged.kubeconfig_is_usable_as_it_stands, usable)
    _need(subject, judged.authority_is_the_servers, authority)
    user, error = _asked(subject.world.way.from_here(handed.text.reveal()))
    return Observation(
        WhoAmI(user, handed.expected_user, error),
        Source.CLUSTER,
        evidence=(Evidence("authenticated as", user or error),),
    )


def _need(subject: Subject, check: Check[Any], look: Callable[[Subject], Observation[Any]]) -> None:
    """Go on only with a kubeconfig of which *check* holds: any other is not to be used from here either, since it
    may be answered by anybody, or run a program.

    :raises StepNotReached: it does not hold.
    """
    judgement = check(subject.observe(look))
    if judgement.holds is False:
        raise StepNotReached(Unreached("kubeconfig", judgement.reason, judgement.actual))


def _asked(text: str) -> tuple[str, str]:
    """``(user, "")``, or ``("", refusal)`` where the server does not know the credential."""
    import re

    with KubeClient.from_kubeconfig_text(text) as client:
        try:
            # Nobody that a VNode may be has this right, so that the refusal names who asked.
            answer = client.raw("/apis/vnode-suite.invalid/v1/whoami")
        except KubeUnreachable as silent:
            # Nobody was asked: whether the credential is good cannot be told.
            detail = Text(silent.detail, silent.detail)
            raise StepNotReached(Unreached("api-server", "not-reached", detail)) from None
        if answer.status == 404:
            # Nothing is refused to an administrator, who may ask who bears a token.
            return _bearer(client, text), ""
    if answer.status == 429 or answer.status >= 500:
        detail = Text(f"it answers {answer.status}", f"其应答为 {answer.status}")
        raise StepNotReached(Unreached("api-server", "too-busy", detail))
    message = json.loads(answer.text).get("message", "") if answer.text.startswith("{") else answer.text
    if answer.status == 401:
        return "", message or "Unauthorized"
    named = re.search(r'User "([^"]+)"', message)
    return (named.group(1) if named else f"somebody whom the refusal does not name: {message[:200]}"), ""


def _bearer(client: KubeClient, text: str) -> str:
    """Whom the server takes the token in a kubeconfig's *text* for, asked with that very token."""
    token = load_yaml(text)["users"][0]["user"].get("token")
    if not token:
        # A certificate is reviewed by nobody.
        return "an administrator, to whom nothing is refused"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = client.create("/apis/authentication.k8s.io/v1/tokenreviews", review).get("status") or {}
    return str((status.get("user") or {}).get("username", ""))


def declared_mode(subject: Subject) -> Observation[Mode]:
    """The identity in use, against declared security requirements."""
    required = subject.cell.run.settings.scope.security_required or subject.has("identity-not-bootstrap")
    kind = "serviceaccount" if subject.has("identity-not-bootstrap") else subject.identity_kind.value
    return Observation(Mode(kind, required), Source.LOCAL)


def expiries(subject: Subject) -> Observation[tuple[Expiry, ...]]:
    """Days left of every token and certificate handed out."""
    generated, now = subject.identity(), datetime.now(UTC)

    def days(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - now).total_seconds() / 86_400

    found = [Expiry("token", days(generated.expires))]
    if subject.identity_kind is Identity.BOOTSTRAP:
        issued = subject.issuance().certificate
        if issued is not None:
            found.append(Expiry("client certificate", days(issued.not_after)))
    return Observation(tuple(found), Source.CLUSTER)


def admin_excess(subject: Subject) -> Observation[tuple[str, ...]]:
    """Some rights of an administrator that a VNode never needs."""
    questions = [
        AccessRequest("delete", "nodes"),
        AccessRequest("delete", "secrets"),
        AccessRequest("create", "clusterrolebindings", "rbac.authorization.k8s.io"),
        AccessRequest("delete", "namespaces"),
    ]
    answers = subject.client().access_reviews(questions)
    return Observation(tuple(str(a.request) for a in answers if a.allowed), Source.CLUSTER)
