"""An emulator in this process, on a loop of its own, with a fleet that only keeps a record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from alibabacloud_eci20180808.client import Client as EciSdk
from alibabacloud_tea_openapi.utils_models import Config as SdkConfig

from vnode_suite.simulated.eci_api.config import parse_config
from vnode_suite.simulated.eci_api.server import Emulator, running
from vnode_suite.simulated.interface import Instance, ProbeOrder, VNodeOrder, VNodeReport

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443"}
users:
- name: vnode
  user: {token: abcdef.0123456789abcdef}
"""


@dataclass
class RecordingFleet:
    """Answers like a fleet and remembers what it was told; each VNode reports Ready at once."""

    orders: dict[str, VNodeOrder] = field(default_factory=dict)
    reports: dict[str, Callable[[VNodeReport], None]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    pods: dict[str, int] = field(default_factory=dict)
    becomes_ready: bool = True

    async def launch(self, order: VNodeOrder, report: Callable[[VNodeReport], None]) -> str:
        """Remember the order and say Ready."""
        self.orders[order.virtual_node_id] = order
        self.reports[order.virtual_node_id] = report
        address = f"10.0.0.{len(self.orders) % 250 + 1}"
        if self.becomes_ready:
            report(VNodeReport("state", {"status": "Ready", "internal_ip": address}))
        return address

    async def stop(self, virtual_node_id: str) -> None:
        """Remember who was stopped."""
        self.stopped.append(virtual_node_id)

    async def instances(self, virtual_node_id: str) -> Sequence[Instance]:
        """As many as the test says."""
        return [
            Instance(
                f"eci-{virtual_node_id.removeprefix('vnd-')}{n}", f"default-pod-{n}", f"10.0.1.{n}", 1.7e9 + n
            )
            for n in range(self.pods.get(virtual_node_id, 0))
        ]

    async def probe(self, order: ProbeOrder) -> Mapping[str, Any]:
        """Echo the order."""
        return {"resolved": [order.host], "connected": True, "error": "", "peer_certificates": []}

    async def close(self) -> None:
        """Nothing to close."""


class Running:
    """A running emulator and how to talk to it."""

    def __init__(self, emulator: Emulator, fleet: RecordingFleet, loop: asyncio.AbstractEventLoop) -> None:
        self.emulator = emulator
        self.ready = emulator.ready
        self.fleet = fleet
        self.loop = loop

    def on_loop(self, act: Callable[[], Any]) -> Any:
        """Run something where the emulator runs, and wait for it."""

        async def call() -> Any:
            return act()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(5)

    def sdk(self, **options: Any) -> EciSdk:
        """The official Python SDK pointed here."""
        return EciSdk(self.sdk_config(**options))

    def sdk_config(self, **options: Any) -> SdkConfig:
        """The settings of any official Python SDK."""
        scheme, _, host = self.ready["endpoint"].partition("://")
        values = {
            "access_key_id": self.ready["access_key_id"],
            "access_key_secret": self.ready["access_key_secret"],
            "endpoint": host,
            "protocol": scheme,
            "region_id": self.ready["region"],
        }
        return SdkConfig(**(values | options))


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def start_shared() -> Iterator[Start]:
    """Starts emulators that end with the session."""
    with ExitStack() as stack:
        yield lambda **config: stack.enter_context(_Background(config))


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts emulators that end with the test: ``start(admin=True)``."""
    with ExitStack() as stack:
        yield lambda **config: stack.enter_context(_Background(config))


@pytest.fixture
def emulator(start: Start) -> Running:
    """An emulator with default settings and an admin port."""
    return start(admin=True)


class _Background:
    def __init__(self, config: dict[str, Any]) -> None:
        self._clock = config.pop("clock", None)
        self._with_fleet = config.pop("with_fleet", True)
        self._fleet = RecordingFleet()
        self._config = parse_config({"region": "cn-shanghai", "run_id": "test"} | config)

    def __enter__(self) -> Running:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        options = {"clock": self._clock} if self._clock else {}
        fleet = self._fleet if self._with_fleet else None
        self._context = running(self._config, fleet, **options)
        emulator = self._run(self._context.__aenter__())
        return Running(emulator, self._fleet, self._loop)

    def __exit__(self, *_: object) -> None:
        self._run(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
