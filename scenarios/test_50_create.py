"""CREATE: the call, and what it made."""

from vnode_suite.checks import create
from vnode_suite.pytest_plugin.marks import clause


@clause("CREATE-01")
def test_call_answers_an_id(judge, observed):
    """The call with the page's five parameters answers a VirtualNodeId."""
    judge(create.call_answers_an_id, observed)


@clause("CREATE-02")
def test_tls_flag_suits_the_kubeconfig(judge, observed):
    """On with a bootstrap kubeconfig, off otherwise."""
    judge(create.tls_flag_suits_the_kubeconfig, observed)


@clause("CREATE-03")
def test_call_is_idempotent(judge, observed):
    """One ClientToken creates one VNode, however often the call is made."""
    judge(create.call_is_idempotent, observed)


@clause("CREATE-04")
def test_tags_are_on_the_vnode(judge, observed):
    """Every tag given is on the VNode."""
    judge(create.tags_are_on_the_vnode, observed)


@clause("CREATE-05")
def test_taints_are_on_the_node(judge, observed):
    """Every taint given is on the Node, with its effect."""
    judge(create.taints_are_on_the_node, observed)


@clause("CREATE-06")
def test_resource_group_is_the_one_asked_for(judge, observed):
    """The group given, or the account's default one."""
    judge(create.resource_group_is_the_one_asked_for, observed)


@clause("CREATE-07")
def test_certificate_is_renewed_in_time(judge, observed):
    """Two renewals before the certificate runs out, the Node Ready throughout."""
    judge(create.certificate_is_renewed_in_time, observed)


@clause("CREATE-09")
def test_vnode_is_where_it_was_asked_to_be(judge, observed):
    """Region, VPC, vSwitch and security group are those asked for; the address lies in the vSwitch's CIDR."""
    judge(create.vnode_is_where_it_was_asked_to_be, observed)


@clause("CREATE-10")
def test_pods_instances_are_there_too(judge, observed):
    """A Pod's address lies in the vSwitch's CIDR."""
    judge(create.pods_instances_are_there_too, observed)


@clause("CREATE-11")
def test_vswitch_is_one_of_those_given(judge, observed):
    """Of several vSwitches, the VNode lies in one of those given."""
    judge(create.vswitch_is_one_of_those_given, observed)


@clause("CREATE-12")
def test_kubeconfig_is_sent_as_plain_base64(judge, observed):
    """Which form of the kubeconfig was sent: plain Base64, or Base64 of percent-encoded text."""
    judge(create.kubeconfig_is_sent_as_plain_base64, observed)
