"""VPC, ECS and STS reads through the official SDKs of those products."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_tea_openapi.client import Client as CoreSdk
from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions


@pytest.fixture(scope="module")
def shared(start_shared: Any) -> Any:
    """One emulator; these tests only read."""
    return start_shared()


def config(running: Any) -> Config:
    """The settings every SDK takes."""
    return Config(
        access_key_id=running.ready["access_key_id"],
        access_key_secret=running.ready["access_key_secret"],
        endpoint=running.ready["endpoint"].partition("://")[2],
        protocol="http",
        region_id=running.ready["region"],
    )


def call(running: Any, version: str, action: str, **query: str) -> Any:
    """A generic call of the SDK's core, for parameters that a typed client does not have."""
    client = CoreSdk(config(running))
    client._endpoint = running.ready["endpoint"].partition("://")[2]
    params = Params(
        action=action, version=version, protocol="HTTP", pathname="/", method="GET", auth_type="AK",
        style="RPC", req_body_type="formData", body_type="json",
    )  # fmt: skip
    return client.call_api(params, OpenApiRequest(query=query), RuntimeOptions())["body"]


def test_vpcs_and_vswitches_through_the_vpc_sdk(shared: Any) -> None:
    """A VPC lists its vSwitches; a vSwitch is found by its id."""
    from alibabacloud_vpc20160428 import models
    from alibabacloud_vpc20160428.client import Client

    client = Client(config(shared))
    ready = shared.ready
    request = models.DescribeVpcsRequest(region_id=ready["region"], vpc_id=ready["vpc_id"])
    (vpc,) = client.describe_vpcs(request).body.vpcs.vpc
    assert (vpc.cidr_block, vpc.secondary_cidr_blocks.secondary_cidr_block) == (ready["vpc_cidr"], [])
    assert vpc.v_switch_ids.v_switch_id == ready["vswitch_ids"]
    request = models.DescribeVSwitchesRequest(region_id=ready["region"], v_switch_id=ready["vswitch_ids"][1])
    (switch,) = client.describe_vswitches(request).body.v_switches.v_switch
    assert (switch.vpc_id, switch.cidr_block, switch.zone_id) == (
        ready["vpc_id"],
        ready["vswitches"][1]["cidr"],
        ready["vswitches"][1]["zone"],
    )
    assert switch.available_ip_address_count > 16000


def test_security_groups_through_the_ecs_sdk(shared: Any) -> None:
    """The type is in the list, the rules are in the attribute, as in the real API."""
    from alibabacloud_ecs20140526 import models
    from alibabacloud_ecs20140526.client import Client

    client = Client(config(shared))
    ready = shared.ready
    group = ready["security_group_id"]
    request = models.DescribeSecurityGroupsRequest(region_id=ready["region"], security_group_id=group)
    (shown,) = client.describe_security_groups(request).body.security_groups.security_group
    assert (shown.security_group_type, shown.vpc_id) == ("enterprise", ready["vpc_id"])
    request = models.DescribeSecurityGroupAttributeRequest(region_id=ready["region"], security_group_id=group)
    rules = client.describe_security_group_attribute(request).body.permissions.permission
    assert [(rule.ip_protocol, rule.port_range) for rule in rules] == [
        ("TCP", "1/65535"),
        ("UDP", "1/65535"),
        ("TCP", "10250/10250"),
        ("TCP", "10255/10255"),
    ]
    assert {rule.source_cidr_ip for rule in rules} == {ready["vpc_cidr"], f"{ready['host_address']}/32"}
    egress = models.DescribeSecurityGroupAttributeRequest(
        region_id=ready["region"], security_group_id=group, direction="egress"
    )
    assert client.describe_security_group_attribute(egress).body.permissions.permission == []


def test_vpc_pages_by_number(shared: Any) -> None:
    """PageNumber and PageSize; TotalCount is of all pages."""
    pages = [
        call(shared, "2016-04-28", "DescribeVpcs", RegionId="cn-shanghai", PageSize="1", PageNumber=str(n))
        for n in (1, 2, 3)
    ]
    assert [len(page["Vpcs"]["Vpc"]) for page in pages] == [1, 1, 0]
    assert {page["TotalCount"] for page in pages} == {2}


def test_filters_that_only_terraform_sends(shared: Any) -> None:
    """SecurityGroupId and VSwitchId filter DescribeVirtualNodes although no document names them."""
    wanted = {"RegionId": "cn-shanghai", "SecurityGroupId": "sg-x", "VSwitchId": "vsw-x"}
    assert call(shared, "2018-08-08", "DescribeVirtualNodes", **wanted)["VirtualNodes"] == []


def test_the_caller_is_the_account(shared: Any) -> None:
    """STS tells whose account the key belongs to."""
    assert call(shared, "2015-04-01", "GetCallerIdentity")["AccountId"] == shared.ready["account_id"]


@pytest.mark.parametrize(
    ("version", "action", "query", "code"),
    [
        ("2016-04-28", "DescribeVSwitches", {}, "MissingRegionId"),
        ("2016-04-28", "DescribeVpcs", {"RegionId": "cn-shanghai", "PageSize": "51"}, "InvalidParameter"),
        (
            "2014-05-26",
            "DescribeSecurityGroupAttribute",
            {"RegionId": "cn-shanghai"},
            "MissingSecurityGroupId",
        ),
        (
            "2014-05-26",
            "DescribeSecurityGroupAttribute",
            {"RegionId": "cn-shanghai", "SecurityGroupId": "sg-x"},
            "InvalidSecurityGroupId.NotFound",
        ),
        ("2016-04-28", "CreateVirtualNode", {"RegionId": "cn-shanghai"}, "InvalidApi.NotFound"),
    ],
)
def test_wrong_reads_are_refused(
    shared: Any, version: str, action: str, query: dict[str, str], code: str
) -> None:
    """Each with its code; an action belongs to its product's version."""
    with pytest.raises(Exception, match="request id") as raised:
        call(shared, version, action, **query)
    assert raised.value.code == code  # type: ignore[attr-defined]
