"""Ranking, what other knowledge adds, and what the answer holds."""

from __future__ import annotations

import json

import pytest

from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.causes import load_causes
from vnode_suite.data.defects import load_defects
from vnode_suite.data.tables import read_table, violations
from vnode_suite.diagnosis import Diagnosis, EventText, Facts, diagnose

VERSION = 'failed to get kubernetes server version, Get "https://{server}/version?timeout=32s": {what}'
TIMED_OUT = VERSION.format(
    server="10.50.3.14:6443",
    what="net/http: request canceled (Client.Timeout exceeded while awaiting headers",
)
REFUSED = VERSION.format(
    server="10.50.3.14:6443", what="dial tcp 10.50.3.14:6443: connect: connection refused"
)
FORBIDDEN = (
    'failed to register node cn-shanghai.vnd-2ze: nodes is forbidden: User "system:vnode:vnd-2ze" '
    'cannot create resource "nodes" in API group "" at the cluster scope'
)
PENDING = "failed to bootstrap: timed out waiting for certificate signing request csr-1 to be approved"

#: What the contract of `diagnose --json` promises.
CONTRACT = (
    "api-server-unreachable",
    "dns-no-such-host",
    "dns-wrong-address",
    "connection-refused",
    "no-route",
    "x509-unknown-authority",
    "x509-wrong-name",
    "x509-expired",
    "x509-not-yet-valid",
    "ca-data-empty",
    "unauthorized",
    "forbidden",
    "csr-pending",
    "csr-denied",
    "csr-failed",
    "quota-exceeded",
    "no-stock",
    "no-free-address",
    "arrears",
    "throttled",
    "api-server-overloaded",
    "version-outside-window",
    "clock-skew",
)


def names(found: Diagnosis) -> list[str]:
    """The causes' names, best first."""
    return [cause.cause for cause in found.causes]


def test_the_table_has_the_published_shape() -> None:
    """The table of causes is of the shape that its schema describes."""
    assert violations(read_table("causes.toml"), "causes") == []


def test_the_contract_s_causes_are_all_there() -> None:
    """Every name that the contract promises is a cause."""
    assert set(CONTRACT) <= set(load_causes().names)


def test_causes_refer_to_clauses_and_defects_that_there_are() -> None:
    """Clauses exist, and what brings a cause about is a defect, or a code of the cause's own rules."""
    ids = {clause.id for clause in load_catalogue("2024-02").clauses}
    for cause in load_causes():
        assert {cause.clause, *cause.confirm} <= ids, cause.name
        codes = {code for rule in cause.rules for code in rule.codes}
        assert not cause.provoked_by or cause.provoked_by in load_defects() or cause.provoked_by in codes, (
            cause.name
        )
        assert cause.provocation != "injected" or cause.provoked_by in codes, cause.name


def test_causes_speak_both_languages() -> None:
    """Title and remedy are in English and in Chinese."""
    for cause in load_causes():
        for text in (cause.title, cause.remedy):
            assert not any("一" <= character <= "鿿" for character in text.en), cause.name
            assert any("一" <= character <= "鿿" for character in text.zh), cause.name


def test_only_the_two_published_events_are_documented() -> None:
    """Documented are the page's two rules and no other."""
    documented = [cause.name for cause in load_causes() for rule in cause.rules if rule.documented]
    assert documented == ["api-server-unreachable", "dns-no-such-host"]


def test_the_answer_carries_clause_remedy_and_text() -> None:
    """A cause comes with the clause it is about, what to do, and the text that named it."""
    cause = diagnose([TIMED_OUT]).causes[0]
    assert (cause.clause, cause.documented, cause.matched) == ("EVENT-02", True, TIMED_OUT)
    assert "VPC" in cause.remedy.en
    assert cause.confirm == ("PRE-02", "PRE-04")
    assert cause.fields == {"server": "10.50.3.14:6443"}
    assert "only cause" in cause.rank_reason.en


def test_the_answer_is_json() -> None:
    """As a dictionary it has the contract's keys and can be written as JSON."""
    answer = json.loads(json.dumps(diagnose([TIMED_OUT, "what is this"]).as_dict()))
    assert answer["unknown"] == ["what is this"]
    assert {"cause", "clause", "documented", "remedy", "matched"} <= set(answer["causes"][0])


def test_a_refusal_names_verb_and_resource() -> None:
    """A forbidden request says who may not do what, and where."""
    fields = diagnose([FORBIDDEN]).causes[0].fields
    assert (fields["anyone"], fields["verb"], fields["resource"]) == (
        "system:vnode:vnd-2ze",
        "create",
        "nodes",
    )
    assert fields["scope"] == "at the cluster scope"


def test_unauthorized_says_that_its_reasons_look_alike() -> None:
    """Expired, deleted and mistyped credentials cannot be told apart, and the text says so."""
    assert "look alike" in diagnose(["Unauthorized"]).causes[0].title.en


def test_a_later_stage_stands_above_an_earlier_one() -> None:
    """Without times, what was told furthest along comes first, in whatever order the texts come."""
    wanted = ["forbidden", "csr-pending", "connection-refused"]
    assert names(diagnose([REFUSED, FORBIDDEN, PENDING])) == wanted
    assert names(diagnose([PENDING, REFUSED, FORBIDDEN])) == wanted


def test_each_place_in_the_list_has_its_reason() -> None:
    """The first says why it is first, the next why they are not."""
    first, second = diagnose([REFUSED, FORBIDDEN]).causes
    assert "latest stage (rights)" in first.rank_reason.en
    assert "earlier stage (network)" in second.rank_reason.en
    assert "阶段" in second.rank_reason.zh


def test_what_was_seen_last_stands_above_what_was_overcome() -> None:
    """A network that broke later than a refused right is the present trouble."""
    old = EventText(FORBIDDEN, last="2024-03-01T08:00:00Z")
    new = EventText(REFUSED, last="2024-03-01T08:30:00Z")
    found = diagnose([old, new])
    assert names(found) == ["connection-refused", "forbidden"]
    assert "seen earlier, last at 2024-03-01T08:00:00+00:00" in found.causes[1].rank_reason.en


def test_events_of_one_round_are_ranked_by_stage() -> None:
    """Half a minute between two events says nothing about which is overcome."""
    forbidden = EventText(FORBIDDEN, last="2024-03-01T08:00:00Z")
    refused = EventText(REFUSED, last="2024-03-01T08:00:30Z")
    assert names(diagnose([refused, forbidden])) == ["forbidden", "connection-refused"]


def test_times_in_other_zones_are_compared_rightly() -> None:
    """16:00 in Shanghai is before 08:30 UTC."""
    old = EventText(FORBIDDEN, last="2024-03-01T16:00:00+08:00")
    new = EventText(REFUSED, last="2024-03-01T08:30:00Z")
    assert names(diagnose([old, new])) == ["connection-refused", "forbidden"]


def test_a_documented_text_stands_above_an_inferred_one_of_its_stage() -> None:
    """At one stage the page's own words come first."""
    found = diagnose([REFUSED, TIMED_OUT])
    assert names(found) == ["api-server-unreachable", "connection-refused"]
    assert "page" in found.causes[1].rank_reason.en


def test_one_cause_of_many_events_is_named_once() -> None:
    """Events of one cause are counted together and shown by the latest of them."""
    early = EventText(REFUSED, count=3, last="2024-03-01T08:00:00Z")
    late = EventText(REFUSED.replace("3.14", "3.15"), count=2, last="2024-03-01T08:00:20Z")
    (cause,) = diagnose([late, early]).causes
    assert (cause.count, cause.matched) == (5, late.text)


def test_a_dial_to_another_address_is_the_names_fault() -> None:
    """A refusal by an address that is not the API server's says that the name resolves wrongly."""
    text = VERSION.format(
        server="api.internal:6443", what="dial tcp 10.77.0.200:6443: connect: no route to host"
    )
    found = diagnose([text], Facts(server_addresses=("10.50.3.14",)))
    assert names(found) == ["dns-wrong-address", "no-route"]
    assert "10.77.0.200" in found.causes[0].rank_reason.en


@pytest.mark.parametrize(
    ("server", "facts"),
    [
        ("api.internal:6443", Facts(server_addresses=("10.77.0.200",))),
        ("api.internal:6443", Facts()),
        ("10.77.0.200:6443", Facts(server_addresses=("10.50.3.14",))),
    ],
)
def test_a_dial_that_proves_nothing_blames_no_name(server: str, facts: Facts) -> None:
    """The right address, an unknown one, or a server given by address: the network is to blame."""
    text = VERSION.format(server=server, what="dial tcp 10.77.0.200:6443: connect: no route to host")
    assert names(diagnose([text], facts)) == ["no-route"]


def test_an_empty_ca_is_told_from_a_wrong_one_by_the_kubeconfig() -> None:
    """Both end in unknown authority; the kubeconfig that was handed over tells which."""
    text = VERSION.format(server="10.50.3.14:6443", what="x509: certificate signed by unknown authority")
    assert names(diagnose([text])) == ["x509-unknown-authority"]
    assert names(diagnose([text], Facts(ca_data_empty=False))) == ["x509-unknown-authority"]
    assert names(diagnose([text], Facts(ca_data_empty=True))) == ["ca-data-empty", "x509-unknown-authority"]


def certificate_text(now: str, relation: str, bound: str) -> str:
    """Go's complaint about a certificate's times."""
    what = f"x509: certificate has expired or is not yet valid: current time {now} is {relation} {bound}"
    return VERSION.format(server="10.50.3.14:6443", what=what)


def test_a_clock_is_wrong_where_the_text_is_from_another_time_than_the_event() -> None:
    """A certificate judged an hour before the event was seen was judged by a wrong clock."""
    text = certificate_text("2024-03-01T07:00:00Z", "before", "2024-03-01T07:30:00Z")
    found = diagnose([EventText(text, first="2024-03-01T08:00:02Z", last="2024-03-01T08:00:02Z")])
    assert names(found) == ["clock-skew", "x509-not-yet-valid"]
    assert "3602 s" in found.causes[0].rank_reason.en


def test_a_clock_is_right_where_both_times_agree() -> None:
    """A certificate that had expired when the event was seen has expired."""
    text = certificate_text("2024-03-01T16:00:00+08:00", "after", "2024-02-01T00:00:00Z")
    event = EventText(text, first="2024-03-01T08:00:02Z", last="2024-03-01T09:00:00Z")
    assert names(diagnose([event])) == ["x509-expired"]
    assert names(diagnose([text])) == ["x509-expired"]


def test_an_ambiguous_text_names_both_readings() -> None:
    """Older Go does not say which end of its life a certificate is beyond."""
    text = VERSION.format(server="10.50.3.14:6443", what="x509: certificate has expired or is not yet valid")
    found = diagnose([text])
    assert names(found) == ["x509-expired", "x509-not-yet-valid"]
    assert "rarer" in found.causes[1].rank_reason.en


def test_normal_events_are_no_trouble() -> None:
    """Events of type Normal are neither causes nor unknown."""
    assert diagnose([EventText("Successfully", reason="Created", type="Normal")]) == Diagnosis()


def test_a_reason_that_is_a_code_names_the_cause() -> None:
    """An event whose Reason is an error code is understood whatever its message."""
    event = EventText("资源不足", reason="OperationDenied.NoStock", type="Warning")
    assert names(diagnose([event])) == ["no-stock"]


def test_unknown_texts_come_once_and_in_order() -> None:
    """What nobody knows is shown as it came, each text once."""
    assert diagnose(["b", "a", "b", "", "   "]).unknown == ("b", "a")


def test_nothing_comes_of_nothing() -> None:
    """No events, no causes."""
    assert diagnose([]) == Diagnosis()
