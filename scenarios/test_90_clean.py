"""CLEAN: leaving nothing behind."""

from vnode_suite.checks import clean
from vnode_suite.pytest_plugin.marks import clause


@clause("CLEAN-01")
def test_vnodes_are_gone_from_the_cloud(judge, observed):
    """Every VNode that this run created is gone from the cloud."""
    judge(clean.vnodes_are_gone_from_the_cloud, observed)


@clause("CLEAN-02")
def test_cluster_objects_are_gone(judge, observed):
    """What the run and its VNodes made is gone from the cluster."""
    judge(clean.cluster_objects_are_gone, observed)


@clause("CLEAN-03")
def test_nothing_else_was_touched(judge, observed):
    """Nothing that the run did not create was changed."""
    judge(clean.nothing_else_was_touched, observed)


@clause("CLEAN-04")
def test_instances_went_before_the_vnode(judge, observed):
    """Pods' instances are gone before the VNode is deleted, and after."""
    judge(clean.instances_went_before_the_vnode, observed)
