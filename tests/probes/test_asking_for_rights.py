"""Which rights are taken from the server's own list, and which are asked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from vnode_suite.clusters.kube import AccessDecision, AccessRequest
from vnode_suite.probes.rights import CHECKED_ONE_BY_ONE, Allowance, ask, sweep

#: A right for each: many more than are asked one by one.
MANY = tuple(AccessRequest("get", f"kind{n}") for n in range(50))
EVERYONE = ["system:authenticated"]


class Server:
    """An API server whose reviews allow some rights, and whose list may say otherwise."""

    def __init__(
        self, allowed: Sequence[AccessRequest], listed: Sequence[AccessRequest], *, complete: bool = True
    ) -> None:
        self.allowed, self.listed, self.complete = frozenset(allowed), listed, complete
        #: Questions that were asked one by one, by who was asked about.
        self.asked: list[tuple[str, AccessRequest]] = []

    def access_reviews(
        self, requests: Sequence[AccessRequest], *, user: str, groups: Sequence[str]
    ) -> list[AccessDecision]:
        """The truth, but for a stranger, who may do nothing."""
        self.asked += [(user, request) for request in requests]
        return [AccessDecision(r, user == "vnode" and r in self.allowed, "") for r in requests]

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A SelfSubjectRulesReview."""
        assert path.endswith("/selfsubjectrulesreviews")
        rules = [{"verbs": [r.verb], "apiGroups": [""], "resources": [r.resource]} for r in self.listed]
        return {"status": {"resourceRules": rules, "incomplete": not self.complete}}

    def questions(self, user: str) -> int:
        """How many were asked about *user*."""
        return sum(who == user for who, _ in self.asked)


def rights_of(server: Server) -> list[bool]:
    """What is seen of the rights `MANY` at *server*."""
    seen = ask(server, MANY, user="vnode", groups=(), source="the test", client=server)  # type: ignore[arg-type]
    assert [answer.request for answer in seen.value.answers] == [str(request) for request in MANY]
    return [answer.allowed for answer in seen.value.answers]


def test_what_is_listed_is_not_asked() -> None:
    """One answer in place of fifty."""
    server = Server(MANY, MANY)
    assert rights_of(server) == [True] * 50
    assert server.asked == []


@pytest.mark.parametrize("allowed", [0, 20])
def test_what_a_complete_list_denies_is_asked_in_part(allowed: int) -> None:
    """Some questions hold the list against the truth; where they agree it decides."""
    server = Server(MANY[:allowed], MANY[:allowed])
    assert rights_of(server) == [True] * allowed + [False] * (50 - allowed)
    assert CHECKED_ONE_BY_ONE <= len(server.asked) < 2 * CHECKED_ONE_BY_ONE


def test_a_list_that_is_wrong_decides_nothing() -> None:
    """One answer that differs is enough for all to be asked."""
    server = Server(MANY, ())
    assert rights_of(server) == [True] * 50
    assert len(server.asked) == 50


def test_of_an_incomplete_list_everything_else_is_asked() -> None:
    """Another authoriser may allow what RBAC does not list."""
    server = Server(MANY[:3], MANY[:2], complete=False)
    assert rights_of(server) == [True] * 3 + [False] * 47
    assert len(server.asked) == 48


def beyond_ten(server: Server) -> tuple[str, ...]:
    """What a sweep of *server* finds beyond a table of the first ten of `MANY`."""
    seen = sweep(
        server,  # type: ignore[arg-type]
        server,  # type: ignore[arg-type]
        MANY,
        user="vnode",
        groups=(),
        granted=MANY[:10],
        everyone=EVERYONE,
    )
    return seen.value.beyond


@pytest.mark.parametrize("complete", [True, False])
def test_a_sweep_finds_what_is_beyond_the_table(complete: bool) -> None:
    """By the list or one by one, the same rights are beyond."""
    server = Server(MANY, MANY, complete=complete)
    assert beyond_ten(server) == tuple(str(request) for request in MANY[10:])
    asked = server.questions("vnode")
    assert asked < 2 * CHECKED_ONE_BY_ONE if complete else asked == 90


def test_a_sweep_is_not_deceived_by_its_list() -> None:
    """The list speaks of rights that the server does not give."""
    server = Server(MANY[:12], MANY)
    assert beyond_ten(server) == tuple(str(request) for request in MANY[10:12])


def test_a_rule_for_one_name_covers_that_name_alone() -> None:
    """As RBAC reads ``resourceNames``."""
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]}
    allowed = Allowance((rule,), (), complete=True)
    assert allowed.allows(AccessRequest("get", "secrets", name="mine"))
    assert not allowed.allows(AccessRequest("get", "secrets", name="another"))
    assert not allowed.allows(AccessRequest("get", "secrets"))
