"""The official SDKs of other languages, unchanged from their registries, live a VNode's life on the emulator.

JavaScript: the typed ECI client (ACS3-HMAC-SHA256). Go: the classic core SDK (RPC, HMAC-SHA1, parameters in
the query or in a form). Run where the toolchain is; a package registry is asked once, later runs use the
cache.
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
