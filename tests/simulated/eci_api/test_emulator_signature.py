"""Signatures: what the official SDK sends is accepted, everything else gets the gateway's documented code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import alibabacloud_eci20180808.models as models
import pytest
import requests
from alibabacloud_credentials import models as credential_models
from alibabacloud_credentials.client import Client as CredentialClient
from alibabacloud_tea_openapi.client import Client as CoreSdk
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions

STS = {
    "access_key_id": "STS.temporary",
    "access_key_secret": "temporary-secret",
    "security_token": "token+with/special=chars",
}


@pytest.fixture(scope="module")
def shared(start_shared: Any) -> Any:
    """One emulator for the tests of this module; they do not change what it holds."""
    return start_shared(
        credentials=[
            STS,
            {"access_key_id": "disabled", "access_key_secret": "x", "active": False},
            {"access_key_id": "restricted", "access_key_secret": "y", "denied": ["eci:Create*"]},
        ]
    )


def rpc_call(
    running: Any,
    method: str = "GET",
    *,
    in_body: bool = False,
    change: Mapping[str, str | None] | None = None,
    secret: str | None = None,
    path: str = "/",
) -> requests.Response:
    """A classic RPC call made by hand; ``change`` alters (or with None removes) parameters before signing."""
    parameters = {
        "Action": "DescribeVirtualNodes",
        "Version": "2018-08-08",
        "Format": "JSON",
        "RegionId": running.ready["region"],
        "AccessKeyId": running.ready["access_key_id"],
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Tag.1.Key": "with space & sign~*",
        "Tag.10.Key": "ümlaut",
    }
    for name, value in (change or {}).items():
        parameters.pop(name, None)
        if value is not None:
            parameters[name] = value
    canonical = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(parameters.items()))
    text = f"{method}&%2F&{quote(canonical, safe='~')}"
    key = (secret or running.ready["access_key_secret"]) + "&"
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()
    parameters.setdefault("Signature", base64.b64encode(digest).decode())
    url = running.ready["endpoint"] + path
    if in_body:
        return requests.request(method, url, data=parameters, timeout=30)
    return requests.request(method, f"{url}?{urlencode(parameters)}", timeout=30)


@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_the_sdk_is_accepted_with_both_algorithms(shared: Any, algorithm: str | None) -> None:
    """ACS3-HMAC-SHA256 (the default) and classic HMAC-SHA1, with values that need quoting and ten tags."""
    sdk = shared.sdk(signature_algorithm=algorithm)
    tags = [models.DescribeVirtualNodesRequestTag(key=f"k {n}", value="a+b/c=~*ü") for n in range(12)]
    request = models.DescribeVirtualNodesRequest(region_id=shared.ready["region"], tag=tags)
    assert sdk.describe_virtual_nodes(request).body.virtual_nodes == []


@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_a_security_token_is_accepted_and_required(shared: Any, algorithm: str | None) -> None:
    """A temporary key works with its token; without it, or with another, it is refused."""
    request = models.DescribeRegionsRequest()

    def call(token: str | None) -> Any:
        config = credential_models.Config(
            type="sts" if token else "access_key", **(STS | {"security_token": token})
        )
        sdk = shared.sdk(
            access_key_id=None,
            access_key_secret=None,
            credential=CredentialClient(config),
            signature_algorithm=algorithm,
        )
        return sdk.describe_regions(request)

    assert call(STS["security_token"]).body.regions
    with pytest.raises(Exception, match="malformed") as without:
        call(None)
    assert without.value.code == "InvalidSecurityToken.Malformed"  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="mismatch") as other:
        call("another")
    assert other.value.code == "InvalidSecurityToken.MismatchWithAccessKey"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("method", "in_body"), [("GET", False), ("POST", False), ("POST", True)])
def test_rpc_parameters_may_be_in_the_query_or_a_form(shared: Any, method: str, in_body: bool) -> None:
    """Classic RPC in its three shapes."""
    answer = rpc_call(shared, method, in_body=in_body)
    assert (answer.status_code, answer.json()["TotalCount"]) == (200, 0)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"Signature": "AAAA"}, 400, "SignatureDoesNotMatch"),
        ({"AccessKeyId": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"AccessKeyId": "disabled"}, 400, "InvalidAccessKeyId.Inactive"),
        ({"Timestamp": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2020-01-01T00:00:00Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"Action": "DescribeNothing"}, 404, "InvalidApi.NotFound"),
        ({"Version": "2018-08-09"}, 404, "InvalidApi.NotFound"),
        ({"Action": None}, 400, "MissingAction"),
        ({"Version": None}, 400, "MissingVersion"),
        ({"SignatureNonce": None}, 400, "MissingSignatureNonce"),
        ({"AccessKeyId": None}, 400, "MissingAccessKeyId"),
        ({"SignatureMethod": "HMAC-MD5"}, 400, "IncompleteSignature"),
        ({"RegionId": None}, 400, "MissingRegionId"),
        ({"RegionId": "cn-nowhere"}, 404, "InvalidRegionId.NotFound"),
    ],
)
def test_a_wrong_call_gets_the_documented_code(
    shared: Any, change: dict[str, str | None], status: int, code: str
) -> None:
    """Each wrong with its code, in the gateway's body and with its headers."""
    answer = rpc_call(shared, change=change)
    body = answer.json()
    assert (answer.status_code, body["Code"]) == (status, code)
    assert {"RequestId", "HostId", "Code", "Message", "Recommend"} <= body.keys()
    assert answer.headers["x-acs-request-id"] == body["RequestId"]


def test_a_wrong_secret_does_not_match(shared: Any) -> None:
    """The secret is what signs."""
    assert rpc_call(shared, secret="other").json()["Code"] == "SignatureDoesNotMatch"
    with pytest.raises(Exception, match="not matched") as wrong:
        shared.sdk(access_key_secret="other").describe_regions(models.DescribeRegionsRequest())
    assert wrong.value.code == "SignatureDoesNotMatch"  # type: ignore[attr-defined]


def test_a_nonce_works_once(shared: Any) -> None:
    """A replayed request is refused even though its signature is right."""
    nonce = {"SignatureNonce": str(uuid.uuid4())}
    assert rpc_call(shared, change=nonce).status_code == 200
    assert rpc_call(shared, change=nonce).json()["Code"] == "SignatureNonceUsed"


@pytest.mark.parametrize(("minutes", "code"), [(-14, None), (14, None), (-16, "Expired"), (16, "Expired")])
def test_the_clock_window_is_fifteen_minutes(shared: Any, minutes: int, code: str | None) -> None:
    """Dates up to 15 minutes off, in both directions, are taken."""
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = rpc_call(shared, change={"Timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert answer.json().get("Code") == (code and f"InvalidTimeStamp.{code}")


def test_other_paths_and_methods_are_no_api(shared: Any) -> None:
    """The API has one path and two methods."""
    assert rpc_call(shared, path="/v1/nodes").json()["Code"] == "InvalidApi.NotFound"
    assert rpc_call(shared, "DELETE").json()["Code"] == "UnsupportedHTTPMethod"


@pytest.mark.parametrize("dropped", ["x-acs-date", "x-acs-signature-nonce", "host", "x-acs-content-sha256"])
def test_headers_that_matter_must_be_signed(shared: Any, dropped: str) -> None:
    """A request whose date, nonce, host or payload hash is not signed could be replayed with another one."""
    signed = [
        "host",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
    ]
    signed.remove(dropped)
    headers = {
        "x-acs-action": "DescribeRegions",
        "x-acs-version": "2018-08-08",
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": str(uuid.uuid4()),
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "Authorization": "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature=00".format(
            shared.ready["access_key_id"], ";".join(signed)
        ),
    }
    body = requests.post(shared.ready["endpoint"], headers=headers, timeout=30).json()
    assert (body["Code"], dropped in body["Message"]) == ("IncompleteSignature", True)


def test_ram_refuses_what_is_denied(shared: Any) -> None:
    """The refusal names the RAM action in AccessDeniedDetail."""
    sdk = shared.sdk(access_key_id="restricted", access_key_secret="y")
    with pytest.raises(Exception, match="not authorized") as refused:
        sdk.create_virtual_node(models.CreateVirtualNodeRequest(region_id="cn-shanghai"))
    error: Any = refused.value
    assert (error.code, error.status_code) == ("NoPermission", 403)
    assert error.data["AccessDeniedDetail"]["AuthAction"] == "eci:CreateVirtualNode"
    assert sdk.describe_regions(models.DescribeRegionsRequest()).body.regions


def test_acs3_takes_a_form_body(shared: Any) -> None:
    """Parameters in a form are covered by the payload's hash, and read like those of the query."""
    client = CoreSdk(shared.sdk_config())
    client._endpoint = shared.ready["endpoint"].partition("://")[2]
    params = Params(
        action="DescribeVirtualNodes",
        version="2018-08-08",
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    body = {"RegionId": shared.ready["region"], "VirtualNodeName": "a b+c/ü"}
    assert client.call_api(params, OpenApiRequest(body=body), RuntimeOptions())["body"]["TotalCount"] == 0
    with pytest.raises(Exception, match="mandatory") as missing:
        client.call_api(params, OpenApiRequest(body={"VirtualNodeName": "x"}), RuntimeOptions())
    assert missing.value.code == "MissingRegionId"  # type: ignore[attr-defined]
