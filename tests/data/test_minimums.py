"""The frozen least of the built-in ClusterRoles, minor by minor."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vnode_suite.data.minimums import minimum_rules
from vnode_suite.data.versions import load_versions
from vnode_suite.probes.rights import requests_of

MINORS = load_versions().window("2024-02").minors


def _rights(minor: str, role: str) -> set[str]:
    return {str(request) for request in requests_of(minimum_rules(minor, role))}


@pytest.mark.parametrize("minor", MINORS)
def test_leases_belong_to_the_least_where_a_vnode_may_hold_one(minor: str) -> None:
    """The table of versions and the least of each minor say the same of leases."""
    held = "create leases.coordination.k8s.io" in _rights(minor, "system:node")
    assert held is load_versions().resolve(minor).facts.lease_for_vnode


@pytest.mark.parametrize("role", ["system:node", "system:node-proxier"])
def test_the_least_only_grows(role: str) -> None:
    """No minor of the window asks for less than the one before it."""
    rights = [_rights(minor, role) for minor in MINORS]
    assert all(before <= after for before, after in pairwise(rights))
    assert rights[0] < rights[-1]


@pytest.mark.parametrize("minor", MINORS)
def test_the_least_holds_none_of_the_page_s_extra_rights(minor: str) -> None:
    """What the page adds to the built-in roles is what these never had, in any minor."""
    rights = _rights(minor, "system:node") | _rights(minor, "system:node-proxier")
    extra = {
        "update pods",
        "patch pods",
        "update persistentvolumeclaims",
        "create endpoints",
        "update endpoints",
    }
    assert not rights & extra
