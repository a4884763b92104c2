"""The emulator as if it were the service: it stands alone, an account is its own, and a run only has its address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.eci.emulator import EmulatorReady

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "1987654321098765"
SECRET = "a-secret-of-the-test-that-is-long-enough"
_END_SECONDS = 20
_COMMAND = (sys.executable, "-c", "from vnode_suite.cli import main; main()")


@dataclass(frozen=True)
class Service:
    """The emulator, and where runs against it write."""

    ready: EmulatorReady
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a user of the service has set: credentials as the default chain finds them, nothing else."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "ALIBABA_"))}
        return kept | {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.ready.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.ready.access_key_secret,
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
            "VNODE_SUITE_STATE": str(self.folder / "state"),
        }

    @property
    def place(self) -> tuple[str, ...]:
        """Options that say where VNodes are put."""
        return (
            f"--vnode-vswitch={self.ready.vswitch_ids[0]}",
            f"--vnode-security-group={self.ready.security_group_id}",
            f"--vnode-resource-group={self.ready.resource_group_ids[0]}",
        )

    def vnodes(self) -> list[dict[str, Any]]:
        """What really is there."""
        assert self.ready.admin is not None
        return list(self.ready.admin.state()["virtual_nodes"])

    def requests(self) -> list[dict[str, Any]]:
        """What was asked of it, without parameters."""
        assert self.ready.admin is not None
        return list(self.ready.admin.state()["requests"])

    def suite(self, *options: str, reports: str = "reports") -> subprocess.CompletedProcess[str]:
        """An acceptance run, in a process of its own."""
        command = [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--region={self.ready.region}"),
            f"--vnode-report-dir={self.folder / reports}",
            *options,
        ]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )

    @contextmanager
    def begun(self, *options: str, reports: str) -> Iterator[subprocess.Popen[str]]:
        """A run that is under way; killed at the end of the block, if it still is."""
        command = [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--region={self.ready.region}"),
            *(f"--vnode-report-dir={self.folder / reports}", *options),
        ]
        log = (self.folder / f"{reports}.log").open("w")
        with (
            log,
            subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, text=True
            ) as run,
        ):
            try:
                yield run
            finally:
                run.kill()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The ``vnode-suite`` command, with this account's credentials."""
        return subprocess.run(
            [*_COMMAND, *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def report(self, reports: str = "reports") -> dict[str, Any]:
        """The report of the last run."""
        found: dict[str, Any] = json.loads((self.folder / reports / "latest" / "report.json").read_text())
        return found


@contextmanager
def standing(folder: Path, *, tls: bool = False) -> Iterator[Service]:
    """``vnode-suite emulator``, until the block ends."""
    command = [
        *(*_COMMAND, "emulator", "--json", "--admin"),
        "--region=cn-shanghai",
        *(f"--account-id={ACCOUNT}", "--access-key-id=LTAIofthetest0000", f"--access-key-secret={SECRET}"),
        *(["--tls"] if tls else []),
    ]
    environment = os.environ | {"VNODE_SUITE_STATE": str(folder / "state")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Service(EmulatorReady.parse(process.stdout.readline()), folder)
        finally:
            process.terminate()
            process.wait(_END_SECONDS)
