"""PERM: what the VNode's identity may do, as the API server itself answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class Right:
    """One question "may it?" and the server's answer."""

    #: As kubectl would say it: ``patch pods in default``.
    request: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """The answers for one identity."""

    user: str
    answers: tuple[Right, ...]
    #: Where each question comes from, for the sentence: ``ClusterRole system:node``.
    source: str
    #: Rules of the frozen minimum that this server's role lacks: what it does not grant cannot be denied.
    below_minimum: tuple[str, ...] = ()


def _all_allowed(rights: Rights, reason: str) -> Judgement:
    expected = Text(
        f"{rights.user} may do all of {rights.source} ({len(rights.answers)} rights)",
        f"{rights.user} 具备 {rights.source} 的全部权限({len(rights.answers)} 项)",
    )
    if not rights.answers:
        return fails(
            "nothing-to-ask",
            expected,
            Text(
                f"{rights.source} grants nothing on this server", f"服务器上的 {rights.source} 没有任何授权"
            ),
        )
    refused = [answer.request for answer in rights.answers if not answer.allowed]
    if not refused:
        return holds(
            expected, Text(f"all {len(rights.answers)} are allowed", f"{len(rights.answers)} 项均被允许")
        )
    return fails(
        reason,
        expected,
        Text(f"refused: {_some(refused)}", f"被拒绝:{_some(refused)}"),
    )


def _some(requests: Sequence[str], most: int = 6) -> str:
    shown = "; ".join(requests[:most])
    return f"{shown}; and {len(requests) - most} more" if len(requests) > most else shown


@check("PERM-01")
def holds_the_rights_of_a_node(rights: Rights) -> Judgement:
    """Everything that ``system:node`` grants is granted to this identity."""
    if rights.below_minimum:
        missing = _some(rights.below_minimum)
        return fails(
            "system-node-below-minimum",
            Text(
                "the server's own system:node has the rules of its minor",
                "服务器的 system:node 具备该次版本应有的规则",
            ),
            Text(f"it lacks: {missing}", f"缺少:{missing}"),
            Text("restart the API server: it restores its built-in roles", "重启 API Server 以恢复内置角色"),
        )
    return _all_allowed(rights, "system-node-not-granted")


@check("PERM-02")
def holds_the_rights_of_kube_proxy(rights: Rights) -> Judgement:
    """Everything that ``system:node-proxier`` grants is granted to this identity."""
    return _all_allowed(rights, "system-node-proxier-not-granted")


@check("PERM-03")
def may_ask_for_a_certificate(rights: Rights) -> Judgement:
    """The bootstrap identity may create CSRs under ``nodeclient``."""
    return _all_allowed(rights, "nodeclient-denied")


@check("PERM-04")
def may_ask_for_its_own_renewal(rights: Rights) -> Judgement:
    """The certificate identity may create CSRs under ``selfnodeclient``."""
    return _all_allowed(rights, "selfnodeclient-denied")


@dataclass(frozen=True, slots=True)
class Exercised:
    """Rights by review, and the same by really doing it."""

    rights: Rights
    #: Verb to what the server answered when it was really done: empty for success, else its refusal. None at all
    #: where nobody has the credential, or what is denied anyway has nothing to be done to.
    done: tuple[tuple[str, str], ...]


def _allowed_and_done(exercised: Exercised, prefix: str, slug: str) -> Judgement:
    rights = exercised.rights
    asked = [answer.request.split(" ", 1)[0] for answer in rights.answers]
    verbs = ", ".join(verb for verb, _ in exercised.done) or ", ".join(asked)
    how = ("by review and by doing it", "权限审查与实际操作一致")
    if not exercised.done:
        how = ("by review alone", "仅权限审查")
    expected = Text(
        f"{rights.user} may {verbs} {prefix}, {how[0]}",
        f"{rights.user} 可以对 {prefix} 执行 {verbs}({how[1]})",
    )
    refused = {verb: answer for verb, answer in exercised.done if answer}
    denied = [answer.request for answer in rights.answers if not answer.allowed]
    if not refused and not denied:
        done = ("done", "成功") if exercised.done else ("allowed", "允许")
        return holds(expected, Text(f"{verbs}: {done[0]}", f"{verbs}:{done[1]}"))
    said = "; ".join(f"{verb}: {answer}" for verb, answer in refused.items()) or _some(denied)
    missing = {request.split(" ", 1)[0] for request in denied} | refused.keys()
    which = "-".join((slug, next(iter(missing)) if len(missing) == 1 else "write", "denied"))
    return fails(which if slug != "endpoints" else "endpoints-denied", expected, Text(said, said))


@check("PERM-05")
def may_annotate_pods(exercised: Exercised) -> Judgement:
    """Pods: update and patch, reviewed and really done."""
    return _allowed_and_done(exercised, "pods", "pods")


@check("PERM-06")
def may_annotate_claims(exercised: Exercised) -> Judgement:
    """PersistentVolumeClaims: update and patch, reviewed and really done."""
    return _allowed_and_done(exercised, "persistentvolumeclaims", "pvc")


@check("PERM-07")
def may_hold_the_leader_lock(exercised: Exercised) -> Judgement:
    """Endpoints: create and update, needed for leader election on 1.13 only."""
    return _allowed_and_done(exercised, "endpoints", "endpoints")


@check("PERM-08")
def endpoints_are_not_needed(rights: Rights) -> Judgement:
    """From 1.14 on the endpoints rights serve nothing: said when they are granted."""
    granted = [answer.request for answer in rights.answers if answer.allowed]
    actual = (
        Text(f"granted: {_some(granted)}", f"已授予:{_some(granted)}")
        if granted
        else Text("not granted", "未授予")
    )
    return reports(
        Text("no right on endpoints is needed", "不需要 endpoints 权限"),
        actual,
        "granted" if granted else "not-granted",
    )


@dataclass(frozen=True, slots=True)
class Sweep:
    """All that an identity may do beyond what it should."""

    user: str
    asked: int
    beyond: tuple[str, ...]


@check("PERM-09")
def holds_nothing_beyond_the_table(sweep: Sweep) -> Judgement:
    """Least privilege: nothing beyond the page's table and what every authenticated user has."""
    expected = Text(
        f"{sweep.user} holds nothing beyond the table ({sweep.asked} questions)",
        f"{sweep.user} 没有表外权限(共询问 {sweep.asked} 项)",
    )
    if not sweep.beyond:
        return holds(expected, Text("nothing beyond it", "没有多余权限"))
    return fails(
        "right-beyond-the-page",
        expected,
        Text(f"beyond it: {_some(sweep.beyond)}", f"多余权限:{_some(sweep.beyond)}"),
    )


@check("PERM-10")
def bootstrap_token_can_only_ask(sweep: Sweep) -> Judgement:
    """The bootstrap token itself can do nothing but ask for a certificate."""
    expected = Text("the bootstrap token may only ask for a certificate", "引导令牌只能申请证书")
    if not sweep.beyond:
        return holds(
            expected,
            Text(
                f"of {sweep.asked} questions nothing else is allowed", f"询问 {sweep.asked} 项,其余均被拒绝"
            ),
        )
    return fails(
        "bootstrap-token-can-more",
        expected,
        Text(f"it may also: {_some(sweep.beyond)}", f"还可以:{_some(sweep.beyond)}"),
    )


@check("PERM-11")
def what_the_node_role_opens(rights: Rights) -> Judgement:
    """What binding ``system:node`` by RBAC opens, since the Node authoriser does not apply here."""
    opened = [answer.request for answer in rights.answers if answer.allowed]
    return reports(
        Text(
            "what system:node opens cluster-wide when bound by RBAC",
            "通过 RBAC 绑定 system:node 后在集群范围开放的权限",
        ),
        Text(
            f"may {_some(opened)}" if opened else "nothing of note",
            f"可以:{_some(opened)}" if opened else "无",
        ),
        "opens-secrets" if any("secrets" in request for request in opened) else "reported",
    )
