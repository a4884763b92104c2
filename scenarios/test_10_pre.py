"""PRE: before anything is created."""

from vnode_suite.checks import pre
from vnode_suite.pytest_plugin.marks import clause


@clause("PRE-01")
def test_version_lies_in_the_window(judge, observed):
    """The server's own word for its version lies between the window's ends."""
    judge(pre.version_lies_in_the_window, observed)


@clause("PRE-02")
def test_api_server_can_be_reached(judge, observed):
    """A TCP and TLS dial from the VNode's side reaches the server that the kubeconfig names."""
    judge(pre.api_server_can_be_reached, observed)


@clause("PRE-03")
def test_clocks_agree(judge, observed):
    """Clock skew between runner, API server and certificates; more than 60 s deserves a warning."""
    judge(pre.clocks_agree, observed)


@clause("PRE-04")
def test_networks_reach_each_other(judge, observed):
    """Both directions between a cluster outside the cloud and the VPC are open."""
    judge(pre.networks_reach_each_other, observed)
