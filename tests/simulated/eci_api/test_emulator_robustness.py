"""Malformed input: always the gateway's answer, never a 500, never a hang, never a lost VNode."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vnode_suite.simulated.eci_api.errors import ApiError
from vnode_suite.simulated.eci_api.faults import Fault
from vnode_suite.simulated.eci_api.kubeconfig import decode

#: Longest a single answer may take, in seconds.
HANG = 5.0
NAMES = [
    "RegionId",
    "SecurityGroupId",
    "VSwitchId",
    "KubeConfig",
    "TlsBootstrapEnabled",
    "VirtualNodeName",
    "ZoneId",
    "ResourceGroupId",
    "EipInstanceId",
    "EnablePublicNetwork",
    "ClientToken",
    "ClusterDNS",
    "ClusterDomain",
    "CustomResources",
    "Tag.1.Key",
    "Tag.1.Value",
    "Tag.0.Key",
    "Tag.99.Key",
    "Tag",
    "Tag.1",
    "Tag.x.Key",
    "Taint.1.Key",
    "Taint.1.Effect",
    "VirtualNodeIds",
    "Limit",
    "NextToken",
    "Status",
    "VirtualNodeId",
    "PageSize",
    "PageNumber",
    "MaxResults",
    "ContainerGroupIds",
    "ContainerGroupName",
    "WithEvent",
    "ComputeCategory",
    "Direction",
    "VpcId",
    "SecurityGroupIds",
]
ACTIONS = [
    (action, version)
    for version, actions in {
        "2018-08-08": "CreateVirtualNode DescribeVirtualNodes UpdateVirtualNode DeleteVirtualNode"
        " DescribeContainerGroups DescribeRegions",
        "2016-04-28": "DescribeVpcs DescribeVSwitches",
        "2014-05-26": "DescribeSecurityGroups DescribeSecurityGroupAttribute",
        "2015-04-01": "GetCallerIdentity",
    }.items()
    for action in actions.split()
]
values = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", "0", "-1", "21", "999999999999999999999", "true", "[]", "[[", '["a"]', "null", "{}", "١٢"]
    ),
    st.text(alphabet='[]{}",:1a\x00\n%', max_size=40),
    st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()),
)


@pytest.fixture(scope="module")
def shared(start_shared: Any) -> Any:
    """One emulator with one VNode that must survive everything."""
    running = start_shared()
    body = send(running, "CreateVirtualNode", "2018-08-08", sound(running))
    assert body.status_code == 200
    running.survivor = body.json()["VirtualNodeId"]
    return running


def sound(running: Any) -> dict[str, str]:
    """Parameters that every action takes."""
    ready = running.ready
    return {
        "RegionId": ready["region"],
        "VSwitchId": ready["vswitch_ids"][0],
        "SecurityGroupId": ready["security_group_id"],
    }


def send(running: Any, action: str, version: str, parameters: dict[str, str]) -> requests.Response:
    """A signed ACS3 call with any parameters at all."""
    ready = running.ready
    host = urlsplit(ready["endpoint"]).netloc
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": str(uuid.uuid4()),
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    }
    query = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(parameters.items()))
    signed = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n{query}\n{lines}\n{signed}\n{headers['x-acs-content-sha256']}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(ready["access_key_secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={ready['access_key_id']},SignedHeaders={signed},Signature={signature}"
    )
    return requests.post(f"{ready['endpoint']}/?{query}", headers=headers, timeout=HANG)


def survives(running: Any) -> bool:
    """Whether the VNode made at the start is still listed."""
    wanted = sound(running) | {"VirtualNodeIds": json.dumps([running.survivor])}
    return len(send(running, "DescribeVirtualNodes", "2018-08-08", wanted).json()["VirtualNodes"]) == 1


def is_answer(response: requests.Response) -> bool:
    """A result, or an error of the gateway's form that is the caller's fault."""
    body = response.json()
    return bool(body["RequestId"]) and (
        response.status_code == 200 or (response.status_code < 500 and body["Code"])
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from(ACTIONS),
    parameters=st.dictionaries(
        st.one_of(st.sampled_from(NAMES), st.text(min_size=1, max_size=20)), values, max_size=8
    ),
    with_sound=st.booleans(),
)
def test_signed_nonsense_is_the_callers_fault(
    shared: Any, action: tuple[str, str], parameters: dict[str, str], with_sound: bool
) -> None:
    """Rightly signed calls with any parameters at all; the VNode that exists stays."""
    given_values = {k: v for k, v in parameters.items() if v != shared.survivor}
    assert is_answer(send(shared, *action, (sound(shared) if with_sound else {}) | given_values))
    assert survives(shared)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]),
    path=st.sampled_from(["/", "/x", "//", "/%00", "/?", "/../"]),
    query=st.text(max_size=80).map(lambda text: quote(text, safe="&=+%/;?:@!$'()*,[]")),
    headers=st.dictionaries(
        st.sampled_from(
            ["Authorization", "x-acs-action", "x-acs-version", "x-acs-date", "Content-Type", "Host"]
        ),
        st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
        max_size=6,
    ),
    body=st.binary(max_size=200),
)
def test_unsigned_nonsense_is_the_callers_fault(
    shared: Any, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    """Raw bytes on the wire: an answer within the time, and it is a 4xx."""
    url = urlsplit(shared.ready["endpoint"])
    lines = [f"{method} {path}?{query} HTTP/1.1"]
    lines += [f"{k}: {v}" for k, v in ({"Host": "eci"} | headers).items()]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""])
    with socket.create_connection((url.hostname, url.port), HANG) as link:
        link.sendall(head.encode("latin-1") + body)
        answer = b""
        while chunk := link.recv(65536):
            answer += chunk
    assert 400 <= int(answer.split(b" ", 2)[1]) < 500, answer[:300]


@settings(max_examples=150, deadline=2000)
@given(
    st.one_of(
        st.binary(max_size=300), st.text(alphabet="[]{}:-\n %abclustersue", max_size=300).map(str.encode)
    )
)
def test_any_kubeconfig_is_decoded_or_refused(raw: bytes) -> None:
    """Nothing else happens, whatever the bytes."""
    refused: ApiError | None = None
    text = ""
    try:
        text = decode(base64.b64encode(raw).decode())
    except ApiError as error:
        refused = error
    assert refused.code == "InvalidParameter" if refused else "clusters" in text


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "{a: ", "&a [", "!!x ["])
def test_deep_nesting_does_not_end_the_process(opening: str) -> None:
    """200,000 levels: composing such YAML in C overflows the stack and kills the process."""
    with pytest.raises(ApiError):
        decode(base64.b64encode((opening * (400_000 // len(opening))).encode()).decode())


def test_a_body_past_the_limit_is_refused(shared: Any) -> None:
    """5 MiB of form: an answer, not a crash (the limit is 4 MiB)."""
    data = b"KubeConfig=" + b"x" * (5 * 1024 * 1024)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(shared.ready["endpoint"], data=data, headers=headers, timeout=HANG)
    assert (answer.status_code, answer.json()["Code"]) == (413, "RequestEntityTooLarge")
    assert survives(shared)


def test_a_break_inside_is_told_as_the_services_own(shared: Any) -> None:
    """A bug of the emulator has the gateway's 500, and does not end it."""
    gateway = shared.emulator.gateway

    def broken(_: str) -> Fault | None:
        raise ZeroDivisionError

    sound_way, gateway.faults.next_for = gateway.faults.next_for, broken
    try:
        answer = send(shared, "DescribeRegions", "2018-08-08", {})
    finally:
        gateway.faults.next_for = sound_way
    assert (answer.status_code, answer.json()["Code"]) == (500, "InternalError")
    assert survives(shared)
