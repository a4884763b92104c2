"""NODE: the VNode as the cluster sees it."""

from vnode_suite.checks import node
from vnode_suite.pytest_plugin.marks import clause


@clause("NODE-01")
def test_vnode_is_listed(judge, observed):
    """Within the deadline the VNode is listed by the cluster's nodes."""
    judge(node.vnode_is_listed, observed)


@clause("NODE-02")
def test_node_becomes_and_stays_ready(judge, observed):
    """It becomes Ready and stays so for longer than a lost heartbeat could hide."""
    judge(node.node_becomes_and_stays_ready, observed)


@clause("NODE-03")
def test_node_carries_the_virtual_kubelet_label(judge, observed):
    """It carries ``type=virtual-kubelet``, which the exclusion rests on."""
    judge(node.node_carries_the_virtual_kubelet_label, observed)


@clause("NODE-04")
def test_cloud_and_cluster_agree(judge, observed):
    """Ready on both sides, with the same internal address."""
    judge(node.cloud_and_cluster_agree, observed)


@clause("NODE-05")
def test_what_the_node_says_of_itself(judge, observed):
    """Name, role, version, label and taint as the linked pages show them."""
    judge(node.what_the_node_says_of_itself, observed)


@clause("NODE-06")
def test_time_to_ready(judge, observed):
    """Time from the call to Node Ready, in seconds."""
    judge(node.time_to_ready, observed)
