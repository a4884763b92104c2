"""EVENT: a VNode that does not come says why."""

from vnode_suite.checks import event
from vnode_suite.pytest_plugin.marks import clause


@clause("EVENT-01")
def test_failing_vnode_has_events(judge, observed):
    """A VNode that fails has events."""
    judge(event.failing_vnode_has_events, observed)


@clause("EVENT-02")
def test_unreachable_server_is_named(judge, observed):
    """The time-out of ``/version`` is named as an unreachable API server."""
    judge(event.unreachable_server_is_named, observed)


@clause("EVENT-03")
def test_unresolvable_name_is_named(judge, observed):
    """``no such host`` is named as a name that the VPC cannot resolve."""
    judge(event.unresolvable_name_is_named, observed)


@clause("EVENT-04")
def test_further_causes_are_told_apart(judge, observed):
    """Each further cause is named as itself."""
    judge(event.further_causes_are_told_apart, observed)
