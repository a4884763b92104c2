"""The rights that a run needs on somebody else's cluster, as a list, as roles and as questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vnode_suite.clusters.kube import AccessDecision, AccessRequest
from vnode_suite.connection.needed import Needed, check_rights, manifest, missing, needed
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.core.settings import CloudSettings, ClusterSettings, ReportSettings, ScopeSettings, Settings
from vnode_suite.data.versions import load_versions
from vnode_suite.model import Cell, Identity, Provider, Text


def _settings(*identities: Identity, exclusion: Any = "off") -> Settings:
    return Settings(
        tuple(Cell("1.22", identity, Provider.EXISTING) for identity in identities),
        ClusterSettings(Provider.EXISTING, apply_exclusion=exclusion),
        CloudSettings(),
        ScopeSettings(),
        ReportSettings(),
    )


def _lines(*identities: Identity, minor: str = "1.22", exclusion: Any = "off") -> tuple[Needed, ...]:
    return needed(_settings(*identities, exclusion=exclusion), load_versions().nearest(minor).facts)


class _Server:
    """Answers access reviews: everything is allowed but what is named."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused

    def access_reviews(self, requests: Sequence[AccessRequest]) -> list[AccessDecision]:
        return [AccessDecision(one, str(one) not in self.refused) for one in requests]


def _granted(roles: list[dict[str, Any]], request: AccessRequest) -> bool:
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    return any(
        request.verb in rule["verbs"]
        and resource in rule["resources"]
        and request.group in rule["apiGroups"]
        and (not rule.get("resourceNames") or request.name in rule["resourceNames"])
        for role in roles
        if role["metadata"].get("namespace", "") in ("", request.namespace)
        for rule in role["rules"]
    )


@pytest.mark.parametrize("identity", [Identity.BOOTSTRAP, Identity.SERVICEACCOUNT])
def test_roles_grant_every_question(identity: Identity) -> None:
    """Whoever is bound to the printed roles passes every review that is made at the start."""
    lines = _lines(identity, exclusion="on")
    roles = manifest(lines)
    questions = [question for line in lines for question in line.questions()]
    assert [str(one) for one in questions if not _granted(roles, one)] == []


def test_roles_hold_no_wildcard_and_no_secrets_of_the_whole_cluster() -> None:
    """Nothing is asked for as a whole, and Secrets only in the namespace of bootstrap tokens."""
    roles = manifest(_lines(Identity.BOOTSTRAP, Identity.SERVICEACCOUNT, exclusion="on"))
    rules = [(role, rule) for role in roles for rule in role["rules"]]
    assert all("*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]] for _, rule in rules)
    assert not any("escalate" in rule["verbs"] for _, rule in rules)
    assert {r["metadata"].get("namespace") for r, rule in rules if "secrets" in rule["resources"]} == {
        "kube-system"
    }


def test_roles_that_are_bound_are_named() -> None:
    """The right to bind is asked for the built-in roles of the page's table alone."""
    (bind,) = [line for line in _lines(Identity.SERVICEACCOUNT) if line.verbs == ("bind",)]
    assert set(bind.names) == {
        "system:node",
        "system:node-proxier",
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    }


def test_patching_daemonsets_is_needed_only_for_the_exclusion() -> None:
    """A run that changes nothing of others asks for no right to."""

    def may_patch(lines: tuple[Needed, ...]) -> bool:
        return any(line.resource == "daemonsets" and "patch" in line.verbs for line in lines)

    assert not may_patch(_lines(Identity.BOOTSTRAP))
    assert may_patch(_lines(Identity.BOOTSTRAP, exclusion="on"))


def test_endpoints_are_given_away_on_1_13_only() -> None:
    """The extra right of 1.13 must be held to be given."""

    def given(minor: str) -> bool:
        lines = _lines(Identity.BOOTSTRAP, minor=minor)
        return any(line.resource == "endpoints" and "create" in line.verbs for line in lines)

    assert (given("1.13"), given("1.14")) == (True, False)


def test_missing_rights_are_named_by_resource() -> None:
    """One entry a resource, with the verbs that are missing and no others."""
    lacking = missing(
        _Server("create secrets in kube-system", "watch secrets in kube-system"),  # type: ignore[arg-type]
        _lines(Identity.BOOTSTRAP),
    )
    assert [str(line) for line in lacking] == ["create, watch secrets in kube-system"]


def test_a_missing_right_keeps_everything_from_being_run() -> None:
    """It is told which, and that nothing was made; it says nothing about the VNode, so it is no failure."""
    settings, facts = _settings(Identity.BOOTSTRAP), load_versions().resolve("1.22").facts
    with pytest.raises(StepNotReached) as caught:
        check_rights(_Server("delete nodes"), settings, facts)  # type: ignore[arg-type]
    assert caught.value.unreached.reason == "right-missing"
    assert "delete nodes" in caught.value.unreached.detail.en
    assert "Nothing was made" in caught.value.unreached.detail.en
    check_rights(_Server(), settings, facts)  # type: ignore[arg-type]


def test_questions_of_a_named_right_name_each() -> None:
    """A right to some objects is asked for each of them."""
    line = Needed(("bind",), "clusterroles", Text("", ""), "rbac.authorization.k8s.io", names=("a", "b"))
    assert [question.name for question in line.questions()] == ["a", "b"]
