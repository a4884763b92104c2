"""Reads of VPC (2016-04-28), ECS (2014-05-26) and STS (2015-04-01) that a run needs.

Lists nest in a singular key there (``Vpcs.Vpc[]``), unlike in ECI.
"""

from __future__ import annotations

import base64
from typing import Any

from vnode_suite.simulated.eci_api.errors import ApiError, invalid
from vnode_suite.simulated.eci_api.network import SecurityGroup
from vnode_suite.simulated.eci_api.parameters import Parameters
from vnode_suite.simulated.eci_api.service import Call, Service

_CREATED = "2024-01-01T00:00:00Z"


async def vpcs(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeVpcs``; ``VpcId`` takes up to 20 ids separated by commas."""
    region = service.region(call)
    wanted = call.parameters.comma_list("VpcId")
    if len(wanted) > 20:
        raise invalid("VpcId", "at most 20")
    catalogue = service.catalogue(call.account_id, region)
    found = [vpc for vpc in catalogue.vpcs.values() if not wanted or vpc.id in wanted]
    rows = [
        {
            "VpcId": vpc.id,
            "VpcName": "",
            "RegionId": region,
            "Status": "Available",
            "CidrBlock": vpc.cidr,
            "SecondaryCidrBlocks": {"SecondaryCidrBlock": list(vpc.secondary_cidrs)},
            "UserCidrs": {"UserCidr": []},
            "VSwitchIds": {"VSwitchId": [s.id for s in catalogue.vswitches.values() if s.vpc_id == vpc.id]},
            "IsDefault": False,
            "CreationTime": _CREATED,
            "OwnerId": int(call.account_id),
        }
        for vpc in found
    ]
    page, numbers = _numbered_page(rows, call.parameters)
    return {"Vpcs": {"Vpc": page}, **numbers}


async def vswitches(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeVSwitches``; ``VSwitchId`` is one id, and RegionId or VpcId must be given."""
    given = call.parameters
    vpc_id, one = given.text("VpcId"), given.text("VSwitchId")
    region = service.region(call, required=not vpc_id)
    rows = [
        {
            "VSwitchId": switch.id,
            "VSwitchName": "",
            "VpcId": switch.vpc_id,
            "ZoneId": switch.zone,
            "CidrBlock": switch.cidr,
            "Status": "Available",
            "AvailableIpAddressCount": switch.available,
            "IsDefault": False,
            "CreationTime": _CREATED,
            "OwnerId": int(call.account_id),
        }
        for (account_id, place), catalogue in service.catalogues.items()
        if account_id == call.account_id and region in ("", place)
        for switch in catalogue.vswitches.values()
        if vpc_id in ("", switch.vpc_id)
        and one in ("", switch.id)
        and given.text("ZoneId") in ("", switch.zone)
    ]
    page, numbers = _numbered_page(rows, given)
    return {"VSwitches": {"VSwitch": page}, **numbers}


async def security_groups(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeSecurityGroups``: the only read that shows a group's type."""
    region = service.region(call)
    given = call.parameters
    ids = given.json_list("SecurityGroupIds", most=100)
    one = given.text("SecurityGroupId")
    wanted = set(ids or []) | ({one} if one else set())
    rows = [
        {
            "SecurityGroupId": group.id,
            "SecurityGroupName": group.name,
            "SecurityGroupType": group.type,
            "VpcId": group.vpc_id,
            "ServiceManaged": group.service_managed,
            "ResourceGroupId": "",
            "Description": "",
            "CreationTime": _CREATED,
            "Tags": {"Tag": []},
        }
        for group in service.catalogue(call.account_id, region).groups.values()
        if (not wanted or group.id in wanted) and given.text("VpcId") in ("", group.vpc_id)
    ]
    page, numbers = _numbered_page(rows, given)
    return {"RegionId": region, "SecurityGroups": {"SecurityGroup": page}, "NextToken": "", **numbers}


async def security_group_attribute(service: Service, call: Call) -> dict[str, Any]:
    """``DescribeSecurityGroupAttribute``: the rules, paged by MaxResults and NextToken; no type here."""
    region = service.region(call)
    given = call.parameters
    group = service.catalogue(call.account_id, region).groups.get(given.required("SecurityGroupId"))
    if group is None:
        raise ApiError("InvalidSecurityGroupId.NotFound")
    direction = given.text("Direction", "all")
    if direction not in ("ingress", "egress", "all"):
        raise invalid("Direction", "one of ingress, egress, all")
    rules = _rules(group, direction)
    start = _offset(given.text("NextToken"))
    # The size is optional: with neither it nor a token, everything comes at once (up to 500).
    size = given.integer("MaxResults", 500, least=10, most=1000)
    more = start + size < len(rules)
    return {
        "RegionId": region,
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "VpcId": group.vpc_id,
        "Description": "",
        "InnerAccessPolicy": "Accept" if group.type == "normal" else "Drop",
        "Permissions": {"Permission": rules[start : start + size]},
        "NextToken": base64.urlsafe_b64encode(f"r{start + size}".encode()).decode() if more else "",
    }


async def caller_identity(service: Service, call: Call) -> dict[str, Any]:
    """STS ``GetCallerIdentity``: whose account would be billed."""
    return {
        "AccountId": call.account_id,
        "UserId": call.account_id,
        "PrincipalId": call.account_id,
        "IdentityType": "Account",
        "Arn": f"acs:ram::{call.account_id}:root",
    }


def _rules(group: SecurityGroup, direction: str) -> list[dict[str, Any]]:
    return [
        rule.to_api(number)
        for number, rule in enumerate(group.rules, start=1)
        if direction in ("all", rule.direction)
    ]


def _numbered_page(
    rows: list[dict[str, Any]], given: Parameters
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    number = given.integer("PageNumber", 1, least=1, most=10**6)
    size = given.integer("PageSize", 10, least=1, most=50)
    start = (number - 1) * size
    return rows[start : start + size], {"TotalCount": len(rows), "PageNumber": number, "PageSize": size}


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii")
        if not (text.startswith("r") and text[1:].isdigit() and len(text) < 12):
            raise ValueError(text)
        return int(text[1:])
    except ValueError:
        raise invalid("NextToken", "it is none that this service gave") from None
