"""Real runs of the main job: real control planes, the emulator, joining VNodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.core.ledger import merge, read
from vnode_suite.core.polling import poll

ROOT = Path(__file__).resolve().parents[2]
#: Quick runs end within half a minute on two idle cores, binaries in the store; tests may share the machine.
PATIENCE_SECONDS = 600.0


@dataclass
class Job:
    """A run of pytest, under way or ended."""

    process: subprocess.Popen[str]
    reports: Path
    log: Path

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        (folder,) = (each for each in self.reports.iterdir() if each.is_dir() and not each.is_symlink())
        return folder

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.folder.name

    @property
    def output(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def report(self) -> dict[str, Any]:
        """Its report."""
        return dict(json.loads((self.folder / "report.json").read_text(encoding="utf-8")))

    def events(self, type_: str) -> list[dict[str, Any]]:
        """Events of one type, of all shards, as far as they are written."""
        paths = [path for path in self.reports.glob("*/events*.jsonl") if not path.parent.is_symlink()]
        return [event for path in paths for event in read(path) if event["type"] == type_]

    def all_events(self) -> list[dict[str, Any]]:
        """The whole ledger in order."""
        return list(merge(sorted(self.folder.glob("events*.jsonl"))))

    def until(self, type_: str, *, count: int = 1, **fields: str) -> None:
        """Wait until that many such events are in the ledger."""

        def there() -> bool | None:
            assert self.process.poll() is None, f"the run is over\n{self.output}"
            found = [e for e in self.events(type_) if all(e.get(k) == v for k, v in fields.items())]
            return len(found) >= count or None

        poll(there, what=f"{count} {type_} {fields}", deadline_seconds=PATIENCE_SECONDS, interval_seconds=0.2)

    def ended(self) -> int:
        """Its exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    def traces(self) -> list[str]:
        """What there still is of it: processes of its session or that name its folders, links of its networks."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    argv = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                except OSError:
                    continue
                # A worker that has not noticed yet that its controller is gone names no folder.
                own = int(session) == self.process.pid and state != "Z"
                if own or f"vnode-suite-{self.run_id}" in argv:
                    found.append(f"process {entry.name} {argv[:120]}")
        links = Path("/sys/class/net")
        found += (
            [f"link {link.name}" for link in links.glob(f"vs{self.run_id[:5]}*")] if links.is_dir() else []
        )
        return found


Launch = Callable[..., Job]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start the main job, quick and without controls; ended with the test, however that ends."""
    jobs: list[Job] = []
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "ALIBABA_CLOUD"))}
    environment |= {"VNODE_SUITE_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}

    def start(*args: str, beside: str = "") -> Job:
        folder = tmp_path / beside
        folder.mkdir(exist_ok=True)
        log = folder / "output.txt"
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "pytest",
                        "-p",
                        "vnode_suite.pytest_plugin",
                        "-p",
                        "no:cacheprovider",
                    ),
                    *("--region", "cn-shanghai", "--vnode-profile", "quick", "--vnode-controls", "off"),
                    f"--vnode-report-dir={folder / 'reports'}",
                    *args,
                ],
                cwd=ROOT,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        jobs.append(Job(process, folder / "reports", log))
        return jobs[-1]

    yield start
    for job in jobs:
        if job.process.poll() is None:
            job.process.kill()
            job.process.wait()
