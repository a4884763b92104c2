"""DS: keeping kube-proxy off the VNode."""

from vnode_suite.checks import ds
from vnode_suite.pytest_plugin.marks import clause


@clause("DS-01")
def test_template_excludes_vnodes_in_every_term(judge, observed):
    """Each of the ORed terms keeps VNodes out."""
    judge(ds.template_excludes_vnodes_in_every_term, observed)


@clause("DS-02")
def test_no_pod_on_the_vnode(judge, observed):
    """No kube-proxy Pod is bound to the VNode."""
    judge(ds.no_pod_on_the_vnode, observed)


@clause("DS-03")
def test_other_nodes_keep_kube_proxy(judge, observed):
    """Nodes that are no VNodes still have kube-proxy."""
    judge(ds.other_nodes_keep_kube_proxy, observed)


@clause("DS-04")
def test_no_other_daemonset_on_the_vnode(judge, observed):
    """No other DaemonSet has a Pod bound to the VNode; each that has is named with its patch."""
    judge(ds.no_other_daemonset_on_the_vnode, observed)


@clause("DS-05")
def test_exclusion_keeps_what_was_there(judge, observed):
    """The exclusion keeps affinity that was there, and applying it again changes nothing."""
    judge(ds.exclusion_keeps_what_was_there, observed)


@clause("DS-06")
def test_daemonset_pod_does_not_run(judge, observed):
    """A DaemonSet Pod that is bound to a VNode does not run: said, not judged."""
    judge(ds.daemonset_pod_does_not_run, observed)


@clause("DS-07")
def test_exclusion_came_before_the_vnode(judge, observed):
    """Whether the exclusion was in place before the VNode joined: said, not judged."""
    judge(ds.exclusion_came_before_the_vnode, observed)
