"""The RAM policy that a live run needs, and no more: which action, on which resource, what for.

Source of ECI's actions and resources: the "RAM authorization" part of each operation's reference page
(``acs:eci:{region}:{account}:virtualnode/*``). VPC, ECS and STS reads: the same part of theirs; RAM supports
no narrower resource for lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Grant:
    """One action with its resource (``{region}`` and ``{account}`` to be filled in) and its reason."""

    action: str
    resource: str
    why: str
    #: Left out of a policy for runs that only read (``--vnode-id``, ``diagnose --live``).
    changes: bool = False


GRANTS: Final[tuple[Grant, ...]] = (
    Grant(
        "eci:CreateVirtualNode",
        "acs:eci:{region}:{account}:virtualnode/*",
        "the VNode that is accepted",
        changes=True,
    ),
    Grant("eci:DescribeVirtualNodes", "acs:eci:{region}:{account}:virtualnode/*", "status, address, events"),
    Grant(
        "eci:DeleteVirtualNode",
        "acs:eci:{region}:{account}:virtualnode/*",
        "cleaning up what the run created",
        changes=True,
    ),
    # Its page discloses no authorisation; a policy that names it does no harm if none is needed.
    Grant("eci:DescribeRegions", "*", "PARAM-01"),
    Grant(
        "eci:DescribeContainerGroups",
        "acs:eci:{region}:{account}:containergroup/*",
        "instances of Pods: CLEAN-04",
    ),
    Grant("vpc:DescribeVpcs", "*", "PARAM-06, address blocks"),
    Grant("vpc:DescribeVSwitches", "*", "PARAM-03, PARAM-08"),
    Grant("ecs:DescribeSecurityGroups", "*", "PARAM-04, PARAM-05"),
    Grant("ecs:DescribeSecurityGroupAttribute", "*", "PARAM-06, PARAM-07"),
    Grant(
        "ram:CreateServiceLinkedRole",
        "*",
        "the first VNode of an account creates AliyunServiceRoleForECIVnode",
        changes=True,
    ),
)
#: GetCallerIdentity needs no grant: every identity may ask who it is (STS reference).
SERVICE_LINKED_ROLE: Final = "vnode.eci.aliyuncs.com"


def policy(region: str = "*", account: str = "*", *, read_only: bool = False) -> dict[str, Any]:
    """A RAM policy document (version 1) of statements grouped by resource.

    :param region: a region id, or ``*``.
    :param account: an account id, or ``*``.
    :param read_only: leave out everything that creates, changes or deletes.
    """
    groups: dict[tuple[str, bool], list[str]] = {}
    for grant in GRANTS:
        if grant.changes and read_only:
            continue
        resource = grant.resource.format(region=region, account=account)
        is_role = grant.action.startswith("ram:")
        groups.setdefault((resource, is_role), []).append(grant.action)
    return {
        "Version": "1",
        "Statement": [
            _statement(resource, actions, is_role) for (resource, is_role), actions in groups.items()
        ],
    }


def explanations() -> Mapping[str, str]:
    """RAM action to what the suite needs it for."""
    return {grant.action: grant.why for grant in GRANTS}


def _statement(resource: str, actions: list[str], is_role: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": [resource]}
    if is_role:
        body["Condition"] = {"StringEquals": {"ram:ServiceName": [SERVICE_LINKED_ROLE]}}
    return body
