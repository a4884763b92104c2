"""What is known before the call and forbids it: a VNode that cannot come would be bought all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vnode_suite.checks import kcfg, param, pre
from vnode_suite.checks.registry import Check
from vnode_suite.connection.steps import StepNotReached
from vnode_suite.model import Observation, Text, Unreached

if TYPE_CHECKING:
    from vnode_suite.connection.subject import Subject

Look = Callable[["Subject"], Observation[Any]]


def first_obstacle(subject: Subject) -> Unreached | None:
    """The first clause of the gate that fails for *subject*, as the reason why the call is not made."""
    for check, look in _gate():
        try:
            judgement = check(subject.observe(look))
        except StepNotReached:
            # It could not be observed (no namespaces, say): not known to be fatal, and its own clause says so.
            continue
        if judgement.holds is False:
            return Unreached(
                "preconditions",
                judgement.reason,
                Text(
                    f"the call was not made, since {check.clause} failed: {judgement.actual.en}",
                    f"未发起调用,因为 {check.clause} 不满足:{judgement.actual.zh}",
                ),
            )
    return None


def _gate() -> tuple[tuple[Check[Any], Look], ...]:
    from vnode_suite.connection.observing import kcfg as look_kcfg
    from vnode_suite.connection.observing import param as look_param
    from vnode_suite.connection.observing import pre as look_pre

    return (
        (param.region_is_served, look_param.region),
        (param.number_of_vswitches_is_right, look_param.vswitches),
        (param.vswitches_lie_in_one_vpc, look_param.membership),
        (param.group_lies_in_the_same_vpc, look_param.membership),
        (kcfg.kubeconfig_is_usable_as_it_stands, look_kcfg.usable),
        (kcfg.authority_is_the_servers, look_kcfg.authority),
        (kcfg.credential_is_who_it_should_be, look_kcfg.who),
        (pre.api_server_can_be_reached, look_pre.before_the_call),
    )
