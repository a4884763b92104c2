"""`vnode-suite diagnose --live` against a standing emulator and a standing cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vnode_suite.access.variants import broken
from vnode_suite.core.modules import environment
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.emulator import EmulatorReady
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.models import CreateRequest

if TYPE_CHECKING:
    from tests.cli.conftest import Command

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.netns]

REGION = "cn-shanghai"
#: A VNode's own time-out is the service's 32 s here, unscaled; a shared machine adds to it.
PATIENCE = 120.0


@dataclass
class Standing:
    """An emulator and a cluster that were put up by their commands, and a client of the API."""

    command: Command
    ready: EmulatorReady
    client: EciClient
    admin: str
    handed: Path
    env: dict[str, str]

    def vnode(self, kubeconfig: str, *, bootstrap: bool = True) -> str:
        """A VNode that was handed this, when it has complained."""
        request = CreateRequest(
            self.ready.vswitch_ids[:1], self.ready.security_group_id, kubeconfig, tls_bootstrap=bootstrap
        )
        made = self.client.create_virtual_node(request)

        def complains() -> bool | None:
            node = self.client.describe_virtual_node(made)
            return any(event.type == "Warning" for event in node.events) or None if node else None

        poll(complains, what="a warning", deadline_seconds=PATIENCE, interval_seconds=0.5)
        return str(made)

    def diagnosed(
        self, virtual_node_id: str, kubeconfig: Path, *more: str
    ) -> subprocess.CompletedProcess[str]:
        """The command."""
        where = ("--region", REGION, "--endpoint", self.ready.endpoint)
        known = ("--cluster", self.admin, "--kubeconfig", str(kubeconfig))
        return self.command.process(
            "diagnose", "--live", virtual_node_id, *where, *known, *more, env=self.env
        )


@pytest.fixture(scope="module")
def standing(vnode_suite: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Put both up, make a bootstrap identity without approver, and take both down again."""
    folder = tmp_path_factory.mktemp("standing")
    env = {**environment(), "VNODE_SUITE_STATE": str(folder / "state")}
    emulator = vnode_suite.start("emulator", "--json", "--region", REGION, env=env)
    try:
        assert emulator.stdout is not None
        ready = EmulatorReady.parse(emulator.stdout.readline())
        keys = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": ready.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ready.access_key_secret,
        }
        up = vnode_suite.process("cluster", "up", "1.22", "--address", ready.host_address, "--json", env=env)
        assert up.returncode == 0, up.stderr
        cluster: dict[str, Any] = json.loads(up.stdout)
        handed = folder / "vnode-config"
        given = ("--kubeconfig", cluster["kubeconfig"], "--output", str(handed), "--approver", "none")
        made = vnode_suite.process("kubeconfig", "bootstrap", *given, env=env)
        assert made.returncode == 0, made.stderr
        credentials = StaticCredentials(ready.access_key_id, ready.access_key_secret)
        with EciClient.connect(single(ready.endpoint, REGION), credentials) as client:
            yield Standing(vnode_suite, ready, client, cluster["kubeconfig"], handed, {**env, **keys})
    finally:
        vnode_suite.process("cluster", "down", "--all", env=env)
        emulator.terminate()
        emulator.communicate(timeout=60)


def test_a_request_that_nobody_approves_is_confirmed_by_the_cluster(standing: Standing) -> None:
    """The events say so, the cluster's request says so, and everything before it is ruled out, with the reasons."""
    virtual_node_id = standing.vnode(standing.handed.read_text(encoding="utf-8"))
    found = json.loads(standing.diagnosed(virtual_node_id, standing.handed, "--json").stdout)
    first = found["causes"][0]
    assert (first["cause"], first["standing"], first["by"]) == ("csr-pending", "confirmed", ["csr"])
    ruled_out = {row["cause"]: row["by"] for row in found["ruled_out"]}
    assert ruled_out["unauthorized"] == "credential"
    assert ruled_out["x509-expired"] == "tls-dates"
    clocks = {row["clock"] for row in found["timeline"]}
    assert {"service", "cluster", "runner"} <= clocks
    assert [row["at"] for row in found["timeline"]] == sorted(row["at"] for row in found["timeline"])


def test_a_wrong_token_is_told_from_an_expired_one(standing: Standing, tmp_path: Path) -> None:
    """The event cannot tell them apart; the cluster's Secrets can, and a person is told."""
    wrong = tmp_path / "vnode-config"
    wrong.write_text(
        broken(standing.handed.read_text(encoding="utf-8"), "kubeconfig-wrong-token"), encoding="utf-8"
    )
    virtual_node_id = standing.vnode(wrong.read_text(encoding="utf-8"))
    done = standing.diagnosed(virtual_node_id, wrong)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1. The API server rejects the credential")
    assert "confirmed by: there is no Secret bootstrap-token-000000: deleted or mistyped" in done.stdout
    assert "ruled out" in done.stdout
    assert "timeline" in done.stdout
    assert wrong.read_text(encoding="utf-8") not in done.stdout + done.stderr
