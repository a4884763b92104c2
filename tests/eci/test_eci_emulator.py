"""The emulator's admin port and ready line, as the suite uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.core.errors import CloudError
from vnode_suite.eci import errors, recording
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.emulator import EmulatorAdmin, EmulatorReady, flatten, pointers
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.retrying import RetryPolicy


@pytest.fixture
def ready(service: Any) -> EmulatorReady:
    """The ready line, typed."""
    return EmulatorReady.parse(json.dumps(service.ready))


@pytest.fixture
def admin(ready: EmulatorReady) -> EmulatorAdmin:
    """The admin port."""
    assert ready.admin is not None
    return ready.admin


def test_faults_and_state(service: Any, client: EciClient, admin: EmulatorAdmin) -> None:
    """A fault is put in force, seen, and taken away."""
    name = admin.add_fault("CreateVirtualNode", "error", code="Account.Arrearage", times=0)
    with pytest.raises(errors.Arrears):
        client.create_virtual_node(service.request())
    (fault,) = admin.state()["faults"]
    assert (fault["id"], fault["fired"]) == (name, 1)
    admin.clear_faults()
    made = client.create_virtual_node(service.request())
    assert admin.purge(made) == [made]
    assert client.describe_virtual_nodes() == []


def test_refusals_are_told(admin: EmulatorAdmin, ready: EmulatorReady) -> None:
    """What the port refuses, and that there is nobody to look without a simulator."""
    with pytest.raises(CloudError, match="kind must be one of"):
        admin.add_fault("CreateVirtualNode", "explode")
    with pytest.raises(CloudError, match="nobody to look"):
        admin.probe(ready.vswitch_ids[0], "lb.example", 6443)
    with pytest.raises(CloudError, match="no DNS"):
        admin.set_dns_record("lb.example", "10.0.0.1")
    with pytest.raises(CloudError, match="token is missing or wrong"):
        EmulatorAdmin(ready.admin_endpoint, "wrong").state()
    with pytest.raises(CloudError, match="does not answer"):
        EmulatorAdmin("http://127.0.0.1:9", "x").state()


def test_scarce_addresses(
    service: Any, client: EciClient, admin: EmulatorAdmin, ready: EmulatorReady
) -> None:
    """A full vSwitch has its own error."""
    admin.set_capacity(ready.vswitch_ids[0], 0)
    with pytest.raises(errors.NoFreeAddress):
        client.create_virtual_node(service.request())
    admin.set_capacity(ready.vswitch_ids[0], 100)


@pytest.mark.parametrize("line", ["", "{}", "[]", "Traceback", '{"endpoint": "http://x"}'])
def test_another_line_is_no_ready_line(line: str) -> None:
    """What a process prints when it fails is not taken for ready."""
    with pytest.raises(CloudError, match="did not get ready"):
        EmulatorReady.parse(line)


def test_no_pointer_and_no_repr_holds_the_secret(ready: EmulatorReady) -> None:
    """How to point clients at it is printed; the secret is not."""
    texts = pointers(ready)
    assert {"python", "go", "javascript", "terraform", "aliyun-cli"} <= texts.keys()
    shown = "\n".join(texts.values()) + repr(ready)
    assert ready.endpoint.partition("://")[2] in shown
    assert ready.access_key_secret not in shown
    assert ready.admin_token not in shown


def test_a_simulated_vnode_follows_a_recording(
    service: Any, admin: EmulatorAdmin, ready: EmulatorReady, tmp_path: Path
) -> None:
    """In a replay the id is the recorded one, and the simulator has a VNode under it until it is deleted."""
    parameters = {
        "RegionId": ready.region,
        "VSwitchId": "vsw-recorded",
        "SecurityGroupId": "sg-recorded",
        "TlsBootstrapEnabled": False,
        "Tag": [{"Key": "run", "Value": "old"}],
    }
    delete = {"RegionId": ready.region, "VirtualNodeId": "vnd-recorded"}
    rows = (
        recording.Exchange("eci", "CreateVirtualNode", parameters, {"VirtualNodeId": "vnd-recorded"}),
        recording.Exchange("eci", "DeleteVirtualNode", delete, {"RequestId": "r"}),
    )
    made = recording.Recording("live", ready.region, "2026-01-01T00:00:00Z", "", {}, rows)
    aliases = {ready.vswitch_ids[0]: "vsw-recorded", ready.security_group_id: "sg-recorded", "new": "old"}
    transport = recording.ReplayTransport(made, aliases, admin.follow)
    client = EciClient(ready.region, transport, RetryPolicy(attempts=1))
    found = client.create_virtual_node(service.request(tags={"run": "new"}))
    assert [(row["VirtualNodeId"], row["Tags"]) for row in service.vnodes()] == [
        (found, [{"Key": "run", "Value": "new"}])
    ]
    client.delete_virtual_node(found)
    assert service.vnodes() == []


def test_structures_are_flattened_as_the_sdk_does() -> None:
    """One-based indexes, nested names."""
    assert flatten({"A": 1, "Tag": [{"Key": "k", "Value": "v"}, {"Key": "l"}], "B": True}) == {
        "A": "1",
        "Tag.1.Key": "k",
        "Tag.1.Value": "v",
        "Tag.2.Key": "l",
        "B": "True",
    }


def test_a_private_ca_is_trusted_when_given(tmp_path: Path) -> None:
    """An emulator with TLS: with its CA the client works, without it says what is wrong."""
    config, authority = tmp_path / "config.json", tmp_path / "ca.pem"
    config.write_text(json.dumps({"simulator": False, "tls": True, "exit_with_stdin": True}))
    command = [sys.executable, "-m", "vnode_suite.simulated", "--config", str(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = EmulatorReady.parse(process.stdout.readline())
        authority.write_text(ready.ca_pem)
        key = StaticCredentials(ready.access_key_id, ready.access_key_secret)
        once = RetryPolicy(attempts=1)
        with pytest.raises(errors.EciUnreachable, match="not trusted"):
            EciClient.connect(single(ready.endpoint, ready.region), key, once).describe_regions()
        trusted = EciClient.connect(single(ready.endpoint, ready.region, str(authority)), key, once)
        assert trusted.describe_regions()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
