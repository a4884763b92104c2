"""What an identity may do, asked of the API server and, where it matters, really done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnode_suite.checks.perm import Exercised, Right, Rights, Sweep
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError
from vnode_suite.model import Evidence, Observation, Source
from vnode_suite.probes.discovery import Served

Json = dict[str, Any]


def requests_of(rules: Iterable[Mapping[str, Any]], *, namespace: str = "") -> tuple[AccessRequest, ...]:
    """One question for each verb of each resource that RBAC rules grant, in their order, each once."""
    found: dict[AccessRequest, None] = {}
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for path in rule.get("nonResourceURLs") or ():
                found[AccessRequest(verb, path=path)] = None
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    name, _, sub = resource.partition("/")
                    for named in rule.get("resourceNames") or ("",):
                        found[AccessRequest(verb, name, group, sub, named, namespace)] = None
    return tuple(found)


def role_rules(kube: KubeClient, role: str) -> tuple[Json, ...]:
    """The rules of a ClusterRole as this server has it."""
    return tuple(kube.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}").get("rules") or ())


#: Where it is known what the answers will be, from the server's own list of rules, so many of the questions are asked
#: one by one as well; should one answer differ, all are.
CHECKED_ONE_BY_ONE = 2


def ask(
    kube: KubeClient,
    requests: Sequence[AccessRequest],
    *,
    user: str,
    groups: Sequence[str],
    source: str,
    below_minimum: Sequence[str] = (),
    client: KubeClient | None = None,
) -> Observation[Rights]:
    """The server's answers for *user* in *groups*.

    :param client: acts with the user's credential, where somebody has it: it is asked for the server's own list of what
        it may do. What is on a list needs no question of its own; what is not is asked about, of a complete list
        some of it (:data:`CHECKED_ONE_BY_ONE`).
    """
    lists = _lists(client, requests) if client is not None else {}
    listed = frozenset(r for r in requests if lists and lists[r.namespace].allows(r))
    rest = [request for request in requests if request not in listed]
    complete = _complete(lists)
    answered, asked = _answers(kube, rest, user=user, groups=groups, expected=False if complete else None)
    answers = tuple(Right(str(request), request in listed or answered[request]) for request in requests)
    lines = [f"{'yes' if a.allowed else 'NO '}  {a.request}" for a in answers]
    if lists:
        lines.insert(0, f"(by the server's list of rules for the credential; {asked} asked one by one)")
    return Observation(
        Rights(user, answers, source, tuple(below_minimum)),
        Source.CLUSTER,
        evidence=(Evidence(f"access reviews for {user}", "\n".join(lines)),),
    )


def _answers(
    kube: KubeClient,
    requests: Sequence[AccessRequest],
    *,
    user: str,
    groups: Sequence[str],
    expected: bool | None,
) -> tuple[dict[AccessRequest, bool], int]:
    """Whether each is allowed, and how many had to be asked.

    :param expected: what is to be expected of all of them; ``None`` where nothing is, so that each is asked.
    """
    step = max(1, len(requests) // CHECKED_ONE_BY_ONE) if expected is not None else 1
    answers = {d.request: d.allowed for d in kube.access_reviews(requests[::step], user=user, groups=groups)}
    rest = [request for request in requests if request not in answers]
    if rest and all(allowed is expected for allowed in answers.values()):
        return {**dict.fromkeys(rest, bool(expected)), **answers}, len(answers)
    answers |= {d.request: d.allowed for d in kube.access_reviews(rest, user=user, groups=groups)}
    return answers, len(answers)


def _lists(client: KubeClient, requests: Iterable[AccessRequest]) -> dict[str, Allowance]:
    """The server's lists of what the credential of *client* may do, by namespace of *requests*."""
    return {
        namespace: allowance(client, namespace or NOWHERE)
        for namespace in sorted({request.namespace for request in requests})
    }


def _complete(lists: Mapping[str, Allowance]) -> bool:
    """Whether there are lists, and no authoriser kept anything from them."""
    return bool(lists) and all(found.complete for found in lists.values())


def reviewed_alone(reviewed: Observation[Rights]) -> Observation[Exercised]:
    """Rights that nobody can exercise here, since nobody has the credential."""
    return Observation(Exercised(reviewed.value, ()), Source.CLUSTER, evidence=reviewed.evidence)


def exercise(
    reviewed: Observation[Rights], client: KubeClient, path: str, *, marker: str
) -> Observation[Exercised]:
    """Really update and patch the annotations of the object at *path* as the identity of *client*."""
    done = (("update", _update(client, path, marker)), ("patch", _patch(client, path, marker)))
    said = "\n".join(f"{verb}: {answer or 'done'}" for verb, answer in done)
    return Observation(
        Exercised(reviewed.value, done),
        Source.CLUSTER,
        evidence=(*reviewed.evidence, Evidence(f"as the identity, {path}", said)),
    )


def _patch(client: KubeClient, path: str, marker: str) -> str:
    try:
        client.patch(path, {"metadata": {"annotations": {"vnode-suite/patched": marker}}})
    except KubeError as refused:
        return refused.message
    return ""


def _update(client: KubeClient, path: str, marker: str) -> str:
    # The VNode writes to its Pods as well: a conflict is tried again, like every controller does.
    deadline = time.monotonic() + 5
    while True:
        try:
            found = client.get(path)
            found["metadata"].setdefault("annotations", {})["vnode-suite/updated"] = marker
            client.replace(path, found)
        except KubeError as refused:
            if refused.status == 409 and time.monotonic() < deadline:
                continue
            return refused.message
        return ""


def exercise_creation(
    reviewed: Observation[Rights], client: KubeClient, collection: str, body: Mapping[str, Any]
) -> Observation[Exercised]:
    """Really create *body* and update it as the identity of *client* (leader lock on 1.13)."""
    name = body["metadata"]["name"]
    try:
        created = client.create(collection, body)
        first = ""
    except KubeError as refused:
        created, first = None, refused.message
    second = ""
    if created is not None:
        created["metadata"].setdefault("annotations", {})["vnode-suite/updated"] = "yes"
        try:
            client.replace(f"{collection}/{name}", created)
        except KubeError as refused:
            second = refused.message
    done = (("create", first), ("update", second)) if created is not None else (("create", first),)
    return Observation(Exercised(reviewed.value, done), Source.CLUSTER, evidence=reviewed.evidence)


def questions_of(served: Iterable[Served], namespaces: Sequence[str]) -> tuple[AccessRequest, ...]:
    """Every verb of every resource in *served*, at cluster scope and in *namespaces*."""
    found: dict[AccessRequest, None] = {}
    for resource in served:
        name, _, sub = resource.name.partition("/")
        where: Sequence[str] = ("", *namespaces) if resource.namespaced else ("",)
        for verb in resource.verbs:
            for namespace in where:
                found[AccessRequest(verb, name, resource.group, sub, "", namespace)] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the server says that a credential may do, in one namespace or cluster-wide.

    From a SelfSubjectRulesReview: one answer instead of a thousand. ``complete`` is false where an authoriser
    other than RBAC could not list its rules; then every question must be asked by itself.
    """

    rules: tuple[Mapping[str, Any], ...]
    paths: tuple[Mapping[str, Any], ...]
    complete: bool

    def allows(self, request: AccessRequest) -> bool:
        """Whether one of the rules covers *request*, by RBAC's own reading of wildcards."""
        if request.path:
            return any(_has(rule, "verbs", request.verb) and _path(rule, request.path) for rule in self.paths)
        resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
        names = {resource, f"*/{request.subresource}"} if request.subresource else {resource}
        return any(
            _has(rule, "verbs", request.verb)
            and _has(rule, "apiGroups", request.group)
            and any(_has(rule, "resources", name) for name in names)
            and (not rule.get("resourceNames") or request.name in rule["resourceNames"])
            for rule in self.rules
        )


#: The Node authoriser lists no rules and says so; it speaks only for users ``system:node:...``, which no VNode is.
_NODE_AUTHORISER_SAYS = "node authorizer does not support user rule resolution"
#: A namespace in which nobody has been given anything: what is allowed there is allowed cluster-wide.
NOWHERE = "vnode-suite-nowhere"


def allowance(client: KubeClient, namespace: str) -> Allowance:
    """What the credential of *client* may do in *namespace*, by the server's own list."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = client.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body).get("status") or {}
    said = str(status.get("evaluationError") or "").replace(_NODE_AUTHORISER_SAYS, "").strip(" ,[]")
    return Allowance(
        tuple(status.get("resourceRules") or ()),
        tuple(status.get("nonResourceRules") or ()),
        not status.get("incomplete") and not said,
    )


def _has(rule: Mapping[str, Any], field: str, value: str) -> bool:
    values = rule.get(field) or ()
    return value in values or "*" in values


def _path(rule: Mapping[str, Any], path: str) -> bool:
    return any(
        path == url or (url.endswith("*") and path.startswith(url[:-1]))
        for url in rule.get("nonResourceURLs") or ()
    )


def sweep(
    kube: KubeClient,
    client: KubeClient | None,
    questions: Sequence[AccessRequest],
    *,
    user: str,
    groups: Sequence[str],
    granted: Iterable[AccessRequest],
    everyone: Sequence[str],
) -> Observation[Sweep]:
    """What *user* may do beyond *granted* and beyond what *everyone* may do.

    :param client: acts with the user's credential; ``None`` where nobody has it.

    The server's own lists of rules say what is allowed. What of it is not in the table is asked for a stranger in the
    groups *everyone*, and what is left after that for the identity: all of it, or some where the lists are complete
    (:data:`CHECKED_ONE_BY_ONE`).
    """
    lists = _lists(client, questions) if client is not None else {}
    complete = _complete(lists)
    if complete:
        allowed = [q for q in questions if lists[q.namespace].allows(q)]
        how = f"rules of {len(lists)} namespaces"
    else:
        allowed = [d.request for d in kube.access_reviews(questions, user=user, groups=groups) if d.allowed]
        how = "every question asked one by one"
    table = {_shape(request) for request in granted}
    excess = list({_shape(q): q for q in allowed if _shape(q) not in table}.values())
    # What everyone may do is little: many rights are not everyone's.
    everyones, _ = _answers(
        kube, excess, user="vnode-suite:nobody", groups=everyone, expected=False if complete else None
    )
    suspects = [request for request in excess if not everyones[request]]
    answered, asked = _answers(kube, suspects, user=user, groups=groups, expected=True if complete else None)
    beyond = tuple(str(request) for request in suspects if answered[request])
    how += f"; of {len(suspects)} beyond the table {asked} asked one by one"
    lines = "\n".join([f"({how})", *(str(request) for request in allowed)])
    return Observation(
        Sweep(user, len(questions), beyond), Source.CLUSTER, evidence=(Evidence(f"allowed to {user}", lines),)
    )


def _shape(request: AccessRequest) -> tuple[str, str, str, str, str]:
    """A question without its namespace: a right at cluster scope holds in each."""
    return request.verb, request.group, request.resource, request.subresource, request.path
