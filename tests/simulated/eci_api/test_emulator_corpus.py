"""A corpus of requests: every parameter of every ECI action, by the official SDK, is looked at and has an effect."""

from __future__ import annotations

import base64
import json
from typing import Any

import alibabacloud_eci20180808.models as models
import pytest

from vnode_suite.simulated.eci_api.gateway import ACTIONS

KUBECONFIG = "clusters: [{name: c}]\nusers: [{name: vnode, user: {token: t}}]\n"
#: Who the caller's account is, in a way of ten years ago; sent, never judged.
LEGACY: dict[str, Any] = {
    "owner_account": "a",
    "owner_id": 1,
    "resource_owner_account": "b",
    "resource_owner_id": 2,
}
TAG = {"key": "team", "value": "a+b/c=~* ü"}


def sound(ready: dict[str, Any], virtual_node_id: str) -> dict[str, dict[str, Any]]:
    """Each action's parameters by the SDK's names; every one of them, and all of them right."""
    region, switch = ready["region"], ready["vswitches"][0]
    changeable = {
        "cluster_dns": "10.0.0.10,10.0.0.11",
        "cluster_domain": "cluster.local",
        "custom_resources": "nvidia.com/gpu=2",
        "client_token": "token",
        "virtual_node_name": "a-name",
    }
    place = {
        "resource_group_id": ready["resource_group_ids"][0],
        "security_group_id": ready["security_group_id"],
    }
    return {
        "CreateVirtualNode": {
            **changeable,
            **place,
            "eip_instance_id": "eip-1",
            "enable_public_network": True,
            "kube_config": base64.b64encode(KUBECONFIG.encode()).decode(),
            "tls_bootstrap_enabled": False,
            "v_switch_id": switch["id"],
            "zone_id": switch["zone"],
            "tag": [models.CreateVirtualNodeRequestTag(**TAG)],
            "taint": [models.CreateVirtualNodeRequestTaint(key="k", value="v", effect="PreferNoSchedule")],
        },
        "DescribeVirtualNodes": {
            "client_token": "token",
            "limit": 20,
            # Of before every VNode there is.
            "next_token": base64.urlsafe_b64encode(b"v1:0").decode(),
            "resource_group_id": place["resource_group_id"],
            "status": "Ready",
            "tag": [models.DescribeVirtualNodesRequestTag(**TAG)],
            "virtual_node_ids": json.dumps([virtual_node_id]),
            "virtual_node_name": "a-name",
        },
        "UpdateVirtualNode": {
            **changeable,
            "virtual_node_id": virtual_node_id,
            "tag": [models.UpdateVirtualNodeRequestTag(**TAG)],
        },
        "DescribeContainerGroups": {
            **place,
            "compute_category": "general",
            "container_group_ids": json.dumps([instance_id(virtual_node_id)]),
            "container_group_name": "default-pod-0",
            "limit": 20,
            "next_token": base64.urlsafe_b64encode(b"c1:0/0").decode(),
            "status": "Running",
            "tag": None,  # See the test of it below: instances have none.
            "v_switch_id": switch["id"],
            "with_event": True,
            "zone_id": switch["zone"],
        },
        "DeleteVirtualNode": {"client_token": "token", "virtual_node_id": virtual_node_id},
        "DescribeRegions": {},
    } | {"region": {"region_id": region}}


#: What leaves the one VNode, or instance, of the test out of the list: each filter filters.
OTHERS: dict[str, dict[str, Any]] = {
    "DescribeVirtualNodes": {
        "next_token": base64.urlsafe_b64encode(b"v1:999").decode(),
        "resource_group_id": "rg-other",
        "status": "Pending",
        "tag": [models.DescribeVirtualNodesRequestTag(key="team", value="other")],
        "virtual_node_ids": '["vnd-other"]',
        "virtual_node_name": "other",
    },
    "DescribeContainerGroups": {
        "compute_category": "economy",
        "container_group_ids": '["eci-other"]',
        "container_group_name": "other",
        "next_token": base64.urlsafe_b64encode(b"c1:9999999999/z").decode(),
        "resource_group_id": "rg-other",
        "security_group_id": "sg-other",
        "status": "Failed",
        "tag": [models.DescribeContainerGroupsRequestTag(key="k", value="v")],
        "v_switch_id": "vsw-other",
        "zone_id": "other",
    },
}
METHODS = {
    "CreateVirtualNode": "create_virtual_node",
    "DescribeVirtualNodes": "describe_virtual_nodes",
    "UpdateVirtualNode": "update_virtual_node",
    "DescribeContainerGroups": "describe_container_groups",
    "DeleteVirtualNode": "delete_virtual_node",
    "DescribeRegions": "describe_regions",
}


def instance_id(virtual_node_id: str) -> str:
    """What the recording fleet calls the first instance of a VNode."""
    return f"eci-{virtual_node_id.removeprefix('vnd-')}0"


def send(running: Any, action: str, values: dict[str, Any]) -> Any:
    """The answer to a request with these values."""
    request = getattr(models, f"{action}Request")(**values)
    return getattr(running.sdk(), METHODS[action])(request).body


@pytest.fixture
def there(emulator: Any) -> str:
    """The id of a Ready VNode with everything that the corpus filters by."""
    everything = sound(emulator.ready, "")
    values = everything["CreateVirtualNode"] | everything["region"] | {"client_token": "another"}
    return str(send(emulator, "CreateVirtualNode", values).virtual_node_id)


def test_the_corpus_has_every_action() -> None:
    """An action of ECI that the emulator serves is in the corpus."""
    assert METHODS.keys() == ACTIONS["2018-08-08"].keys()


@pytest.mark.parametrize("action", list(METHODS))
def test_every_parameter_is_sent_and_looked_at(emulator: Any, there: str, action: str) -> None:
    """No field of the SDK's request is left out here, and none is ignored there."""
    if action == "DescribeContainerGroups":
        emulator.fleet.pods[there] = 1
    everything = sound(emulator.ready, there)
    values = everything[action] | everything["region"] | LEGACY
    assert vars(getattr(models, f"{action}Request")()).keys() <= values.keys(), "a field is not tried here"
    body = send(emulator, action, values)
    asked = emulator.emulator.service.state.requests[-1]
    assert (asked.action, asked.status, asked.ignored) == (action, 200, [])
    if action == "DescribeVirtualNodes":
        assert [node.virtual_node_id for node in body.virtual_nodes] == [there]
    if action == "DescribeContainerGroups":
        assert [group.container_group_id for group in body.container_groups] == [instance_id(there)]
        assert [event.reason for event in body.container_groups[0].events] == ["Started"]


@pytest.mark.parametrize(
    ("action", "name"), [(action, name) for action, others in OTHERS.items() for name in others]
)
def test_each_filter_filters(emulator: Any, there: str, action: str, name: str) -> None:
    """With one filter turned to something else, and all others fitting, nothing is listed."""
    emulator.fleet.pods[there] = 1
    everything = sound(emulator.ready, there)
    body = send(emulator, action, everything[action] | everything["region"] | {name: OTHERS[action][name]})
    assert (body.virtual_nodes if action == "DescribeVirtualNodes" else body.container_groups) == []


def test_what_nobody_looks_at_is_told(emulator: Any) -> None:
    """A parameter that no document names is in the log of requests, as ignored."""
    send(emulator, "DescribeRegions", {})
    assert emulator.emulator.service.state.requests[-1].ignored == []
    from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
    from darabonba.runtime import RuntimeOptions

    params = Params(
        action="DescribeRegions", version="2018-08-08", protocol="HTTP", pathname="/", method="POST",
        auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
    )  # fmt: skip
    emulator.sdk().call_api(params, OpenApiRequest(query={"Colour": "red"}), RuntimeOptions())
    assert emulator.emulator.service.state.requests[-1].ignored == ["Colour"]


def test_instances_come_in_pages(emulator: Any, there: str) -> None:
    """45 instances of one VNode in pages of 20, oldest first, none twice; the VNode cannot be deleted meanwhile."""
    emulator.fleet.pods[there] = 45
    seen: list[str] = []
    token, pages = None, 0
    while token != "":
        values = {"region_id": emulator.ready["region"], "next_token": token}
        body = send(emulator, "DescribeContainerGroups", values)
        seen += [group.container_group_name for group in body.container_groups]
        token, pages = body.next_token, pages + 1
        assert body.total_count == 45
    assert (pages, seen) == (3, [f"default-pod-{n}" for n in range(45)])
    with pytest.raises(Exception, match="delete eci first") as refused:
        send(
            emulator,
            "DeleteVirtualNode",
            {"region_id": emulator.ready["region"], "virtual_node_id": there},
        )
    assert refused.value.code == "VirtualNode.DELETE.FAILED"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong", [{"status": "Alive"}, {"limit": 21}, {"next_token": "x"}, {"container_group_ids": "eci-1"}]
)
def test_a_wrong_look_for_instances_is_refused(emulator: Any, wrong: dict[str, Any]) -> None:
    """Each with the code for a wrong parameter."""
    with pytest.raises(Exception, match="not valid") as refused:
        send(emulator, "DescribeContainerGroups", {"region_id": emulator.ready["region"]} | wrong)
    assert refused.value.code == "InvalidParameter"  # type: ignore[attr-defined]
