"""What signs make of a diagnosis: confirmed, ruled out, or left open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vnode_suite.data.causes import load_causes
from vnode_suite.diagnosis import EventText, Facts, diagnose
from vnode_suite.diagnosis.evidence import MEANINGS, Clock, Moment, Sign, Standing, weigh
from vnode_suite.model import Source, Text

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = 'failed to get kubernetes server version, Get "https://10.50.3.14:6443/version?timeout=32s": {what}'
EXPIRED = VERSION.format(what="x509: certificate has expired or is not yet valid")
REFUSED = VERSION.format(what="dial tcp 10.50.3.14:6443: connect: connection refused")
UNAUTHORIZED = "failed to register node cn-shanghai.vnd-1: Unauthorized"


def sign(name: str, found: str) -> Sign:
    """Something that was looked at at noon."""
    said = Text(f"{name} is {found}", f"{name} 为 {found}")
    return Sign(name, found, said, Source.CLUSTER, NOON, "a test")


def test_signs_speak_of_causes_that_there_are() -> None:
    """Every cause that a sign confirms or rules out is one of the catalogue's, and never both."""
    for (name, found), meaning in MEANINGS.items():
        assert {*meaning.confirms, *meaning.rules_out} <= set(load_causes().names), (name, found)
        assert not set(meaning.confirms) & set(meaning.rules_out), (name, found)


def test_what_is_ruled_out_goes_to_the_end_with_the_reason() -> None:
    """The events put the later stage first; what was looked at says that it is over."""
    found = diagnose([REFUSED, UNAUTHORIZED])
    assert [one.cause for one in found.causes] == ["unauthorized", "connection-refused"]
    case = weigh(found, [sign("credential", "accepted"), sign("dial", "refused")])
    assert [(one.match.cause, one.standing) for one in case.causes] == [
        ("connection-refused", Standing.CONFIRMED),
        ("unauthorized", Standing.RULED_OUT),
    ]
    assert case.first == "connection-refused"
    assert case.causes[1].match.rank_reason.en == "ruled out: credential is accepted"


def test_an_open_port_rules_no_network_trouble_out() -> None:
    """A dial from here goes another way than the VNode's."""
    case = weigh(diagnose([REFUSED]), [sign("dial", "open")])
    assert case.causes[0].standing is Standing.OPEN
    assert case.ruled_out == {}


def test_what_nobody_named_is_listed_as_ruled_out() -> None:
    """A reader sees what was looked at in vain, and by what."""
    case = weigh(diagnose([REFUSED]), [sign("csr", "issued")])
    assert set(case.ruled_out) == {"csr-pending", "csr-denied", "csr-deleted"}
    assert {one.name for one in case.ruled_out.values()} == {"csr"}


def test_what_could_not_be_looked_at_says_nothing() -> None:
    """A sign without a finding leaves everything as it was."""
    case = weigh(diagnose([REFUSED]), [sign("dial", "")])
    assert (case.causes[0].standing, case.ruled_out) == (Standing.OPEN, {})


def test_the_timeline_is_in_order_whatever_the_clock() -> None:
    """Rows of several clocks stand by their own times, and each says whose it is."""
    late = Moment(NOON, Clock.RUNNER, Source.NETWORK, Text("dial", "连接"))
    early = Moment(NOON - timedelta(seconds=5), Clock.SERVICE, Source.CLOUD, Text("created", "已创建"))
    assert weigh(diagnose([]), [], [late, early]).timeline == (early, late)


@pytest.mark.parametrize(
    ("ends", "first"), [(timedelta(hours=1), "clock-skew"), (timedelta(hours=-1), "x509-expired")]
)
def test_a_certificate_that_was_valid_when_the_event_was_seen_blames_a_clock(
    ends: timedelta, first: str
) -> None:
    """The dates of the certificate as it is shown here decide; one that had ended then has ended."""
    seen = "2026-03-01T12:00:00Z"
    dates = (NOON - timedelta(days=1), NOON + ends)
    found = diagnose([EventText(EXPIRED, first=seen, last=seen)], Facts(certificate_dates=dates))
    assert found.causes[0].cause == first


@pytest.mark.parametrize(
    ("strange", "first"), [(True, "csr-failed"), (False, "unauthorized"), (None, "unauthorized")]
)
def test_a_strangers_certificate_is_no_wrong_token(strange: bool | None, first: str) -> None:
    """Both end in Unauthorized; the request's certificate tells them apart."""
    assert diagnose([UNAUTHORIZED], Facts(issued_by_a_stranger=strange)).causes[0].cause == first
