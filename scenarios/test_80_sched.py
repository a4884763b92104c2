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


@clause("SCHED-05")
def test_instance_exists_and_runs(judge, observed):
    """The instance that the annotation names exists, Running, in the group and vSwitch asked for."""
    judge(sched.instance_exists_and_runs, observed)


@clause("SCHED-06")
def test_what_a_pod_there_reaches(judge, observed):
    """Cluster DNS, a ClusterIP, another Pod and an image registry, from a Pod there: said, not judged."""
    judge(sched.what_a_pod_there_reaches, observed)
