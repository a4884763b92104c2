"""KCFG: generating a kubeconfig, and whether it is fit to be handed to a VNode."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds, reports


@dataclass(frozen=True, slots=True)
class Generation:
    """How generating a kubeconfig ended."""

    mode: str
    #: Empty where it succeeded; else a slug, and the words of what refused it.
    problem: str = ""
    detail: str = ""
    #: Rights beyond the usual that were given and are granted now (1.13: endpoints); whether they must be.
    extra: tuple[str, ...] = ()
    extra_needed: bool = False


def _generated(generation: Generation) -> Judgement:
    expected = Text(
        f"a {generation.mode} kubeconfig is generated", f"生成 {generation.mode} 方式的 kubeconfig"
    )
    if not generation.problem:
        if generation.extra_needed and not generation.extra:
            wanted = Text("the rights on endpoints are granted as well", "同时授予 endpoints 权限")
            return fails("extra-rights-not-granted", wanted, Text("they are not", "未授予"))
        extra = f", with {', '.join(generation.extra)}" if generation.extra else ""
        extra_zh = f",并授予 {'、'.join(generation.extra)}" if generation.extra else ""
        return holds(expected, Text(f"generated{extra}", f"已生成{extra_zh}"))
    return fails("generation-forbidden", expected, Text(generation.detail, generation.detail))


@check("KCFG-01")
def bootstrap_kubeconfig_is_generated(generation: Generation) -> Judgement:
    """A bootstrap kubeconfig can be generated (1.14 and later)."""
    return _generated(generation)


@check("KCFG-02")
def bootstrap_kubeconfig_is_generated_with_extra_rights(generation: Generation) -> Judgement:
    """On 1.13 a bootstrap kubeconfig can be generated with the extra rights on endpoints."""
    return _generated(generation)


@dataclass(frozen=True, slots=True)
class Issue:
    """What became of a proper CSR."""

    approver: str
    #: ``issued``, or the CSR's last state: ``pending``, ``approved`` (not signed), ``denied``, ``failed``.
    state: str
    seconds: float
    deadline: float
    detail: str = ""


@check("KCFG-03")
def approver_approves_a_proper_request(issue: Issue) -> Judgement:
    """An approver approves a proper VNode CSR, and the certificate is issued in time."""
    expected = Text(
        f"approved by {issue.approver} and issued within {issue.deadline:g} s",
        f"{issue.approver} 在 {issue.deadline:g} 秒内批准并签发证书",
    )
    if issue.state == "issued":
        return holds(expected, Text(f"issued after {issue.seconds:.2f} s", f"{issue.seconds:.2f} 秒后签发"))
    return fails(
        f"csr-{issue.state}",
        expected,
        Text(
            f"the CSR is {issue.state} after {issue.seconds:.1f} s {issue.detail}".strip(),
            f"{issue.seconds:.1f} 秒后 CSR 状态为 {issue.state} {issue.detail}".strip(),
        ),
    )


@dataclass(frozen=True, slots=True)
class Improper:
    """What became of CSRs that no approver may approve: variant to state."""

    approver: str
    states: tuple[tuple[str, str], ...]


@check("KCFG-04")
def approver_refuses_improper_requests(improper: Improper) -> Judgement:
    """Every improper CSR stays unapproved."""
    variants = ", ".join(variant for variant, _ in improper.states)
    expected = Text(f"none of these is approved: {variants}", f"以下请求均不被批准:{variants}")
    if not improper.states:
        return fails("nothing-tried", expected, Text("no variant could be submitted", "未能提交任何变体"))
    approved = [variant for variant, state in improper.states if state in ("approved", "issued")]
    if not approved:
        return holds(
            expected,
            Text(f"all {len(improper.states)} stayed unapproved", f"{len(improper.states)} 个变体均未获批准"),
        )
    names = ", ".join(approved)
    return fails("improper-csr-approved", expected, Text(f"approved: {names}", f"已被批准:{names}"))


@check("KCFG-05")
def serviceaccount_kubeconfig_is_generated(generation: Generation) -> Judgement:
    """A ServiceAccount kubeconfig can be generated (on 1.13 with the extra rights on endpoints)."""
    return _generated(generation)


@dataclass(frozen=True, slots=True)
class TokenLife:
    """How long a ServiceAccount token lives, in seconds from now; ``None``: no expiry."""

    remaining: float | None
    horizon: float
    #: Empty where a request with it was answered; else the refusal.
    refused: str = ""


@check("KCFG-06")
def token_outlives_its_use(life: TokenLife) -> Judgement:
    """The ServiceAccount's token never expires, or not before the planned use ends."""
    days = life.horizon / 86_400
    expected = Text(
        f"the token works and lives {days:g} days or for ever",
        f"令牌可用,且有效期不少于 {days:g} 天或永不过期",
    )
    if life.refused:
        return fails("credential-rejected", expected, Text(life.refused, life.refused))
    if life.remaining is None:
        return holds(expected, Text("it never expires", "永不过期"))
    actual = Text(
        f"it expires in {life.remaining / 86_400:.2f} days", f"{life.remaining / 86_400:.2f} 天后过期"
    )
    return (
        holds(expected, actual)
        if life.remaining >= life.horizon
        else fails("token-expires-too-soon", expected, actual)
    )


@check("KCFG-07")
def no_rotation_in_this_mode(mode: str) -> Judgement:
    """A ServiceAccount's token is never rotated by the VNode: said, not judged."""
    return reports(
        Text("the credential is replaced by hand before it expires", "凭据到期前须人工更换"),
        Text(f"mode {mode}: the VNode does not renew it", f"{mode} 方式:VNode 不会自动轮换"),
    )


@dataclass(frozen=True, slots=True)
class Fitness:
    """A kubeconfig's problems of one kind, by slug; the first is the reason."""

    problems: tuple[str, ...]
    server: str = ""


def _fit(fitness: Fitness, expected: Text, good: Text) -> Judgement:
    if not fitness.problems:
        return holds(expected, good)
    found = ", ".join(problem.replace("-", " ") for problem in fitness.problems)
    return fails(fitness.problems[0], expected, Text(found, found))


@check("KCFG-08")
def kubeconfig_is_usable_as_it_stands(fitness: Fitness) -> Judgement:
    """https server, a context that resolves, inline CA, one credential of the mode's form, nothing of another host."""
    return _fit(
        fitness,
        Text(
            "an https server, a current context that resolves, an inline CA and exactly one credential "
            "of the mode's form",
            "https 地址、可解析的当前上下文、内联 CA,以及唯一且符合该方式的凭据",
        ),
        Text(f"all of it, for {fitness.server}", f"全部满足,服务器 {fitness.server}"),
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """The kubeconfig's CA against the server that answers."""

    #: Slug of what is wrong with the data itself (``ca-data-empty``, ...), else empty.
    data_problem: str
    #: Slug of what the TLS handshake said: empty (verified), ``ca-does-not-verify-server``,
    #: ``server-certificate-wrong-name``, ``server-certificate-expired``,
    #: ``server-certificate-not-yet-valid``.
    handshake_problem: str
    detail: str = ""


_CA_REMEDY = {
    "ca-data-empty": Text(
        "the admin kubeconfig names its CA by a path: put the file's Base64 into certificate-authority-data",
        "管理员 kubeconfig 以路径引用 CA:请将该文件的 Base64 写入 certificate-authority-data",
    ),
    "ca-does-not-verify-server": Text(
        "take the CA that signed the API server's certificate (on kubeadm: /etc/kubernetes/pki/ca.crt)",
        "请使用签发 API Server 证书的 CA(kubeadm 集群为 /etc/kubernetes/pki/ca.crt)",
    ),
}


@check("KCFG-09")
def authority_is_the_servers(authority: Authority) -> Judgement:
    """The CA is there, and it is the one that the server presents."""
    expected = Text(
        "certificate-authority-data verifies the server's certificate",
        "certificate-authority-data 能验证服务器证书",
    )
    problem = authority.data_problem or authority.handshake_problem
    if not problem:
        return holds(expected, Text("the TLS handshake verified with it", "TLS 握手校验通过"))
    said = authority.detail or problem.replace("-", " ")
    return fails(problem, expected, Text(said, said), _CA_REMEDY.get(problem))


@dataclass(frozen=True, slots=True)
class Resolution:
    """A server's name, resolved on the VNode's side."""

    name: str
    addresses: tuple[str, ...]
    expected: tuple[str, ...]
    error: str = ""


@check("KCFG-10")
def name_resolves_where_the_vnode_lives(resolution: Resolution) -> Judgement:
    """The server's name resolves inside the VPC, to the right address."""
    wanted = ", ".join(resolution.expected)
    expected = Text(
        f"{resolution.name} resolves to {wanted} inside the VPC",
        f"{resolution.name} 在 VPC 内解析为 {wanted}",
    )
    if not resolution.addresses:
        return fails(
            "name-not-resolved",
            expected,
            Text(resolution.error or "no such host", resolution.error or "域名不存在"),
        )
    found = ", ".join(resolution.addresses)
    if set(resolution.addresses) & set(resolution.expected):
        return holds(expected, Text(f"it resolves to {found}", f"解析为 {found}"))
    return fails("name-resolves-elsewhere", expected, Text(f"it resolves to {found}", f"解析为 {found}"))


@check("KCFG-11")
def admin_credential_is_over_privileged(excess: tuple[str, ...]) -> Judgement:
    """A cluster-admin kubeconfig may be used; what it could do beyond need is said."""
    names = ", ".join(excess)
    return reports(
        Text("a kubeconfig with no more than the page's rights", "仅具备页面所列权限的 kubeconfig"),
        Text(
            f"it may also: {names}" if excess else "no excess found",
            f"还可以:{names}" if excess else "未发现多余权限",
        ),
        "over-privileged" if excess else "reported",
    )


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Who the server takes the credential for."""

    user: str
    expected_prefix: str
    error: str = ""


@check("KCFG-12")
def credential_is_who_it_should_be(who: WhoAmI) -> Judgement:
    """The credential authenticates as the identity that the mode hands out."""
    expected = Text(
        f"the server knows it as {who.expected_prefix}...", f"服务器识别为 {who.expected_prefix}..."
    )
    if who.error:
        return fails("credential-rejected", expected, Text(who.error, who.error))
    actual = Text(f"the server says {who.user}", f"服务器识别为 {who.user}")
    if who.user.startswith(who.expected_prefix):
        return holds(expected, actual)
    return fails("unexpected-user", expected, actual)


@dataclass(frozen=True, slots=True)
class Mode:
    """The identity in use, and whether security requirements were declared."""

    identity: str
    security_required: bool


@check("KCFG-13")
def identity_suits_the_security_requirements(mode: Mode) -> Judgement:
    """Where security requirements are declared, the identity is TLS bootstrap."""
    expected = Text(
        "TLS bootstrap where security requirements are declared", "有安全性要求时采用 TLS Bootstrap"
    )
    actual = Text(f"the identity is {mode.identity}", f"身份方式为 {mode.identity}")
    if not mode.security_required:
        return reports(expected, actual)
    return (
        holds(expected, actual)
        if mode.identity == "bootstrap"
        else fails("identity-not-bootstrap", expected, actual)
    )


@check("KCFG-14")
def generated_file_has_the_documented_shape(fitness: Fitness) -> Judgement:
    """Named ``vnode-config``, one cluster, user ``vnode``, namespace ``kube-system``."""
    return _fit(
        fitness,
        Text(
            "file vnode-config with one cluster, user vnode, namespace kube-system",
            "文件名 vnode-config,单一集群,用户 vnode,命名空间 kube-system",
        ),
        Text("it has that shape", "符合该结构"),
    )


@dataclass(frozen=True, slots=True)
class PublishedApprover:
    """What the published approver's behaviour says of itself on this server."""

    #: Version of certificates.k8s.io that it watches.
    api: str
    #: Why no request reaches it, in the server's words; empty where they do.
    problem: str
    #: Whether the version is known as one on which it works.
    known_to_work: bool


@check("KCFG-15")
def published_approver_on_this_version(seen: PublishedApprover) -> Judgement:
    """The published approver's behaviour (certificates/v1 only) on this version."""
    expected = Text(
        "the page: an approver for bootstrap on every version of its window; "
        f"known of the published one here: {'works' if seen.known_to_work else 'sees no request'}",
        "页面:窗口内各版本均由 approver 批准;"
        f"已知公开版本在此版本上{'可用' if seen.known_to_work else '看不到请求'}",
    )
    if not seen.problem:
        return reports(
            expected,
            Text(
                f"it watches certificates.k8s.io/{seen.api} and requests reach it",
                f"它监听 certificates.k8s.io/{seen.api},可收到请求",
            ),
            "works",
        )
    return reports(
        expected,
        Text(
            f"it asks for certificates.k8s.io/{seen.api} and never sees a request ({seen.problem}), "
            "while its process and Pod look healthy: approve by another one, or kubectl certificate approve",
            f"它请求 certificates.k8s.io/{seen.api},始终看不到请求({seen.problem}),"
            "而进程与 Pod 看似正常:请使用其他 approver 或 kubectl certificate approve",
        ),
        "sees-no-request",
    )


@dataclass(frozen=True, slots=True)
class Expiry:
    """Days left of one thing that was handed out; ``None``: never expires."""

    what: str
    days: float | None


@check("KCFG-16")
def days_left(expiries: tuple[Expiry, ...]) -> Judgement:
    """Days left of every token and certificate handed out."""
    said = "; ".join(
        f"{e.what}: {'never expires' if e.days is None else f'{e.days:.1f} days'}" for e in expiries
    )
    said_zh = "; ".join(f"{e.what}:{'永不过期' if e.days is None else f'{e.days:.1f} 天'}" for e in expiries)
    return reports(
        Text("every expiry is known", "掌握所有有效期"),
        Text(said or "nothing was handed out", said_zh or "未发放凭据"),
    )
