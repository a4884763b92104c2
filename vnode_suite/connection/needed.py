"""What a run needs to be allowed to do on a cluster that is not its own: the list, and asking before anything is made.

The list is exactly what the run's own client does. What the VNode and the approver may do is not in it, except where
Kubernetes asks for it: nobody may give a right away that they do not hold, unless they may ``bind`` the role.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vnode_suite.access.deployment import RULES as APPROVER_RULES
from vnode_suite.access.objects import NAMESPACE, RBAC
from vnode_suite.access.rights import CERTIFICATES_GROUP, Kind, grants
from vnode_suite.clusters.existing import ECI_PROFILE_GROUP
from vnode_suite.clusters.kube import AccessRequest, KubeClient
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.settings import GivenVNode, Settings
from vnode_suite.data.versions import VersionFacts
from vnode_suite.model import Cloud, Identity, Text, Unreached

#: Where the suite's Pods and claims are made.
PODS_NAMESPACE = "default"
#: Where Kubernetes keeps the Leases of its nodes.
LEASES_NAMESPACE = "kube-node-lease"


@dataclass(frozen=True, slots=True)
class Needed:
    """One line of the list.

    :ivar resource: with its subresource, as RBAC writes it (``pods/log``).
    :ivar namespace: empty for the whole cluster.
    :ivar names: only objects of these names; empty for all.
    """

    verbs: tuple[str, ...]
    resource: str
    why: Text
    group: str = ""
    namespace: str = ""
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        names = f" [{', '.join(self.names)}]" if self.names else ""
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{', '.join(self.verbs)} {resource}{names}{where}"

    def questions(self) -> tuple[AccessRequest, ...]:
        """As access reviews."""
        resource, _, sub = self.resource.partition("/")
        return tuple(
            AccessRequest(verb, resource, self.group, sub, name, self.namespace)
            for verb in self.verbs
            for name in self.names or ("",)
        )


_IDENTITY = Text("the VNode's identity, and taking it away again", "创建并清除 VNode 的身份")
_GIVEN = Text(
    "given to the VNode, and nobody may give what they do not hold", "授予 VNode;不能授予自己没有的权限"
)
_TO_APPROVER = Text("given to the approver, for the same reason", "授予 approver,原因同上")
_TEST_PODS = Text("Pods of the suite's own on the VNode", "在 VNode 上运行套件自己的 Pod")
_LOOKING = Text("finding the VNode and watching it", "查找并观察 VNode")
_PORTS = Text("looking at 10250 and 10255 with the API server's eyes", "通过 API Server 查看 10250 和 10255")
_LEAVINGS = Text(
    "removing what a VNode leaves, since it may not do so itself", "清除 VNode 自身无权删除的遗留"
)
_REVIEWS = Text("asking what the VNode may do", "查询 VNode 的权限")
_DAEMONSETS = Text("seeing where DaemonSets put their Pods", "查看 DaemonSet 的 Pod 分布")
_EXCLUSION = Text(
    "keeping kube-proxy off VNodes (--vnode-apply-exclusion)", "排除 kube-proxy(--vnode-apply-exclusion)"
)
_SELECTOR = Text("a Selector of the suite's own for eci-profile", "套件自有的 eci-profile Selector")
_REACHED = Text("what a Pod on the VNode is to reach (SCHED-06)", "VNode 上的 Pod 应能访问的地址(SCHED-06)")
_TOKEN = Text("groups and end of the VNode's bootstrap token", "查看 VNode 引导令牌的组与有效期")
_EXTRA = Text("the extra right of 1.13", "1.13 的额外权限")

#: What is made is also looked at, and deleted at the end; `update` is for a name that a first try has left.
_OWN = ("get", "list", "create", "update", "delete")


def needed(settings: Settings, facts: VersionFacts) -> tuple[Needed, ...]:
    """The list for one run: by its identities, by whether it applies the exclusion, and by whose VNode it is."""
    if settings.given is not None:
        return needed_for_given(settings, settings.given, facts)
    identities = {cell.identity for cell in settings.cells}
    granted = [
        grant
        for identity in sorted(identities)
        for grant in grants(identity, extra_privilege=facts.endpoints_right_needed)
    ]
    roles = sorted({grant.right.role for grant in granted if grant.right.role})
    lines = [
        Needed(("get", "list", "watch"), "nodes", _LOOKING),
        Needed(("delete",), "nodes", _LEAVINGS),
        Needed(("list", "delete"), "endpoints", _LEAVINGS, namespace=NAMESPACE),
        Needed(("list", "delete"), "certificatesigningrequests", _LEAVINGS, CERTIFICATES_GROUP),
        Needed(("create",), "subjectaccessreviews", _REVIEWS, "authorization.k8s.io"),
        Needed(_OWN, "clusterroles", _IDENTITY, RBAC),
        Needed(_OWN, "clusterrolebindings", _IDENTITY, RBAC),
        Needed((*_OWN, "watch"), "secrets", _IDENTITY, namespace=NAMESPACE),
        Needed(_OWN, "serviceaccounts", _IDENTITY, namespace=NAMESPACE),
        *([Needed(("bind",), "clusterroles", _GIVEN, RBAC, names=tuple(roles))] if roles else []),
        *_given_away(granted),
        *_on_the_vnode(settings, claims=True),
    ]
    if Identity.BOOTSTRAP in identities:
        lines += [_needed(rule, _TO_APPROVER) for rule in APPROVER_RULES if _beyond(rule, lines)]
    if facts.lease_for_vnode:
        lines.append(Needed(("list", "delete"), "leases", _LEAVINGS, "coordination.k8s.io", LEASES_NAMESPACE))
    if settings.cluster.learnt is not None and settings.cluster.learnt.eci_profile:
        lines.append(Needed(_OWN, "selectors", _SELECTOR, ECI_PROFILE_GROUP, PODS_NAMESPACE))
    if settings.cluster.apply_exclusion != "off":
        lines.append(Needed(("create", "patch", "delete"), "daemonsets", _EXCLUSION, "apps", NAMESPACE))
    return tuple(lines)


def needed_for_given(settings: Settings, given: GivenVNode, facts: VersionFacts) -> tuple[Needed, ...]:
    """The list for a VNode that was made elsewhere: looking, and Pods and claims of the suite's own."""
    told = given.kubeconfig is not None or bool(given.user)
    lines = [
        Needed(("get", "list", "watch"), "nodes", _LOOKING),
        Needed(("list",), "endpoints", _LOOKING, namespace=NAMESPACE),
        *_on_the_vnode(settings, claims=given.kubeconfig is not None),
    ]
    if facts.lease_for_vnode:
        lines.append(Needed(("list",), "leases", _LOOKING, "coordination.k8s.io", LEASES_NAMESPACE))
    if told:
        roles = ("system:node", "system:node-proxier")
        lines.append(Needed(("create",), "subjectaccessreviews", _REVIEWS, "authorization.k8s.io"))
        lines.append(Needed(("get",), "clusterroles", _REVIEWS, RBAC, names=roles))
    if given.kubeconfig is not None and Identity.BOOTSTRAP in {cell.identity for cell in settings.cells}:
        lines.append(Needed(("get",), "secrets", _TOKEN, namespace=NAMESPACE))
        lines.append(Needed(("delete",), "certificatesigningrequests", _LEAVINGS, CERTIFICATES_GROUP))
    if given.kubeconfig is not None and facts.endpoints_right_needed:
        lines.append(Needed(("delete",), "endpoints", _EXTRA, namespace=NAMESPACE))
    if settings.cluster.learnt is not None and settings.cluster.learnt.eci_profile:
        lines.append(Needed(_OWN, "selectors", _SELECTOR, ECI_PROFILE_GROUP, PODS_NAMESPACE))
    if settings.cluster.apply_exclusion != "off":
        lines.append(Needed(("create", "patch", "delete"), "daemonsets", _EXCLUSION, "apps", NAMESPACE))
    return tuple(lines)


def _on_the_vnode(settings: Settings, *, claims: bool) -> list[Needed]:
    """What looking at a VNode takes, whosever it is."""
    live = settings.cloud.cloud is Cloud.LIVE
    return [
        *(
            [Needed(("get",), "services", _REACHED, namespace=PODS_NAMESPACE, names=("kubernetes",))]
            if live
            else []
        ),
        Needed(("get", "list", "watch", "create", "delete"), "pods", _TEST_PODS, namespace=PODS_NAMESPACE),
        Needed(
            ("get", "list", "create", "delete") if claims else ("list",),
            "persistentvolumeclaims",
            _TEST_PODS,
            namespace=PODS_NAMESPACE,
        ),
        Needed(("get",), "nodes/proxy", _PORTS),
        Needed(("get",), "pods/log", _PORTS, namespace=PODS_NAMESPACE),
        *(
            Needed(("create",), f"pods/{way}", _PORTS, namespace=PODS_NAMESPACE)
            for way in ("exec", "attach", "portforward")
        ),
        Needed(("get",), "endpoints", _PORTS, namespace=PODS_NAMESPACE, names=("kubernetes",)),
        Needed(("list", "watch"), "pods", _DAEMONSETS),
        Needed(("list",), "daemonsets", _DAEMONSETS, "apps"),
        Needed(("get", "list", "watch"), "daemonsets", _DAEMONSETS, "apps", NAMESPACE),
    ]


def _given_away(granted: Sequence[Any]) -> list[Needed]:
    rules = {grant.right.id: grant.right.rule for grant in granted if grant.right.rule is not None}
    extra = {grant.right.id for grant in granted if grant.right.kind is Kind.EXTRA_PRIVILEGE}
    return [
        Needed(rule.verbs, rule.resource, _EXTRA if name in extra else _GIVEN, rule.group)
        for name, rule in rules.items()
    ]


def _needed(rule: dict[str, Any], why: Text) -> Needed:
    return Needed(tuple(rule["verbs"]), rule["resources"][0], why, rule["apiGroups"][0])


def _beyond(rule: dict[str, Any], lines: Sequence[Needed]) -> bool:
    """Whether the approver's rule says more than a line that is there already."""
    wanted = _needed(rule, _TO_APPROVER)
    return not any(
        (line.group, line.resource, line.namespace, line.names) == (wanted.group, wanted.resource, "", ())
        and set(wanted.verbs) <= set(line.verbs)
        for line in lines
    )


def manifest(lines: Sequence[Needed], name: str = "vnode-suite-runner") -> list[dict[str, Any]]:
    """The list as objects to apply: a ClusterRole, and a Role for each namespace. Bind them to the run's user."""
    found: list[dict[str, Any]] = []
    for namespace in dict.fromkeys(line.namespace for line in lines):
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        found.append(
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "Role" if namespace else "ClusterRole",
                "metadata": metadata,
                "rules": _rules([line for line in lines if line.namespace == namespace]),
            }
        )
    return found


def _rules(lines: Sequence[Needed]) -> list[dict[str, Any]]:
    """One rule for all that share group, names and verbs."""
    verbs: dict[tuple[str, tuple[str, ...], str], dict[str, None]] = {}
    for line in lines:
        verbs.setdefault((line.group, line.names, line.resource), {}).update(dict.fromkeys(line.verbs))
    resources: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (group, names, resource), found in verbs.items():
        resources.setdefault((group, names, tuple(sorted(found))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": which}
        | ({"resourceNames": [*names]} if names else {})
        | {"verbs": [*allowed]}
        for (group, names, allowed), which in resources.items()
    ]


#: Lines of the list that an error names; the rest is counted, and --vnode-plan prints it.
_NAMED = 5


def missing(kube: KubeClient, lines: Sequence[Needed]) -> tuple[Needed, ...]:
    """What of the list the client may not do, asked of the server; each line with the verbs that are missing."""
    questions = list(dict.fromkeys(question for line in lines for question in line.questions()))
    refused = {answer.request for answer in kube.access_reviews(questions) if not answer.allowed}
    found: dict[tuple[str, str, str, tuple[str, ...]], Needed] = {}
    for line in lines:
        verbs = [verb for verb in line.verbs if refused & set(replace(line, verbs=(verb,)).questions())]
        key = (line.group, line.resource, line.namespace, line.names)
        known = found[key].verbs if key in found else ()
        if verbs:
            found[key] = replace(line, verbs=tuple(dict.fromkeys((*known, *verbs))))
    return tuple(found.values())


def named(lines: Sequence[Needed]) -> str:
    """Rights in one line: ``create, delete secrets in kube-system; bind clusterroles...``."""
    shown = "; ".join(str(line) for line in lines[:_NAMED])
    return shown + (f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else "")


def check_rights(kube: KubeClient, settings: Settings, facts: VersionFacts) -> None:
    """Do nothing where the run may do all that it needs to.

    :raises StepNotReached: it may not; names what is missing. Nothing was made by then, so that every clause could
        not run and the run is incomplete, which says nothing about the VNode.
    """
    lacking = missing(kube, needed(settings, facts))
    if not lacking:
        return
    names = named(lacking)
    raise StepNotReached(
        Unreached(
            "rights",
            "right-missing",
            Text(
                f"the kubeconfig's user may not: {names}. Nothing was made; --vnode-plan prints the roles to grant",
                f"kubeconfig 的用户缺少权限:{names}。未创建任何对象;可用 --vnode-plan 打印所需角色",
            ),
        )
    )
