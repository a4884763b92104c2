"""PORT: from the API server to the VNode."""

from vnode_suite.checks import port
from vnode_suite.pytest_plugin.marks import clause


@clause("PORT-01")
def test_api_server_reaches_10250(judge, observed):
    """The API server reaches the VNode on TCP 10250: node proxy and logs of a Pod."""
    judge(port.api_server_reaches_10250, observed)


@clause("PORT-02")
def test_api_server_reaches_10255(judge, observed):
    """The API server reaches the VNode on TCP 10255."""
    judge(port.api_server_reaches_10255, observed)


@clause("PORT-03")
def test_streams_through_the_api_server(judge, observed):
    """exec, attach and port-forward through the API server: said, not judged."""
    judge(port.streams_through_the_api_server, observed)
