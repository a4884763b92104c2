"""The emulator as a process: ready line, ends, configuration, restart, TLS."""

from __future__ import annotations

import base64
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alibabacloud_eci20180808.models as models
import pytest
from alibabacloud_eci20180808.client import Client as EciSdk
from alibabacloud_tea_openapi.utils_models import Config as SdkConfig

COMMAND = [sys.executable, "-m", "vnode_suite.simulated"]
KUBECONFIG = "clusters: [{name: c}]\nusers: [{name: vnode, user: {token: hidden-token}}]\n"


@contextmanager
def process(folder: Path, **config: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A running emulator without a simulator, and its ready line."""
    file = folder / "config.json"
    file.write_text(json.dumps({"simulator": False, "region": "cn-beijing"} | config))
    with subprocess.Popen(
        [*COMMAND, "--config", str(file), "--log-level", "DEBUG"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def sdk(ready: dict[str, Any], **options: Any) -> EciSdk:
    """The official SDK pointed at the ready line."""
    scheme, _, host = ready["endpoint"].partition("://")
    keys = {name: ready[name] for name in ("access_key_id", "access_key_secret")}
    return EciSdk(SdkConfig(**keys, endpoint=host, protocol=scheme, **options))


def create(ready: dict[str, Any], **options: Any) -> str:
    """A VNode under the token ``t``."""
    request = models.CreateVirtualNodeRequest(
        region_id=ready["region"],
        v_switch_id=ready["vswitch_ids"][0],
        security_group_id=ready["security_group_id"],
        kube_config=base64.b64encode(KUBECONFIG.encode()).decode(),
        client_token="t",
    )
    return str(sdk(ready, **options).create_virtual_node(request).body.virtual_node_id)


def listed(ready: dict[str, Any]) -> list[Any]:
    """Every VNode."""
    request = models.DescribeVirtualNodesRequest(region_id=ready["region"])
    return list(sdk(ready).describe_virtual_nodes(request).body.virtual_nodes)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "stdin"])
def test_it_ends_orderly_however_it_is_told(tmp_path: Path, end: str) -> None:
    """Exit status 0, the port closed, nothing secret in what it logged."""
    with process(tmp_path, exit_with_stdin=True) as (running, ready):
        create(ready)
        assert running.stdin is not None
        if end == "stdin":
            running.stdin.close()
            running.stdin = None
        else:
            running.send_signal(signal.Signals[end])
        _, log = running.communicate(timeout=30)
        assert running.returncode == 0
    host, _, port = ready["endpoint"].removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)
    assert "CreateVirtualNode" in log
    for secret in (
        "hidden-token",
        base64.b64encode(KUBECONFIG.encode()).decode()[:40],
        ready["access_key_secret"],
    ):
        assert secret not in log


def test_the_ready_line_has_what_a_client_needs(tmp_path: Path) -> None:
    """Loopback, the chosen account, a network, and the admin port only when asked for."""
    chosen = {"access_key_id": "LTAIchosen", "access_key_secret": "s3cret", "account_id": "42"}
    with process(tmp_path, **chosen) as (_, ready):
        assert chosen.items() <= ready.items()
        assert ready["endpoint"].startswith("http://127.0.0.1:")
        assert ready["admin"] is None
        assert len(ready["vswitch_ids"]) == 3
        assert {switch["vpc_id"] for switch in ready["vswitches"]} == {ready["vpc_id"]}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"colour": 1}, "colour"),
        ({"region": "?"}, "region"),
        ({"run_id": "TOO-LONG-ID"}, "run_id"),
        ({"listen": "here"}, "listen"),
        ({"listen": "127.0.0.1:99999"}, "listen"),
        ({"network": "tunnel"}, "network"),
        ({"faults": [{"action": "X", "kind": "none"}]}, "kind"),
        ({"timing": {"speed": 1}}, "speed"),
        ({"account_id": "me"}, "account_id"),
        ([], "object"),
    ],
)
def test_a_configuration_that_cannot_be_is_named(tmp_path: Path, config: Any, named: str) -> None:
    """Exit status 2 and one line that names the key."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    ended = subprocess.run([*COMMAND, "--config", str(file)], capture_output=True, text=True, timeout=10)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_state_survives_a_restart_where_asked(tmp_path: Path) -> None:
    """VNodes, their events, deleted ones and client tokens are there again; the file is its owner's only."""
    file = tmp_path / "state.json"
    settings = {"state_file": str(file), "access_key_id": "k", "access_key_secret": "s", "run_id": "same"}
    with process(tmp_path, **settings) as (running, ready):
        found = create(ready)
        running.terminate()
        running.communicate(timeout=30)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with process(tmp_path, **settings) as (_, again):
        assert [node.virtual_node_id for node in listed(again)] == [found]
        assert create(again) == found
    with process(tmp_path, **(settings | {"state_file": None})) as (_, fresh):
        assert listed(fresh) == []


def test_a_kill_loses_no_more_than_a_moment(tmp_path: Path) -> None:
    """The file is written while it runs, so SIGKILL a second later loses nothing."""
    file = tmp_path / "state.json"
    settings = {"state_file": str(file), "access_key_id": "k", "access_key_secret": "s", "run_id": "same"}
    with process(tmp_path, **settings, pretend_ready_after=0.05) as (running, ready):
        found = create(ready)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(1)
        running.kill()
        running.wait(30)
    assert [row["id"] for row in json.loads(file.read_text())["virtual_nodes"]] == [found]


def test_tls_is_trusted_through_its_own_ca_only(tmp_path: Path) -> None:
    """With the CA of the ready line the SDK connects, without it does not."""
    with process(tmp_path, tls=True) as (_, ready):
        assert ready["endpoint"].startswith("https://")
        authority = tmp_path / "ca.pem"
        authority.write_text(ready["tls"]["ca_pem"])
        # In this order: the SDK keeps a CA it was once given for as long as it keeps the connection pool.
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            create(ready)
        assert create(ready, ca=str(authority))


def test_pretended_readiness_comes_when_told(tmp_path: Path) -> None:
    """For clients that wait for Ready without any node: Pending first, Ready later."""
    with process(tmp_path, pretend_ready_after=3600) as (_, ready):
        create(ready)
        assert [node.status for node in listed(ready)] == ["Pending"]
    with process(tmp_path, pretend_ready_after=0) as (_, ready):
        create(ready)
        assert [node.status for node in listed(ready)] == ["Ready"]
