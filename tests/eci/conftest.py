"""A real emulator process, started once, and clients of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.models import CreateRequest
from vnode_suite.eci.retrying import RetryPolicy

RESTRICTED = {"access_key_id": "restricted", "access_key_secret": "y", "denied": ["eci:Create*", "vpc:*"]}


class Service:
    """The emulator process as a test sees it: its ready line and its admin port."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the admin port."""
        held = self.ready["admin"]
        headers = {"Authorization": f"Bearer {held['token']}"}
        answer = requests.request(method, held["endpoint"] + path, json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def fault(self, action: str, kind: str, **rest: Any) -> None:
        """Put a fault in force."""
        self.admin("POST", "/faults", {"action": action, "kind": kind} | rest)

    def client(self, **options: Any) -> EciClient:
        """A client with short pauses."""
        policy = options.pop("policy", RetryPolicy(deadline=10, first_pause=0.01, longest_pause=0.05))
        key = options.pop("key", (self.ready["access_key_id"], self.ready["access_key_secret"]))
        where = single(self.ready["endpoint"], self.ready["region"])
        return EciClient.connect(where, StaticCredentials(*key), policy, **options)

    def request(self, **changes: Any) -> CreateRequest:
        """A sound create request."""
        values: dict[str, Any] = {
            "vswitch_ids": (self.ready["vswitch_ids"][0],),
            "security_group_id": self.ready["security_group_id"],
        }
        return CreateRequest(**(values | changes))

    def vnodes(self) -> list[dict[str, Any]]:
        """What really exists."""
        return list(self.admin("GET", "/state")["virtual_nodes"])


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One emulator process for every test here."""
    config = {
        "region": "cn-shanghai",
        "simulator": False,
        "pretend_ready_after": 0,
        "admin": True,
        "exit_with_stdin": True,
        "credentials": [RESTRICTED],
    }
    file = tmp_path_factory.mktemp("emulator") / "config.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "vnode_suite.simulated", "--config", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        yield Service(json.loads(running.stdout.readline()))
        running.stdin.close()
        running.wait(30)


@pytest.fixture
def service(process: Service) -> Iterator[Service]:
    """The process, emptied after the test."""
    yield process
    process.admin("DELETE", "/faults")
    for node in process.vnodes():
        process.admin("POST", "/purge", {"id": node["VirtualNodeId"]})


@pytest.fixture
def client(service: Service) -> EciClient:
    """A client of the process."""
    return service.client()
