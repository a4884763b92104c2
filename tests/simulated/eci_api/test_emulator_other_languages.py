"""The official clients of other languages, unchanged, live a VNode's life on the emulator.

JavaScript: the typed ECI client (ACS3-HMAC-SHA256). Go: the classic core SDK (RPC, HMAC-SHA1, parameters in
the query or in a form). Run where the toolchain is; a package registry is asked once, later runs use the
cache. The ``aliyun`` command is in no registry: it is run where somebody has installed it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import platformdirs
import pytest

CLIENTS = Path(__file__).with_name("clients")
KUBECONFIG = "clusters: [{name: c}]\nusers: [{name: vnode, user: {token: t}}]\n# " + "x" * 6000
#: Seconds for a package manager to fetch and build: the Go SDK's core is large.
BUILD = 420.0


def built(language: str, tool: str, command: list[str], product: str) -> Path:
    """A folder with the client ready to run, kept between runs; skips where it cannot be had."""
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    folder = platformdirs.user_cache_path("vnode-suite") / "test-clients" / language
    shutil.copytree(CLIENTS / language, folder, dirs_exist_ok=True)
    # Built always: the caches of npm and Go make it quick, and the program here may have changed.
    done = subprocess.run(
        [program, *command], cwd=folder, capture_output=True, text=True, timeout=BUILD, check=False
    )
    if done.returncode and not (folder / product).exists():
        pytest.skip(f"{tool} could not fetch the SDK: {done.stderr.strip().splitlines()[-1:]}")
    assert done.returncode == 0, done.stderr
    return folder


def lived(running: Any, folder: Path, command: list[str]) -> dict[str, Any]:
    """What the client says it saw."""
    ready = dict(running.ready) | {"kubeconfig": base64.b64encode(KUBECONFIG.encode()).decode()}
    environment = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"READY": json.dumps(ready)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def check(running: Any, seen: dict[str, Any]) -> None:
    """The client's view and the emulator's are the same."""
    made = seen["made"]
    assert len(set(made)) == 23
    assert (seen["listed"], seen["pages"]) == (made, 3)
    assert (seen["name"], seen["status"], seen["tags"]) == ("node-3", "Ready", 12)
    assert (seen["vswitch"], seen["events"]) == (running.ready["vswitch_ids"][0], ["Created"])
    assert (seen["wrongSecret"], seen["gone"]) == ("SignatureDoesNotMatch", "InvalidParameter.NotFound")
    state = running.emulator.service.state
    left = list(state.scope(running.ready["account_id"], running.ready["region"]))
    assert [node.id for node in left] == made[:4]
    assert (left[3].name, left[0].tags["k 11"]) == ("renamed", "a+b/c=~*ü")
    assert running.fleet.orders[made[0]].kubeconfig == KUBECONFIG
    assert running.fleet.orders[made[0]].tls_bootstrap is True
    assert running.fleet.stopped == made[4:]


@pytest.mark.slow
def test_the_javascript_sdk(emulator: Any) -> None:
    """``@alicloud/eci20180808`` from npm."""
    folder = built(
        "node", "npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], "node_modules/@alicloud"
    )
    check(emulator, lived(emulator, folder, ["node", "life.js"]))


@pytest.mark.slow
def test_the_go_sdk(emulator: Any) -> None:
    """``github.com/aliyun/alibaba-cloud-sdk-go``, which Terraform's provider signs like."""
    folder = built("go", "go", ["build", "-o", "life", "."], "life")
    check(emulator, lived(emulator, folder, ["./life"]))


def test_the_aliyun_command(start: Any) -> None:
    """``aliyun eci``, with nothing but ``--endpoint``: create, pages, find by tag, update, delete, reads."""
    program = shutil.which("aliyun")
    if program is None:
        pytest.skip("the aliyun command is not installed")
    running = start()
    ready = running.ready
    host = ready["endpoint"].partition("://")[2]
    environment = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy")}
    for prefix in ("ALIBABA_CLOUD", "ALIBABACLOUD"):
        environment[f"{prefix}_ACCESS_KEY_ID"] = ready["access_key_id"]
        environment[f"{prefix}_ACCESS_KEY_SECRET"] = ready["access_key_secret"]
        environment[f"{prefix}_REGION_ID"] = ready["region"]

    def aliyun(product: str, action: str, **parameters: str) -> dict[str, Any]:
        words = [f"--{name.replace('_', '.')}={value}" for name, value in parameters.items()]
        done = subprocess.run(
            [
                program,
                product,
                action,
                "--RegionId",
                ready["region"],
                *words,
                "--endpoint",
                host,
                "--insecure",
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    place = {"VSwitchId": ready["vswitch_ids"][0], "SecurityGroupId": ready["security_group_id"]}
    config = base64.b64encode(KUBECONFIG.encode()).decode()
    made = [
        aliyun("eci", "CreateVirtualNode", KubeConfig=config, Tag_1_Key="n", Tag_1_Value=f"{n} +", **place)[
            "VirtualNodeId"
        ]
        for n in range(3)
    ]
    first = aliyun("eci", "DescribeVirtualNodes", Limit="2")
    second = aliyun("eci", "DescribeVirtualNodes", Limit="2", NextToken=first["NextToken"])
    listed = [*first["VirtualNodes"], *second["VirtualNodes"]]
    assert [node["VirtualNodeId"] for node in listed] == made
    (tagged,) = aliyun("eci", "DescribeVirtualNodes", Tag_1_Key="n", Tag_1_Value="1 +")["VirtualNodes"]
    assert (tagged["VirtualNodeId"], tagged["Status"]) == (made[1], "Ready")
    aliyun("eci", "UpdateVirtualNode", VirtualNodeId=made[0], VirtualNodeName="renamed")
    (renamed,) = aliyun("eci", "DescribeVirtualNodes", VirtualNodeName="renamed")["VirtualNodes"]
    assert renamed["VirtualNodeId"] == made[0]
    for name in made:
        aliyun("eci", "DeleteVirtualNode", VirtualNodeId=name)
    assert aliyun("eci", "DescribeVirtualNodes")["TotalCount"] == 0
    assert running.fleet.stopped == made
    switches = aliyun("vpc", "DescribeVSwitches", VSwitchId=ready["vswitch_ids"][0])["VSwitches"]["VSwitch"]
    assert [switch["VpcId"] for switch in switches] == [ready["vpc_id"]]
    group = ready["security_group_id"]
    shown = aliyun("ecs", "DescribeSecurityGroups", SecurityGroupId=group)["SecurityGroups"]["SecurityGroup"]
    assert [each["SecurityGroupType"] for each in shown] == ["enterprise"]
