"""SCHED: putting Pods on the VNode."""

from vnode_suite.checks import sched
from vnode_suite.pytest_plugin.marks import clause


@clause("SCHED-01")
def test_selector_and_toleration_put_a_pod_there(judge, observed):
    """nodeSelector ``k8s.aliyun.com/vnode=true`` and the toleration put a Pod on the VNode, and it runs."""
    judge(sched.selector_and_toleration_put_a_pod_there, observed)


@clause("SCHED-02")
def test_node_name_puts_a_pod_there(judge, observed):
    """nodeName puts a Pod on the VNode, and it runs."""
    judge(sched.node_name_puts_a_pod_there, observed)


@clause("SCHED-03")
def test_selector_policy_puts_a_pod_there(judge, observed):
    """A Pod that matches an eci-profile Selector lands on the VNode."""
    judge(sched.selector_policy_puts_a_pod_there, observed)


@clause("SCHED-04")
def test_vnode_writes_the_instance_id(judge, observed):
    """The VNode itself writes ``k8s.aliyun.com/eci-instance-id`` on a Pod that it runs."""
    judge(sched.vnode_writes_the_instance_id, observed)
