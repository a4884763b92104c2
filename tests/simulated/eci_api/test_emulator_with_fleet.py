"""The emulator with real simulated VNodes: an order becomes a process whose troubles come back as events."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import alibabacloud_eci20180808.models as models
import pytest
import requests
from alibabacloud_eci20180808.client import Client as EciSdk
from alibabacloud_tea_openapi.utils_models import Config as SdkConfig

pytestmark = pytest.mark.netns
#: Longest wait for something the simulated side does, in seconds (a busy machine with two cores).
DEADLINE = 20.0


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """An emulator process with its simulator, in whatever network this machine allows."""
    file = tmp_path_factory.mktemp("fleet") / "config.json"
    file.write_text(
        json.dumps(
            {
                "run_id": f"t{os.getpid() % 100000}",
                "region": "cn-shanghai",
                "admin": True,
                "exit_with_stdin": True,
                "timing": {"client_timeout": 1.0, "heartbeat": 1.0, "retry": 0.2},
            }
        )
    )
    command = [sys.executable, "-m", "vnode_suite.simulated", "--config", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip("this machine lets nobody make the network")
        yield dict(json.loads(line))
        process.stdin.close()
        assert process.wait(20) == 0


def sdk(ready: dict[str, Any]) -> EciSdk:
    """The official SDK."""
    host = ready["endpoint"].partition("://")[2]
    keys = {name: ready[name] for name in ("access_key_id", "access_key_secret")}
    return EciSdk(SdkConfig(**keys, endpoint=host, protocol="http"))


def create(ready: dict[str, Any], server: str, defect: str = "") -> str:
    """A VNode that is to join a server."""
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "vnode"}}],
        "current-context": "x",
        "users": [{"name": "vnode", "user": {"token": "t"}}],
    }
    request = models.CreateVirtualNodeRequest(
        region_id=ready["region"],
        v_switch_id=ready["vswitch_ids"][1],
        security_group_id=ready["security_group_id"],
        kube_config=base64.b64encode(json.dumps(kubeconfig).encode()).decode(),
        tag=[models.CreateVirtualNodeRequestTag(key="vnode-suite:defect", value=defect)] if defect else None,
    )
    return str(sdk(ready).create_virtual_node(request).body.virtual_node_id)


def node(ready: dict[str, Any], virtual_node_id: str) -> Any:
    """The VNode as the API shows it."""
    request = models.DescribeVirtualNodesRequest(
        region_id=ready["region"], virtual_node_ids=json.dumps([virtual_node_id])
    )
    return sdk(ready).describe_virtual_nodes(request).body.virtual_nodes[0]


def until(ready: dict[str, Any], virtual_node_id: str, holds: Callable[[Any], bool]) -> Any:
    """The VNode once something holds of it; the API has no watch."""
    ends, pause = time.monotonic() + DEADLINE, threading.Event()
    while not holds(found := node(ready, virtual_node_id)):
        assert time.monotonic() < ends, found
        pause.wait(0.1)
    return found


def delete(ready: dict[str, Any], virtual_node_id: str) -> None:
    """DeleteVirtualNode."""
    sdk(ready).delete_virtual_node(
        models.DeleteVirtualNodeRequest(region_id=ready["region"], virtual_node_id=virtual_node_id)
    )


def test_a_refused_connection_comes_back_as_an_event(ready: dict[str, Any]) -> None:
    """Nobody listens where the kubeconfig points: Pending, an address in its vSwitch, and the event says
    why.
    """
    made = create(ready, f"https://{ready['host_address']}:1")
    found = until(ready, made, lambda shown: any("refused" in event.message for event in shown.events))
    assert found.status == "Pending"
    prefix = ready["vswitches"][1]["cidr"].rsplit(".", 1)[0]
    assert ready["network"] == "loopback" or found.intranet_ip.startswith(prefix)
    delete(ready, made)


def test_a_name_the_vpc_does_not_know(ready: dict[str, Any]) -> None:
    """The event is in the published words; with the record in the VPC's DNS the trouble is another one."""
    made = create(ready, "https://lb.kubesphere.local:1")
    found = until(ready, made, lambda shown: any("no such host" in event.message for event in shown.events))
    (event,) = [each for each in found.events if "no such host" in each.message]
    assert "failed to get kubernetes server version" in event.message
    assert "lookup lb.kubesphere.local" in event.message
    admin = ready["admin"]
    answer = requests.post(
        f"{admin['endpoint']}/dns-records",
        json={"name": "lb.kubesphere.local", "address": ready["host_address"]},
        headers={"Authorization": f"Bearer {admin['token']}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    until(ready, made, lambda shown: any("refused" in event.message for event in shown.events))
    delete(ready, made)


def test_a_probe_looks_from_inside(ready: dict[str, Any]) -> None:
    """An instance of that vSwitch finds nobody on port 1 of the control plane's address."""
    admin = ready["admin"]
    answer = requests.post(
        f"{admin['endpoint']}/probe",
        json={"vswitch_id": ready["vswitch_ids"][0], "host": ready["host_address"], "port": 1},
        headers={"Authorization": f"Bearer {admin['token']}"},
        timeout=20,
    ).json()
    assert (answer["connected"], answer["error_kind"]) == (False, "refused")


def test_a_machine_of_the_vpc_is_had_through_the_admin_port(ready: dict[str, Any]) -> None:
    """Its address lies in the VPC and in no vSwitch; without namespaces it is refused with the reason."""
    admin = ready["admin"]
    headers = {"Authorization": f"Bearer {admin['token']}"}
    answer = requests.post(f"{admin['endpoint']}/hosts", json={}, headers=headers, timeout=60)
    if ready["network"] == "loopback":
        assert (answer.status_code, "needs a namespace" in answer.text) == (409, True)
        return
    made = answer.json()
    address = ip_address(made["address"])
    assert address in ip_network(ready["vpc_cidr"])
    assert not any(address in ip_network(vswitch["cidr"]) for vswitch in ready["vswitches"])
    assert Path(f"/proc/{made['pid']}/ns/net").exists()
