"""The actions on VNodes, asked by the official Python SDK."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import alibabacloud_eci20180808.models as models
import pytest

KUBECONFIG = "apiVersion: v1\nclusters: [{name: c}]\nusers: [{name: vnode, user: {token: top-secret}}]\n"


def create(running: Any, **changes: Any) -> str:
    """A VNode with sound parameters, changed as told (None leaves a parameter out)."""
    ready = running.ready
    values: dict[str, Any] = {
        "region_id": ready["region"],
        "v_switch_id": ready["vswitch_ids"][0],
        "security_group_id": ready["security_group_id"],
        "kube_config": base64.b64encode(KUBECONFIG.encode()).decode(),
        "tls_bootstrap_enabled": True,
    } | changes
    body = running.sdk().create_virtual_node(models.CreateVirtualNodeRequest(**values)).body
    running.on_loop(lambda: None)  # The fleet is told on the loop; what was scheduled before this has run.
    return str(body.virtual_node_id)


def describe(running: Any, **wanted: Any) -> Any:
    """One page of DescribeVirtualNodes."""
    request = models.DescribeVirtualNodesRequest(**({"region_id": running.ready["region"]} | wanted))
    return running.sdk().describe_virtual_nodes(request).body


def one(running: Any, virtual_node_id: str) -> Any:
    """The VNode of that id."""
    (node,) = describe(running, virtual_node_ids=f'["{virtual_node_id}"]').virtual_nodes
    return node


def tags(**values: str) -> list[models.CreateVirtualNodeRequestTag]:
    """Tags for a create request; underscores become hyphens."""
    return [models.CreateVirtualNodeRequestTag(key=k.replace("_", "-"), value=v) for k, v in values.items()]


def defect(name: str) -> list[models.CreateVirtualNodeRequestTag]:
    """The reserved tag."""
    return [models.CreateVirtualNodeRequestTag(key="vnode-suite:defect", value=name), *tags(a="1", b="2")]


def refusal(act: Any) -> tuple[int, str]:
    """Status and code of the error that a call raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the SDK raises two unrelated trees
        act()
    error: Any = raised.value
    return error.status_code, error.code


def test_everything_given_reaches_the_fleet_and_the_list(emulator: Any) -> None:
    """Every parameter of CreateVirtualNode is kept where it belongs."""
    ready = emulator.ready
    found = create(
        emulator,
        v_switch_id=",".join(ready["vswitch_ids"][:2]),
        virtual_node_name="my.vnode-1",
        zone_id=None,
        resource_group_id=ready["resource_group_ids"][1],
        eip_instance_id="eip-2ze123",
        enable_public_network=False,
        cluster_dns="10.0.0.10,10.0.0.11",
        cluster_domain="cluster.local",
        custom_resources="nvidia.com/gpu=2,a=1",
        tag=tags(team="x", run="y"),
        taint=[models.CreateVirtualNodeRequestTaint(key="dedicated", value="gpu", effect="NoExecute")],
    )
    order, node = emulator.fleet.orders[found], one(emulator, found)
    assert (order.kubeconfig, order.tls_bootstrap, order.virtual_node_name) == (
        KUBECONFIG,
        True,
        "my.vnode-1",
    )
    assert order.taints == ({"key": "dedicated", "value": "gpu", "effect": "NoExecute"},)
    assert (order.cluster_dns, order.cluster_domain) == (("10.0.0.10", "10.0.0.11"), "cluster.local")
    assert order.custom_resources == {"nvidia.com/gpu": "2", "a": "1"}
    assert (order.vswitch_id, order.security_group_id) == (
        ready["vswitch_ids"][0],
        ready["security_group_id"],
    )
    assert (node.virtual_node_vswitch_id, node.virtual_node_security_group_id) == (
        order.vswitch_id,
        order.security_group_id,
    )
    assert (node.status, node.vpc_id, node.region_id) == ("Ready", ready["vpc_id"], ready["region"])
    assert (node.resource_group_id, node.virtual_node_name) == (ready["resource_group_ids"][1], "my.vnode-1")
    assert {tag.key: tag.value for tag in node.tags} == {"team": "x", "run": "y"}
    assert node.intranet_ip.startswith("10.0.0.")
    assert (node.events[0].type, node.events[0].reason, node.events[0].message) == (
        "Normal",
        "Created",
        "Successfully",
    )


def test_a_kubeconfig_may_be_percent_encoded_inside_base64(emulator: Any) -> None:
    """The reference page's sample is Base64 of percent-encoded text with literal backslash-n."""
    odd = base64.b64encode(quote(KUBECONFIG.replace("\n", "\\n")).encode()).decode()
    assert emulator.fleet.orders[create(emulator, kube_config=odd)].kubeconfig == KUBECONFIG


def test_a_vnode_without_a_kubeconfig_is_created(emulator: Any) -> None:
    """KubeConfig is optional in the API."""
    assert emulator.fleet.orders[create(emulator, kube_config=None)].kubeconfig == ""


@pytest.mark.parametrize("length", [6_000, 64_000, 200_000])
def test_long_kubeconfigs_fit_in_the_url(emulator: Any, length: int) -> None:
    """A kubeconfig travels in the URL: 5-8 kB are usual, past 64 kB must work too."""
    text = KUBECONFIG + "# " + "x" * length
    found = create(emulator, kube_config=base64.b64encode(text.encode()).decode())
    assert len(emulator.fleet.orders[found].kubeconfig) == len(text)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"region_id": None}, 400, "MissingRegionId"),
        ({"security_group_id": None}, 400, "MissingSecurityGroupId"),
        ({"v_switch_id": None}, 400, "MissingVSwitchId"),
        ({"v_switch_id": ",".join(f"vsw-{n}" for n in range(11))}, 400, "InvalidParameter"),
        ({"v_switch_id": "vsw-a,vsw-a"}, 400, "InvalidParameter"),
        ({"v_switch_id": "vsw-unknown"}, 404, "InvalidParameter.NotFound"),
        ({"security_group_id": "sg-unknown"}, 404, "InvalidParameter.NotFound"),
        ({"kube_config": "not base64!"}, 400, "InvalidParameter"),
        ({"kube_config": base64.b64encode(b"a: b").decode()}, 400, "InvalidParameter"),
        ({"zone_id": "cn-shanghai-z"}, 403, "OperationDenied.VswZoneMisMatch"),
        ({"virtual_node_name": "x"}, 400, "InvalidParameter"),
        ({"virtual_node_name": "has space"}, 400, "InvalidParameter"),
        ({"resource_group_id": "rg-unknown"}, 404, "InvalidParameter.NotFound"),
        ({"eip_instance_id": "no-eip"}, 404, "InvalidParameter.NotFound"),
        ({"client_token": "x" * 65}, 400, "InvalidParameter"),
        ({"client_token": "ü"}, 400, "InvalidParameter"),
        ({"cluster_dns": "dns.example"}, 400, "InvalidParameter"),
        ({"cluster_domain": "-bad-"}, 400, "InvalidParameter"),
        ({"custom_resources": "gpu=two"}, 400, "InvalidParameter"),
        ({"custom_resources": "gpu"}, 400, "InvalidParameter"),
        ({"tls_bootstrap_enabled": "perhaps"}, 400, "InvalidParameter"),
        ({"enable_public_network": "perhaps"}, 400, "InvalidParameter"),
        ({"tag": tags(**{f"k{n}": "v" for n in range(21)})}, 400, "InvalidParameter"),
        ({"tag": tags(**{"acs:x": "v"})}, 400, "InvalidParameter"),
        ({"tag": [models.CreateVirtualNodeRequestTag(value="v")]}, 400, "MissingTagNKey"),
        ({"taint": [models.CreateVirtualNodeRequestTaint(key="k", effect="Never")]}, 400, "InvalidParameter"),
        ({"taint": [models.CreateVirtualNodeRequestTaint(effect="NoSchedule")]}, 400, "InvalidParameter"),
        ({"tag": defect("no-such-defect")}, 400, "InvalidParameter"),
    ],
)
def test_each_wrong_parameter_is_refused(
    emulator: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    """A refused create leaves nothing behind."""
    assert refusal(lambda: create(emulator, **changes)) == (status, code)
    assert describe(emulator).total_count == 0


def test_the_group_and_the_vswitches_must_share_a_vpc(emulator: Any) -> None:
    """Two VPCs, a group of another VPC and a group that a product manages each have their code."""
    others = emulator.ready["for_controls"]
    two_vpcs = f"{emulator.ready['vswitch_ids'][0]},{others['vswitch_of_another_vpc']}"
    assert refusal(lambda: create(emulator, v_switch_id=two_vpcs)) == (400, "InvalidParameter")
    foreign = others["security_groups"]["other-vpc"]
    assert refusal(lambda: create(emulator, security_group_id=foreign)) == (
        403,
        "OperationDenied.SecurityGroupMisMatch",
    )
    managed = others["security_groups"]["managed-by-a-product"]
    assert refusal(lambda: create(emulator, security_group_id=managed)) == (
        403,
        "InvalidOperation.ResourceManagedByCloudProduct",
    )


def test_a_full_vswitch_is_passed_over_then_refused(emulator: Any) -> None:
    """The first vSwitch with a free address is taken; with none left, 403."""
    first, second = emulator.ready["vswitch_ids"][:2]
    catalogue = emulator.emulator.service.catalogue(emulator.ready["account_id"], emulator.ready["region"])
    catalogue.vswitches[first].capacity = 0
    assert one(emulator, create(emulator, v_switch_id=f"{first},{second}")).virtual_node_vswitch_id == second
    assert refusal(lambda: create(emulator, v_switch_id=first)) == (403, "InvalidVSwitchId.IpNotEnough")


def test_an_address_is_free_again_after_delete(emulator: Any) -> None:
    """A vSwitch with one address serves VNodes one after the other."""
    first = emulator.ready["vswitch_ids"][0]
    catalogue = emulator.emulator.service.catalogue(emulator.ready["account_id"], emulator.ready["region"])
    catalogue.vswitches[first].capacity = 1
    for _ in range(3):
        delete(emulator, create(emulator))


def delete(running: Any, virtual_node_id: str, **more: Any) -> None:
    """DeleteVirtualNode."""
    values = {"region_id": running.ready["region"], "virtual_node_id": virtual_node_id} | more
    running.sdk().delete_virtual_node(models.DeleteVirtualNodeRequest(**values))


def update(running: Any, virtual_node_id: str, **more: Any) -> None:
    """UpdateVirtualNode."""
    values = {"region_id": running.ready["region"], "virtual_node_id": virtual_node_id} | more
    running.sdk().update_virtual_node(models.UpdateVirtualNodeRequest(**values))


def test_one_token_buys_one_vnode(emulator: Any) -> None:
    """Same token, same parameters: same id. Other parameters: refused. Tokens are case-sensitive."""
    first = create(emulator, client_token="Token-1")
    assert create(emulator, client_token="Token-1") == first
    other = {"client_token": "Token-1", "virtual_node_name": "other"}
    assert refusal(lambda: create(emulator, **other)) == (400, "IdempotentParameterMismatch")
    assert create(emulator, client_token="token-1") != first
    assert describe(emulator).total_count == 2


def test_a_deleted_vnode_is_gone_at_once(emulator: Any) -> None:
    """After delete the list is empty, the fleet stopped it, and a repetition under one token is no error."""
    found = create(emulator)
    delete(emulator, found, client_token="t")
    delete(emulator, found, client_token="t")
    assert describe(emulator, virtual_node_ids=f'["{found}"]').virtual_nodes == []
    assert emulator.fleet.stopped == [found]
    assert [(node.id, node.kubeconfig) for node in emulator.emulator.service.state.deleted] == [(found, "")]
    assert refusal(lambda: delete(emulator, found)) == (404, "InvalidParameter.NotFound")


def test_delete_is_refused_while_pods_run(emulator: Any) -> None:
    """The documented code and text; afterwards it works."""
    found = create(emulator)
    emulator.fleet.pods[found] = 1
    assert refusal(lambda: delete(emulator, found)) == (400, "VirtualNode.DELETE.FAILED")
    emulator.fleet.pods[found] = 0
    delete(emulator, found)


def test_update_changes_what_it_may_and_only_in_ready(emulator: Any) -> None:
    """Name, DNS, domain, resources and tags of a Ready VNode."""
    found = create(emulator, tag=tags(a="1"))
    update(
        emulator,
        found,
        virtual_node_name="renamed",
        cluster_dns="10.0.0.99",
        tag=[models.UpdateVirtualNodeRequestTag(key="b", value="2")],
    )
    node = one(emulator, found)
    assert (node.virtual_node_name, [tag.key for tag in node.tags]) == ("renamed", ["b"])
    emulator.fleet.becomes_ready = False
    pending = create(emulator)
    assert refusal(lambda: update(emulator, pending, virtual_node_name="no")) == (400, "IncorrectStatus")
    assert refusal(lambda: update(emulator, "vnd-unknown")) == (404, "InvalidParameter.NotFound")


def test_pages_cover_everything_once(emulator: Any) -> None:
    """45 VNodes in pages of 20, in order, none twice; a VNode deleted in between disturbs nothing."""
    made = [create(emulator) for _ in range(45)]
    seen: list[str] = []
    token = None
    for expected in (20, 20, 5):
        page = describe(emulator, next_token=token)
        assert (len(page.virtual_nodes), page.total_count) == (
            expected,
            45 if expected == 20 and not seen else 44,
        )
        seen += [node.virtual_node_id for node in page.virtual_nodes]
        token = page.next_token
        if expected == 20 and len(seen) == 20:
            delete(emulator, made[0])
    assert (seen, token or "") == (made, "")


def test_a_filtered_list_is_paged_too(emulator: Any) -> None:
    """Pages of what matches, each VNode once, TotalCount of all that match."""
    made = [create(emulator, virtual_node_name=f"node-{n % 2}") for n in range(11)]
    seen: list[str] = []
    token = None
    for expected in (2, 2, 1):
        page = describe(emulator, virtual_node_name="node-1", limit=2, next_token=token)
        assert (len(page.virtual_nodes), page.total_count) == (expected, 5)
        seen += [node.virtual_node_id for node in page.virtual_nodes]
        token = page.next_token
    assert (seen, token or "") == (made[1::2], "")


def test_filters_narrow_the_list(emulator: Any) -> None:
    """Name, status, group, ids, tags by key and by value; and what only Terraform's provider sends."""
    ready = emulator.ready
    first = create(emulator, virtual_node_name="one", tag=tags(team="a"))
    second = create(
        emulator, virtual_node_name="two", tag=tags(team="b"), v_switch_id=ready["vswitch_ids"][1]
    )

    def ids(**wanted: Any) -> list[str]:
        page = describe(emulator, **wanted)
        assert page.total_count == len(page.virtual_nodes)
        return [node.virtual_node_id for node in page.virtual_nodes]

    def by_tag(key: str, value: str | None) -> list[str]:
        return ids(tag=[models.DescribeVirtualNodesRequestTag(key=key, value=value)])

    assert ids(virtual_node_name="one") == [first]
    assert ids(status="Ready") == [first, second]
    assert ids(status="Cleaned") == []
    assert ids(resource_group_id=ready["resource_group_ids"][1]) == []
    assert ids(virtual_node_ids=f'["{second}", "vnd-unknown"]') == [second]
    assert ids(limit=1, virtual_node_name="two") == [second]
    assert (by_tag("team", None), by_tag("team", "b"), by_tag("team", "c")) == ([first, second], [second], [])
    scope = emulator.emulator.service.state.scope(ready["account_id"], ready["region"])
    assert scope.get(second).vswitch_id == ready["vswitch_ids"][1]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"limit": 0}, "InvalidParameter"),
        ({"limit": 21}, "InvalidParameter"),
        ({"next_token": "made-up"}, "InvalidParameter"),
        ({"status": "Sleeping"}, "InvalidParameter"),
        ({"virtual_node_ids": "vnd-1"}, "InvalidParameter"),
        ({"virtual_node_ids": "[1]"}, "InvalidParameter"),
        ({"virtual_node_ids": str([f"vnd-{n}" for n in range(21)]).replace("'", '"')}, "InvalidParameter"),
    ],
)
def test_each_wrong_filter_is_refused(emulator: Any, wanted: dict[str, Any], code: str) -> None:
    """Limit from 1 to 20, at most 20 ids in a JSON array, a token of this service, a known status."""
    assert refusal(lambda: describe(emulator, **wanted)) == (400, code)


def test_accounts_and_regions_are_apart(start: Any) -> None:
    """A VNode is seen by its account in its region only."""
    running = start(
        credentials=[{"access_key_id": "other", "access_key_secret": "s", "account_id": "2222222222222222"}]
    )
    create(running)
    foreign = running.sdk(access_key_id="other", access_key_secret="s")
    here = models.DescribeVirtualNodesRequest(region_id="cn-shanghai")
    assert foreign.describe_virtual_nodes(here).body.total_count == 0
    assert describe(running, region_id="cn-beijing").total_count == 0
    assert describe(running).total_count == 1


def test_regions_are_plain_lists(emulator: Any) -> None:
    """DescribeRegions of ECI has no inner Region key."""
    regions = emulator.sdk().describe_regions(models.DescribeRegionsRequest()).body.regions
    assert "cn-shanghai" in [region.region_id for region in regions]
    assert all(region.zones for region in regions)


@pytest.mark.parametrize(
    ("name", "field", "is_wrong"),
    [
        ("placed-in-other-security-group", "virtual_node_security_group_id", True),
        ("placed-in-third-vswitch", "virtual_node_vswitch_id", True),
        ("placed-in-other-resource-group", "resource_group_id", True),
        ("heartbeat-stops", "virtual_node_vswitch_id", False),
    ],
)
def test_placement_defects_change_one_thing(emulator: Any, name: str, field: str, is_wrong: bool) -> None:
    """A defective twin differs from a sound VNode in the field its defect names."""
    sound, twin = one(emulator, create(emulator)), one(emulator, create(emulator, tag=defect(name)))
    assert (getattr(sound, field) != getattr(twin, field)) is is_wrong


def test_what_the_fleet_must_do_is_handed_to_it(emulator: Any) -> None:
    """API defects stay here, the others go with the order."""
    found = create(emulator, tag=defect("wrong-type-label,tag-lost,api-says-ready-without-node"))
    assert emulator.fleet.orders[found].defects == {"wrong-type-label", "vnode-never-registers"}
    assert {tag.key for tag in one(emulator, found).tags} == {"vnode-suite:defect", "b"}


def test_the_options_of_another_request_are_wrong_all_at_once(emulator: Any) -> None:
    """A tag and a taint are missing, and the resource group is another."""
    sound, found = one(emulator, create(emulator)), create(emulator, tag=defect("options-of-another-request"))
    twin = one(emulator, found)
    assert sound.resource_group_id != twin.resource_group_id
    assert {tag.key for tag in twin.tags} == {"vnode-suite:defect", "b"}
    assert emulator.fleet.orders[found].defects == {"user-taint-missing"}


def test_defects_of_address_events_and_status(emulator: Any) -> None:
    """Another address than the Node's, no events, Ready without a Node."""
    sound = one(emulator, create(emulator))
    twin = create(emulator, tag=defect("internal-ip-mismatch,events-empty"))
    assert one(emulator, twin).events == []
    assert sound.events
    reported = f"10.0.0.{len(emulator.fleet.orders) % 250 + 1}"
    assert one(emulator, twin).intranet_ip not in ("", reported)
    emulator.fleet.becomes_ready = False
    assert one(emulator, create(emulator)).status == "Pending"
    assert one(emulator, create(emulator, tag=defect("api-says-ready-without-node"))).status == "Ready"


def test_reports_of_a_vnode_become_status_and_events(emulator: Any) -> None:
    """Equal events are counted, an unexpected end is a failure."""
    from vnode_suite.simulated.interface import VNodeReport

    emulator.fleet.becomes_ready = False
    found = create(emulator)
    report = emulator.fleet.reports[found]
    warning = VNodeReport("event", {"type": "Warning", "reason": "FailedConnect", "message": "no route"})
    emulator.on_loop(lambda: (report(warning), report(warning)))
    assert [(e.reason, e.count) for e in one(emulator, found).events] == [
        ("Created", 1),
        ("FailedConnect", 2),
    ]
    emulator.on_loop(lambda: report(VNodeReport("exited", {"code": 3})))
    assert one(emulator, found).status == "Failed"
