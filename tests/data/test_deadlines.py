"""The table of deadlines: sourced, shorter where a simulated side allows it, changeable by name."""

from __future__ import annotations

import math

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.data.deadlines import load_deadlines
from vnode_suite.data.tables import read_table, violations


def test_the_table_has_the_published_shape() -> None:
    """The table is of the shape that its schema describes."""
    assert violations(read_table("deadlines.toml"), "deadlines") == []


def test_names_are_unique() -> None:
    """No entry is there twice."""
    names = load_deadlines({}, simulated=False).names
    assert len(set(names)) == len(names)


def test_the_page_and_terraform_give_the_known_numbers() -> None:
    """The service's time-out is the page's 32 s; a VNode has five minutes to come."""
    live = load_deadlines({}, simulated=False)
    assert live.seconds("service-time-out") == 32
    assert live.seconds("node-registered") == 300


def test_a_simulated_side_is_never_waited_for_longer() -> None:
    """Where the simulated number differs it is smaller and says why."""
    live, simulated = load_deadlines({}, simulated=False), load_deadlines({}, simulated=True)
    assert live.names == simulated.names
    for name in live.names:
        near, far = simulated.deadline(name), live.deadline(name)
        assert near.seconds <= far.seconds
        assert bool(near.why) == (near.seconds < far.seconds), name
        assert far.why == ""


def test_the_api_servers_own_dial_is_not_shortened() -> None:
    """The API server is real everywhere, and its dial takes 30 s to give up."""
    assert load_deadlines({}, simulated=True).seconds("port-answer") > 30


def test_an_override_wins_and_says_so() -> None:
    """A changed entry has the user's number; the others stay."""
    plain = load_deadlines({}, simulated=True)
    changed = load_deadlines({"node-registered": 45}, simulated=True)
    assert changed.seconds("node-registered") == 45
    assert changed.deadline("node-registered").why == "set by an option"
    assert changed.seconds("pod-running") == plain.seconds("pod-running")


def test_an_unknown_entry_is_refused_with_what_comes_near() -> None:
    """A misspelt name is a usage error that names its neighbours."""
    with pytest.raises(UsageError, match="node-registered"):
        load_deadlines({"node-register": 45}, simulated=True)
    with pytest.raises(UsageError, match="pod-running"):
        load_deadlines({}, simulated=True).seconds("pods-running")


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_a_number_that_is_no_wait_is_refused(seconds: float) -> None:
    """A deadline is a positive, finite number of seconds."""
    with pytest.raises(UsageError, match="positive"):
        load_deadlines({"node-registered": seconds}, simulated=False)
