"""Endpoints, the RAM policy, retry rules and error classes: everything that needs no service."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.core.errors import CloudError, SuiteError, UsageError
from vnode_suite.eci import endpoints, errors, proxies, ram_policy
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.retrying import RetryPolicy, may_repeat


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-beijing", "eci.cn-beijing.aliyuncs.com"),
        ("cn-shanghai-finance-1", "eci.cn-shanghai-finance.aliyuncs.com"),
        ("cn-shenzhen-finance-1", "eci.cn-shenzhen-finance.aliyuncs.com"),
    ],
)
def test_the_endpoint_is_the_regions_own(region: str, host: str) -> None:
    """Never the SDK's central default."""
    found = endpoints.live(region)
    assert (found.host("eci"), found.protocol) == (host, "https")


@pytest.mark.parametrize("product", ["vpc", "ecs"])
def test_hosts_of_the_other_products_are_those_of_their_sdks(product: str) -> None:
    """In every region of the table, the one that the official SDK of VPC or of ECS would call."""
    from alibabacloud_tea_openapi.utils_models import Config

    package = {"vpc": "alibabacloud_vpc20160428", "ecs": "alibabacloud_ecs20140526"}[product]
    sdk = importlib.import_module(f"{package}.client").Client
    config = {"access_key_id": "id", "access_key_secret": "secret"}
    theirs = {region: sdk(Config(**config, region_id=region))._endpoint for region in endpoints.regions()}
    assert {region: hosts[product] for region, hosts in endpoints.regions().items()} == theirs


@pytest.mark.parametrize(("typed", "near"), [("cn-shangai", "cn-shanghai"), ("cn_beijing", "cn-beijing")])
def test_a_wrong_region_is_refused_with_near_matches(typed: str, near: str) -> None:
    """One line that names what was probably meant."""
    with pytest.raises(UsageError, match=f"did you mean {near}"):
        endpoints.check_region(typed)


def test_a_region_like_nothing_lists_all() -> None:
    """No near match: every region is named."""
    with pytest.raises(UsageError) as refused:
        endpoints.check_region("mars")
    assert all(region in str(refused.value) for region in endpoints.regions())


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "http://"])
def test_an_endpoint_needs_a_scheme_and_a_host(url: str) -> None:
    """What cannot be called is refused before a call."""
    with pytest.raises(UsageError, match="not an endpoint"):
        endpoints.single(url, "cn-shanghai")


@pytest.mark.parametrize(
    ("host", "environment", "direct"),
    [
        ("127.0.0.1:8080", {}, True),
        ("[::1]:8080", {}, True),
        ("localhost:1", {}, True),
        ("eci.cn-beijing.aliyuncs.com", {}, False),
        ("eci.cn-beijing.aliyuncs.com", {"NO_PROXY": ".aliyuncs.com"}, True),
        ("eci.cn-beijing.aliyuncs.com", {"no_proxy": "example.com"}, False),
        ("10.1.2.3:443", {"no_proxy": "10.0.0.0/8"}, True),
    ],
)
def test_who_is_reached_without_a_proxy(host: str, environment: dict[str, str], direct: bool) -> None:
    """Loopback always, and what NO_PROXY lists."""
    assert proxies.bypasses_proxy(host, environment) is direct


def test_the_policy_is_minimal_and_complete() -> None:
    """Every action of the client is granted; nothing has a wildcard action; a reader may change nothing."""
    whole = ram_policy.policy("cn-beijing", "42")
    actions = [action for row in whole["Statement"] for action in row["Action"]]
    assert len(actions) == len(set(actions)) == len(ram_policy.GRANTS)
    assert not [action for action in actions if "*" in action]
    assert whole["Statement"][0]["Resource"] == ["acs:eci:cn-beijing:42:virtualnode/*"]
    (role,) = [row for row in whole["Statement"] if row["Action"] == ["ram:CreateServiceLinkedRole"]]
    assert role["Condition"] == {"StringEquals": {"ram:ServiceName": ["vnode.eci.aliyuncs.com"]}}
    reading = [a for row in ram_policy.policy(read_only=True)["Statement"] for a in row["Action"]]
    assert all(action.split(":")[1].startswith("Describe") for action in reading)
    assert ram_policy.explanations().keys() == set(actions)


@pytest.mark.parametrize(
    ("error", "is_read", "has_token", "expected"),
    [
        (errors.Throttled("x"), False, False, True),
        (errors.EciTimeout("x"), False, False, False),
        (errors.EciTimeout("x"), False, True, True),
        (errors.EciTimeout("x"), True, False, True),
        (errors.ServiceFailed("x"), False, False, False),
        (errors.ServiceFailed("x"), False, True, True),
        (errors.EciUnreachable("x"), True, False, True),
        (errors.EciUnreachable("x", code="InvalidApi.NotFound"), True, True, False),
        (errors.QuotaExceeded("x"), True, True, False),
        (errors.ParameterRefused("x"), True, True, False),
        (errors.CredentialRefused("x"), True, True, False),
    ],
)
def test_only_what_is_safe_is_repeated(
    error: errors.EciError, is_read: bool, has_token: bool, expected: bool
) -> None:
    """Never a create without a token whose fate is unknown."""
    assert may_repeat(error, is_read=is_read, has_token=has_token) is expected


def test_pauses_grow_with_jitter_up_to_a_limit() -> None:
    """Between half and the whole of a doubling pause."""
    policy = RetryPolicy(first_pause=1, longest_pause=8)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (4, 8), (9, 8)):
        pauses = {policy.pause(attempt, errors.ServiceFailed("x")) for _ in range(50)}
        assert min(pauses) >= most / 2
        assert max(pauses) <= most
        assert len(pauses) > 10


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InternalError", 500, errors.ServiceFailed),
        ("ServiceUnavailable", 503, errors.ServiceFailed),
        ("InvalidParameter.NotFound", 404, errors.NotFound),
        ("InvalidAccessKeyId.NotFound", 404, errors.CredentialRefused),
        ("SomethingNew", 403, errors.PermissionRefused),
        ("SomethingNew", 400, errors.EciError),
        ("VirtualNode.DELETE.FAILED", 400, errors.WrongState),
        ("IncorrectStatus", 400, errors.WrongState),
        ("MissingVSwitchId", 400, errors.ParameterRefused),
        ("Throttling.Api", 400, errors.Throttled),
        ("ServiceNotEnabled", 400, errors.PermissionRefused),
    ],
)
def test_codes_become_classes(code: str, status: int, kind: type[errors.EciError]) -> None:
    """Unknown codes too."""
    found = errors.from_answer("CreateVirtualNode", "eci:CreateVirtualNode", code, status, "text", "id")
    assert type(found) is kind
    assert isinstance(found, SuiteError)


def test_a_wait_makes_any_error_throttling() -> None:
    """The SDKs read it so, whatever the code."""
    found = errors.from_answer("CreateVirtualNode", "", "ServiceUnavailable", 503, "", "", retry_after=0.5)
    assert isinstance(found, errors.Throttled)
    assert found.retry_after == 0.5


def test_no_answer_is_a_cloud_error() -> None:
    """The harness could not do its work; that says nothing about the VNode."""
    assert issubclass(errors.EciTimeout, CloudError)


def test_an_account_matter_is_no_missing_right() -> None:
    """A closed account is not remedied by a RAM policy."""
    found: Any = errors.from_answer(
        "CreateVirtualNode", "eci:CreateVirtualNode", "Forbidden.AccountClosed", 403, "", ""
    )
    assert (type(found), found.ram_action, found.wanted) == (errors.PermissionRefused, "", None)


RESOLVE = """
from vnode_suite.eci.credentials import DefaultChain, resolve
try:
    found = resolve(DefaultChain()).get_credential()
    print(found.type, found.access_key_id, found.security_token)
except Exception as error:
    print(type(error).__name__, error)
"""


def chain(home: Path, **environment: str) -> str:
    """What the default chain finds, in a process of its own: the SDK reads the environment when it is
    imported.

    The instance metadata service, an address outside this machine, is never asked.
    """
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    clean["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", RESOLVE]
    ended = subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_an_empty_chain_says_what_to_set(tmp_path: Path) -> None:
    """No environment, no profile, no instance role: one clear refusal and no traceback."""
    told = chain(tmp_path)
    assert told.startswith("CredentialRefused")
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in told


def test_the_chain_takes_the_environment(tmp_path: Path) -> None:
    """Keys in the environment are found, a token makes them temporary."""
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}
    assert chain(tmp_path, **keys).split()[1:] == ["id", "None"]
    assert chain(tmp_path, **keys, ALIBABA_CLOUD_SECURITY_TOKEN="token").split()[1:] == ["id", "token"]


def test_the_chain_takes_a_profile(tmp_path: Path) -> None:
    """The command-line tool's profile file."""
    (tmp_path / ".aliyun").mkdir()
    profile = {"name": "default", "mode": "AK", "access_key_id": "from-file", "access_key_secret": "s"}
    (tmp_path / ".aliyun" / "config.json").write_text(
        json.dumps({"current": "default", "profiles": [profile]})
    )
    assert chain(tmp_path).split()[1] == "from-file"


def test_a_key_is_not_in_its_repr() -> None:
    """Printing credentials shows no secret."""
    shown = repr(StaticCredentials("id", "hidden-key", "hidden-token"))
    assert "hidden" not in shown
