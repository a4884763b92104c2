"""The page's table of rights as data."""

from __future__ import annotations

import pytest

from vnode_suite.access.rights import RIGHTS, Holder, Kind, grants, right
from vnode_suite.model import Identity


def held(identity: Identity, holder: Holder, *, extra_privilege: bool = False) -> set[str]:
    found = grants(identity, extra_privilege=extra_privilege)
    return {grant.right.id for grant in found if grant.holder is holder}


STANDARD = {"system-node", "system-node-proxier", "nodeclient", "selfnodeclient"}
EXTRA = {"pods-update", "pods-patch", "persistentvolumeclaims-update", "persistentvolumeclaims-patch"}
ENDPOINTS = {"endpoints-create", "endpoints-update"}


def test_a_serviceaccount_holds_the_whole_table() -> None:
    """All rights of the page go to the one account that there is."""
    assert held(Identity.SERVICEACCOUNT, Holder.SERVICEACCOUNT) == STANDARD | EXTRA


def test_bootstrap_splits_the_table_between_token_and_certificate() -> None:
    """The token can only ask; everything else belongs to the certificates."""
    assert held(Identity.BOOTSTRAP, Holder.BOOTSTRAPPERS) == {"nodeclient", "node-bootstrapper"}
    assert held(Identity.BOOTSTRAP, Holder.VNODES) == (STANDARD - {"nodeclient"}) | EXTRA


@pytest.mark.parametrize("identity", [Identity.BOOTSTRAP, Identity.SERVICEACCOUNT])
def test_endpoints_are_granted_only_when_asked_for(identity: Identity) -> None:
    """The rights that the page asks for on 1.13 are an extra privilege."""
    without = {grant.right.id for grant in grants(identity)}
    with_it = {grant.right.id for grant in grants(identity, extra_privilege=True)}
    assert not without & ENDPOINTS
    assert with_it - without == ENDPOINTS


def test_an_admin_is_given_everything_by_one_binding() -> None:
    """Which goes with the run, as no certificate of system:masters would."""
    assert [grant.right.role for grant in grants(Identity.ADMIN, extra_privilege=True)] == ["cluster-admin"]


def test_each_right_is_told_by_a_question_of_its_own() -> None:
    """No two rights of one holder are told apart by the same access review."""
    for identity in (Identity.BOOTSTRAP, Identity.SERVICEACCOUNT):
        for holder in Holder:
            found = [g.right for g in grants(identity, extra_privilege=True) if g.holder is holder]
            assert len({one.tells for one in found}) == len(found)


def test_a_right_has_either_a_builtin_role_or_a_rule() -> None:
    """What the server defines is bound, the rest is a role of ours."""
    for one in RIGHTS:
        assert (one.role is None) is (one.kind in (Kind.EXTRA, Kind.EXTRA_PRIVILEGE))
        assert (one.rule is None) is (one.role is not None)


def test_rights_are_found_by_name() -> None:
    """A name gives its right, another one is refused."""
    assert right("pods-patch").rule is not None
    with pytest.raises(KeyError):
        right("pods-delete")
