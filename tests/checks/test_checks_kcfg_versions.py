"""What KCFG judges differently from one minor to another."""

from __future__ import annotations

from typing import TypeVar

import pytest

from vnode_suite.checks import kcfg
from vnode_suite.checks.kcfg import Generation, PublishedApprover
from vnode_suite.checks.registry import Check
from vnode_suite.model import Observation, Source

T = TypeVar("T")
ENDPOINTS = ("endpoints-create", "endpoints-update")


def _seen(value: T) -> Observation[T]:
    return Observation(value, Source.CLUSTER)


@pytest.mark.parametrize(
    "check",
    [
        kcfg.bootstrap_kubeconfig_is_generated_with_extra_rights,
        kcfg.serviceaccount_kubeconfig_is_generated,
    ],
)
def test_ungranted_endpoints_rights_fail_where_they_are_needed(check: Check[Generation]) -> None:
    """On 1.13 a kubeconfig without the extra rights is not what the page asks for, in either mode."""
    without = check(_seen(Generation("any", extra_needed=True)))
    assert without.holds is False
    assert without.reason == "extra-rights-not-granted"
    assert check(_seen(Generation("any", extra=ENDPOINTS, extra_needed=True))).holds is True


@pytest.mark.parametrize(
    "check", [kcfg.bootstrap_kubeconfig_is_generated, kcfg.serviceaccount_kubeconfig_is_generated]
)
def test_no_right_on_endpoints_is_missed_where_none_is_needed(check: Check[Generation]) -> None:
    """From 1.14 on nothing beyond the usual rights is asked for."""
    assert check(_seen(Generation("any"))).holds is True


def test_a_refused_generation_is_told_before_missing_rights() -> None:
    """What could not be generated has no rights either, and says why."""
    judged = kcfg.serviceaccount_kubeconfig_is_generated(
        _seen(Generation("serviceaccount", "right-missing", "secrets is forbidden", extra_needed=True))
    )
    assert (judged.holds, judged.reason) == (False, "generation-forbidden")
    assert "secrets is forbidden" in judged.actual.en


def test_a_published_approver_that_sees_nothing_is_reported_with_the_server_s_words() -> None:
    """Below 1.19 the finding names what the server answered, and stays INFO."""
    judged = kcfg.published_approver_on_this_version(
        _seen(PublishedApprover("v1", "404: the server could not find the requested resource", False))
    )
    assert judged.holds is None
    assert judged.reason == "sees-no-request"
    assert "404" in judged.actual.en
    assert "sees no request" in judged.expected.en


def test_a_published_approver_that_is_reached_claims_no_certificate() -> None:
    """It was only seen to watch: nothing is said of a request that was never made."""
    judged = kcfg.published_approver_on_this_version(_seen(PublishedApprover("v1", "", True)))
    assert (judged.holds, judged.reason) == (None, "works")
    assert "issued" not in judged.actual.en
