"""PORT: what is said where the network does, or does not do, what the security group's rules say."""

from __future__ import annotations

import pytest

from vnode_suite.checks.param import Inbound, Rule
from vnode_suite.checks.port import Answer, against_the_rules, api_server_reaches_10250, predicted
from vnode_suite.model import Observation, Source

SERVERS = ("10.0.0.1/32", "10.0.0.2/32")
ONE = Rule("TCP", (10250, 10250), True, 1, "10.0.0.1/32")
OTHER = Rule("TCP", (10250, 10250), True, 1, "10.0.0.2/32")
DROP = Rule("TCP", (10250, 10250), False, 1, "10.0.0.2/32")


def answer(slug: str, *rules: Rule) -> Answer:
    """A port that answers (an empty slug) or does not, under these rules."""
    inbound = Inbound("sg-1", rules, SERVERS)
    return Answer(10250, (("node proxy", slug),), predicted=predicted(inbound, 10250))


def test_a_prediction_is_made_for_each_server() -> None:
    """Of two servers one may be admitted and the other not, for want of a rule or by one that drops."""
    assert predicted(Inbound("sg-1", (ONE,), SERVERS), 10250) == (
        ("10.0.0.1/32", ""),
        ("10.0.0.2/32", "no rule (inbound is denied by default)"),
    )
    assert dict(predicted(Inbound("sg-1", (ONE, OTHER, DROP), SERVERS), 10250))["10.0.0.2/32"].startswith(
        "Drop"
    )


@pytest.mark.parametrize(
    ("slug", "rules", "words"),
    [
        ("", (ONE, OTHER), "as the security group's rules say"),
        ("timed-out", (ONE, OTHER), "against the security group's rules, which admit it"),
        ("", (ONE,), "against the security group's rules, which do not admit it (10.0.0.2/32: no rule"),
        ("refused", (ONE, OTHER), "it is not they"),
        ("refused", (ONE,), "which do not admit it"),
        ("timed-out", (ONE, DROP), "as the security group's rules say (10.0.0.2/32: Drop of priority 1"),
    ],
)
def test_agreement_and_disagreement_are_said(slug: str, rules: tuple[Rule, ...], words: str) -> None:
    """Both ways of agreeing and both of not agreeing; the judgement itself is the probe's."""
    seen = answer(slug, *rules)
    assert words in against_the_rules(seen).en
    judged = api_server_reaches_10250(Observation(seen, Source.NETWORK))
    assert judged.holds is (slug == "")
    assert words in judged.actual.en


def test_where_the_rules_are_not_known_nothing_is_said_of_them() -> None:
    """A group that cannot be read predicts nothing."""
    assert against_the_rules(Answer(10250, (("node proxy", ""),))).en == ""
