"""PARAM: region, VPC, vSwitches and security group."""

from vnode_suite.checks import param
from vnode_suite.pytest_plugin.marks import clause


@clause("PARAM-01")
def test_region_is_served(judge, observed):
    """ECI serves the region."""
    judge(param.region_is_served, observed)


@clause("PARAM-02")
def test_number_of_vswitches_is_right(judge, observed):
    """1 to 10 vSwitches."""
    judge(param.number_of_vswitches_is_right, observed)


@clause("PARAM-03")
def test_vswitches_lie_in_one_vpc(judge, observed):
    """All vSwitches lie in one VPC."""
    judge(param.vswitches_lie_in_one_vpc, observed)


@clause("PARAM-04")
def test_group_lies_in_the_same_vpc(judge, observed):
    """The security group lies in the vSwitches' VPC."""
    judge(param.group_lies_in_the_same_vpc, observed)


@clause("PARAM-05")
def test_group_is_of_the_enterprise_type(judge, observed):
    """The security group is of the enterprise (advanced) type."""
    judge(param.group_is_of_the_enterprise_type, observed)


@clause("PARAM-06")
def test_vpc_may_reach_every_port(judge, observed):
    """Every block of the VPC may reach ports 1 to 65535, TCP and UDP."""
    judge(param.vpc_may_reach_every_port, observed)


@clause("PARAM-07")
def test_api_servers_may_reach_the_vnode_ports(judge, observed):
    """Every API server address may reach TCP 10250 and 10255."""
    judge(param.api_servers_may_reach_the_vnode_ports, observed)


@clause("PARAM-08")
def test_vswitches_have_free_addresses(judge, observed):
    """Free addresses of each vSwitch: said, not judged."""
    judge(param.vswitches_have_free_addresses, observed)
