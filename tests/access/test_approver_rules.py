"""Which requests an approver may approve."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from vnode_suite.access.approver import rules
from vnode_suite.access.approver.rules import OTHER, SELF, Improper
from vnode_suite.access.objects import Naming
from vnode_suite.access.requests import Improper as Variant
from vnode_suite.access.requests import Wanted, improper, make_request, signing_request

REQUESTER = "system:bootstrap:abcdef"


def stored(wanted: Wanted, *, api: str = "v1", username: str = REQUESTER, **changes: Any) -> dict[str, Any]:
    """The object as a server stores it."""
    body = signing_request(api, "csr", wanted, make_request(wanted).request_pem, Naming())
    body["spec"] |= {"username": username, "groups": ["system:bootstrappers"], **changes}
    return body


def judged(body: dict[str, Any]) -> Improper | None:
    return rules.impropriety(rules.parse(body))


def test_a_proper_request_is_proper() -> None:
    """What a VNode asks breaks no rule, in either version of the API."""
    for api in ("v1", "v1beta1"):
        assert judged(stored(Wanted("system:vnode:vnd-1"), api=api)) is None


def test_a_server_without_signers_is_no_reason_to_refuse() -> None:
    """Up to 1.17 the signer is dropped."""
    body = stored(Wanted("system:vnode:vnd-1"), api="v1beta1")
    del body["spec"]["signerName"]
    assert judged(body) is None


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        (Variant.WRONG_ORGANIZATION, Improper.WRONG_ORGANIZATION),
        (Variant.WRONG_COMMON_NAME, Improper.WRONG_COMMON_NAME),
        (Variant.DNS_SAN, Improper.ALTERNATIVE_NAMES),
        (Variant.IP_SAN, Improper.ALTERNATIVE_NAMES),
        (Variant.WRONG_USAGES, Improper.WRONG_USAGES),
        (Variant.WRONG_SIGNER, Improper.WRONG_SIGNER),
    ],
)
def test_each_improper_request_is_refused_for_its_own_reason(variant: Variant, reason: Improper) -> None:
    """A variant of KCFG-04 breaks one rule, and that one is named."""
    assert judged(stored(improper(variant, "vnd-1"))) is reason


def test_a_requester_without_the_right_is_no_matter_of_the_rules() -> None:
    """That request is proper; the API server is asked about who made it."""
    assert judged(stored(improper(Variant.REQUESTER_WITHOUT_RIGHT, "vnd-1"))) is None


@pytest.mark.parametrize(
    "usages",
    [
        ["digital signature", "key encipherment"],
        ["digital signature", "key encipherment", "client auth", "server auth"],
        ["client auth"],
        [],
    ],
)
def test_usages_must_be_exactly_the_three(usages: list[str]) -> None:
    """One less or one more is refused."""
    assert judged(stored(Wanted("system:vnode:vnd-1"), usages=usages)) is Improper.WRONG_USAGES


def test_the_order_of_usages_is_of_no_matter() -> None:
    """They are a set."""
    usages = ["client auth", "key encipherment", "digital signature"]
    assert judged(stored(Wanted("system:vnode:vnd-1"), usages=usages)) is None


def test_the_prefix_of_the_name_has_no_colon() -> None:
    """As in the published code, whose error text says otherwise."""
    assert judged(stored(Wanted("system:vnodexyz"))) is None
    assert judged(stored(Wanted("system:vnod"))) is Improper.WRONG_COMMON_NAME


def test_the_group_of_kubelets_is_another_organization() -> None:
    """system:nodes would be under the Node authoriser."""
    body = stored(Wanted("system:vnode:vnd-1", organization="system:nodes"))
    assert judged(body) is Improper.WRONG_ORGANIZATION


@pytest.mark.parametrize("request_text", ["", "!!!", base64.b64encode(b"no PEM").decode()])
def test_an_unreadable_request_is_refused(request_text: str) -> None:
    """What cannot be parsed cannot be judged, and must not stop the approver."""
    assert judged(stored(Wanted("system:vnode:vnd-1"), request=request_text)) is Improper.UNREADABLE


def test_a_first_certificate_needs_nodeclient() -> None:
    """Who asks for another's name is asked about nodeclient alone."""
    request = rules.parse(stored(Wanted("system:vnode:vnd-1")))
    assert rules.permissions(request) == (OTHER,)


def test_a_renewal_is_asked_about_selfnodeclient_first() -> None:
    """Who asks for its own name may hold either right."""
    request = rules.parse(stored(Wanted("system:vnode:vnd-1"), username="system:vnode:vnd-1"))
    assert rules.permissions(request) == (SELF, OTHER)


def test_the_review_is_about_the_requester() -> None:
    """The approver asks what the requester may do, with all that the server knows of it."""
    body = stored(Wanted("system:vnode:vnd-1"), uid="u1", extra={"k": ["v"]})
    spec = rules.review(rules.parse(body), SELF)["spec"]
    assert (spec["user"], spec["uid"], spec["extra"]) == (REQUESTER, "u1", {"k": ["v"]})
    assert spec["groups"] == ["system:bootstrappers"]
    attributes = spec["resourceAttributes"]
    assert (attributes["verb"], attributes["subresource"]) == ("create", "selfnodeclient")


@pytest.mark.parametrize(
    "status",
    [
        {"certificate": "abc"},
        {"conditions": [{"type": "Approved"}]},
        {"conditions": [{"type": "Denied"}]},
    ],
)
def test_what_is_settled_is_left_alone(status: dict[str, Any]) -> None:
    """A decision is made once."""
    assert rules.parse({**stored(Wanted("system:vnode:vnd-1")), "status": status}).settled


def test_approving_keeps_what_was_there() -> None:
    """The condition is added to the object as the server sent it."""
    body = {**stored(Wanted("system:vnode:vnd-1")), "status": {"conditions": [{"type": "Other"}]}}
    conditions = rules.decided(body, "because")["status"]["conditions"]
    assert [one["type"] for one in conditions] == ["Other", "Approved"]
    assert conditions[1]["status"] == "True"
    assert rules.decided(body, "because", approve=False)["status"]["conditions"][1]["type"] == "Denied"
    assert len(body["status"]["conditions"]) == 1
