"""The typed client against a real emulator process."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vnode_suite.eci import errors
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.exchange import ApiCall
from vnode_suite.eci.models import CreateRequest, Taint, UpdateRequest, VirtualNode
from vnode_suite.eci.retrying import RetryPolicy

KUBECONFIG = "clusters: [{name: c}]\nusers: [{name: v, user: {token: abcdef.0123456789abcdef}}]\n"


def test_a_vnode_is_made_found_changed_and_deleted(service: Any, client: EciClient) -> None:
    """The whole life of a VNode, every field typed."""
    made = client.create_virtual_node(
        service.request(
            vswitch_ids=tuple(service.ready["vswitch_ids"]),
            kubeconfig=KUBECONFIG,
            tls_bootstrap=True,
            name="a-node",
            tags={"run": "r 1", "note": "a+b=ü"},
            taints=(Taint("k", "v", "NoSchedule"),),
            cluster_dns=("10.0.0.10",),
            cluster_domain="cluster.local",
            custom_resources={"nvidia.com/gpu": "2"},
        )
    )
    node = client.describe_virtual_node(made)
    assert isinstance(node, VirtualNode)
    assert (node.id, node.name, node.region) == (made, "a-node", "cn-shanghai")
    assert node.tags == {"run": "r 1", "note": "a+b=ü"}
    assert (node.vswitch_id, node.security_group_id, node.vpc_id) == (
        service.ready["vswitch_ids"][0],
        service.ready["security_group_id"],
        service.ready["vpc_id"],
    )
    assert node.created is not None
    assert abs((datetime.now(UTC) - node.created).total_seconds()) < 60
    assert (node.events[0].reason, node.events[0].count) == ("Created", 1)
    (kept,) = service.vnodes()
    assert (
        kept["TlsBootstrapEnabled"],
        kept["ClusterDNS"],
        kept["ClusterDomain"],
        kept["CustomResources"],
    ) == (
        True,
        ["10.0.0.10"],
        "cluster.local",
        {"nvidia.com/gpu": "2"},
    )
    assert kept["Taints"] == [{"Key": "k", "Value": "v", "Effect": "NoSchedule"}]
    client.update_virtual_node(UpdateRequest(made, name="renamed", tags={"run": "2"}))
    assert [n.name for n in client.describe_virtual_nodes(tags={"run": "2"})] == ["renamed"]
    client.delete_virtual_node(made)
    assert client.describe_virtual_node(made) is None


def test_lists_of_any_length_are_paged(service: Any, client: EciClient) -> None:
    """45 VNodes: by pages, by ids in chunks of 20, and by name."""
    made = [client.create_virtual_node(service.request(name=f"node-{n % 2}")) for n in range(45)]
    assert [node.id for node in client.describe_virtual_nodes()] == made
    assert {node.id for node in client.describe_virtual_nodes(made[::-1])} == set(made)
    assert [node.id for node in client.describe_virtual_nodes(name="node-1")] == made[1::2]
    calls = client.statistics.calls
    assert next(client.iter_virtual_nodes()).id == made[0]
    assert client.statistics.calls == calls + 1


def test_regions_and_the_caller_are_read(service: Any, client: EciClient) -> None:
    """What live mode shows before it creates anything."""
    assert service.ready["region"] in [region.id for region in client.describe_regions()]
    assert client.caller().account_id == service.ready["account_id"]


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("error", {"code": "ServiceUnavailable"}),
        ("error", {"code": "InternalError"}),
        ("error-after", {"code": "ServiceUnavailable"}),
        ("throttle", {}),
        ("throttle", {"code": "Throttling.Api", "retry_after": 100}),
        ("throttle", {"code": "Throttling", "times": 3}),
        ("timeout-before", {"seconds": 1}),
        ("timeout-after", {"seconds": 1}),
        ("reset-before", {}),
        ("reset-after", {"times": 2}),
        ("malformed", {}),
        ("html", {"status": 502}),
        ("slow", {"seconds": 0.2}),
    ],
)
def test_create_survives_what_a_client_can_survive(service: Any, kind: str, rest: dict[str, Any]) -> None:
    """Whether or not the effect took place: exactly one VNode, and its id is known."""
    client = service.client()
    service.fault("CreateVirtualNode", kind, **rest)
    made = client.create_virtual_node(service.request())
    assert [node["VirtualNodeId"] for node in service.vnodes()] == [made]
    if kind != "slow":
        assert client.statistics.retries == rest.get("times", 1)


@pytest.mark.parametrize(
    ("first", "then", "unknown"),
    [
        ({"kind": "reset-after"}, {"kind": "throttle"}, True),
        ({"kind": "error", "code": "InternalError"}, {"kind": "error", "code": "QuotaExceeded"}, True),
        ({"kind": "throttle"}, {"kind": "error", "code": "QuotaExceeded"}, False),
        ({"kind": "throttle"}, {"kind": "throttle"}, False),
    ],
)
def test_an_error_says_whether_something_may_have_been_bought(
    service: Any, first: dict[str, str], then: dict[str, str], unknown: bool
) -> None:
    """What refuses the last attempt says nothing of an earlier one whose answer was lost."""
    client = service.client(policy=RetryPolicy(deadline=10, attempts=3, first_pause=0.01, longest_pause=0.05))
    for fault in (first, then, then):
        service.fault("CreateVirtualNode", **fault)
    with pytest.raises(errors.EciError) as refused:
        client.create_virtual_node(service.request())
    assert refused.value.effect_unknown is unknown
    assert bool(service.vnodes()) is (first["kind"] == "reset-after")


@pytest.mark.parametrize("kind", ["timeout-after", "reset-after", "error-after", "malformed", "throttle"])
def test_delete_survives_them_too(service: Any, client: EciClient, kind: str) -> None:
    """A repetition of a delete that took effect is no error."""
    made = client.create_virtual_node(service.request())
    service.fault("DeleteVirtualNode", kind, seconds=1, code="InternalError" if "error" in kind else "")
    client.delete_virtual_node(made)
    assert service.vnodes() == []


def test_a_repeated_delete_that_finds_nothing_had_worked(service: Any) -> None:
    """Where the service does not know the token any more, NotFound after a repetition means done."""
    answers: list[Any] = [errors.EciTimeout("late"), errors.NotFound("gone")]

    class Forgetful:
        def send(self, call: ApiCall, timeout: float) -> dict[str, Any]:
            raise answers.pop(0)

    quick = RetryPolicy(first_pause=0.001)
    EciClient("cn-shanghai", Forgetful(), quick).delete_virtual_node("vnd-x")
    answers.append(errors.NotFound("never there"))
    with pytest.raises(errors.NotFound):
        EciClient("cn-shanghai", Forgetful(), quick).delete_virtual_node("vnd-x")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("QuotaExceeded", errors.QuotaExceeded),
        ("OperationDenied.NoStock", errors.OutOfStock),
        ("Zone.NotOnSale", errors.OutOfStock),
        ("InvalidVSwitchId.IpNotEnough", errors.NoFreeAddress),
        ("Account.Arrearage", errors.Arrears),
        ("InvalidPaymentMethod.InsufficientBalance", errors.Arrears),
        ("NoPermission", errors.PermissionRefused),
        ("Forbidden.SubUser", errors.PermissionRefused),
        ("CreateServiceLinkedRole.Denied", errors.PermissionRefused),
        ("OperationDenied.SecurityGroupMisMatch", errors.ParameterRefused),
        ("OperationDenied.VswZoneMisMatch", errors.ParameterRefused),
        ("SignatureDoesNotMatch", errors.CredentialRefused),
        ("InvalidTimeStamp.Expired", errors.CredentialRefused),
    ],
)
def test_what_cannot_be_survived_is_told_apart(service: Any, code: str, kind: type[errors.EciError]) -> None:
    """Each code has its class and a remedy, is not retried, and leaves nothing behind."""
    client = service.client()
    service.fault("CreateVirtualNode", "error", code=code, times=0)
    with pytest.raises(errors.EciError) as raised:
        client.create_virtual_node(service.request())
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.action) == (code, "CreateVirtualNode")
    assert error.remedy
    assert error.request_id
    assert (client.statistics.retries, service.vnodes()) == (0, [])


def test_throttling_that_does_not_end_is_given_up_at_the_deadline(service: Any) -> None:
    """The deadline bounds attempts and pauses together."""
    client = service.client(
        policy=RetryPolicy(deadline=0.8, attempts=100, first_pause=0.1, longest_pause=0.1)
    )
    service.fault("CreateVirtualNode", "throttle", times=0)
    with pytest.raises(errors.Throttled):
        client.create_virtual_node(service.request())
    assert 0 < client.statistics.retries < 99


def test_the_services_own_wait_wins(service: Any) -> None:
    """x-acs-retry-after is in milliseconds; a wait past the deadline is not begun."""
    client = service.client(policy=RetryPolicy(deadline=5, first_pause=0.001, longest_pause=0.001))
    service.fault("DescribeVirtualNodes", "throttle", retry_after=400)
    started = time.monotonic()
    client.describe_virtual_nodes()
    assert time.monotonic() - started >= 0.4
    service.fault("DescribeVirtualNodes", "throttle", retry_after=60_000)
    with pytest.raises(errors.Throttled) as raised:
        client.describe_virtual_nodes()
    assert raised.value.retry_after == 60


def test_reads_are_kept_apart_whoever_asks() -> None:
    """Six reads of three threads take at least five pauses; a change waits for none."""
    sent: list[float] = []

    class Instant:
        def send(self, call: ApiCall, timeout: float) -> dict[str, Any]:
            sent.append(time.monotonic())
            return {}

    client = EciClient("cn-shanghai", Instant(), reads_apart=0.05)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: client.describe_virtual_nodes(), range(6)))
    assert max(sent) - min(sent) >= 5 * 0.05 * 0.9
    slow = EciClient("cn-shanghai", Instant(), reads_apart=60)
    slow.describe_virtual_nodes()
    slow.delete_virtual_node("vnd-x")
    assert sent[-1] - sent[-2] < 30


def test_a_closed_client_does_not_wait(service: Any) -> None:
    """close() ends a pause at once, and nothing is tried after it."""
    client = service.client(policy=RetryPolicy(deadline=60, first_pause=30, longest_pause=30))
    service.fault("DescribeVirtualNodes", "throttle", times=0)
    client.close()
    started = time.monotonic()
    with pytest.raises(errors.Throttled):
        client.describe_virtual_nodes()
    assert client.statistics.retries == 1
    assert time.monotonic() - started < 15


def test_a_refused_permission_names_the_ram_action(service: Any) -> None:
    """Also where another product's read is refused."""
    client = service.client(key=("restricted", "y"))
    with pytest.raises(errors.PermissionRefused) as refused:
        client.create_virtual_node(service.request())
    assert refused.value.ram_action == "eci:CreateVirtualNode"
    assert "eci:CreateVirtualNode" in str(refused.value)
    with pytest.raises(errors.PermissionRefused) as refused:
        client.send("vpc", "DescribeVpcs", {"RegionId": "cn-shanghai"})
    assert refused.value.ram_action == "vpc:DescribeVpcs"


def test_each_missing_parameter_is_refused(service: Any, client: EciClient) -> None:
    """What the API requires; KubeConfig is not among it."""
    for name in ("vswitch_ids", "security_group_id"):
        with pytest.raises(errors.ParameterRefused, match="Missing"):
            client.create_virtual_node(replace(service.request(), **{name: ()}))


def test_another_request_under_the_same_token_is_refused(service: Any, client: EciClient) -> None:
    """Idempotency is the caller's too, when it gives the token."""
    first = client.create_virtual_node(service.request(client_token="mine"))
    assert client.create_virtual_node(service.request(client_token="mine")) == first
    with pytest.raises(errors.IdempotencyMismatch):
        client.create_virtual_node(service.request(client_token="mine", name="other"))


def test_an_instance_that_was_left_is_found(service: Any, client: EciClient) -> None:
    """By its id, also among ids that do not exist; purged it is gone."""
    made = client.create_virtual_node(service.request(tags={"vnode-suite:defect": "instance-left"}))
    client.delete_virtual_node(made)
    (left,) = service.admin("GET", "/state")["instances"]
    ids = [*(f"eci-{n}" for n in range(25)), left["id"]]
    (found,) = client.describe_container_groups(ids)
    assert (found.id, found.status, found.vswitch_id) == (
        left["id"],
        "Running",
        service.ready["vswitch_ids"][0],
    )
    service.admin("POST", "/purge", {})
    assert client.describe_container_groups(ids) == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_variable_does_not_break_loopback(
    service: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The SDK alone would send 127.0.0.1 through the proxy."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert service.client().describe_virtual_nodes() == []


def unreachable(port: int) -> EciClient:
    """A client of a port where nobody listens."""
    policy = RetryPolicy(deadline=1, attempts=1)
    return EciClient.connect(
        single(f"http://127.0.0.1:{port}", "cn-shanghai"), StaticCredentials("id", "top-secret"), policy
    )


def test_no_error_quotes_a_secret(service: Any) -> None:
    """The SDK's own texts quote the URL, where the kubeconfig travels."""
    request = CreateRequest(("vsw-1",), "sg-1", kubeconfig=KUBECONFIG)
    with pytest.raises(errors.EciUnreachable) as raised:
        unreachable(9).create_virtual_node(request)
    shown = f"{raised.value} {raised.value!r} {raised.value.__cause__} {request!r}"
    encoded = request.to_wire()["KubeConfig"]
    for secret in ("top-secret", "0123456789abcdef", encoded[:30], "KubeConfig="):
        assert secret not in shown
    assert "connection refused" in str(raised.value)
    assert raised.value.__suppress_context__
