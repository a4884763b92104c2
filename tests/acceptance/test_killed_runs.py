"""Runs of the main job that are killed at any moment, and what is left of them when they have been swept."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnode_suite.core.errors import DeadlineExceeded
from vnode_suite.core.polling import poll

ROOT = Path(__file__).resolve().parents[2]
#: How many runs are killed. One takes half a minute; `VNODE_SUITE_KILLS=20` is what a release is held to.
KILLS = int(os.environ.get("VNODE_SUITE_KILLS", "3"))
#: The same seed kills at the same share of a run's length.
SEED = int(os.environ.get("VNODE_SUITE_KILLS_SEED", "20240227"))
RUN_SECONDS = 600.0
#: What holds a network ends by itself when its emulator is gone; on a machine under full load that takes moments.
SETTLE_SECONDS = 10.0

pytestmark = [pytest.mark.long, pytest.mark.cluster, pytest.mark.netns]


@dataclass
class Place:
    """A state folder, a folder for temporary files and one for reports: nobody else's run is in them."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command of these folders is started with."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "ALIBABA_CLOUD"))}
        (self.root / "tmp").mkdir(exist_ok=True)
        own = {"VNODE_SUITE_STATE": str(self.root / "state"), "TMPDIR": str(self.root / "tmp")}
        return {**kept, **own, "PYTHONPATH": str(ROOT)}

    def start(self) -> subprocess.Popen[bytes]:
        """The main job, with all its controls."""
        plugins = ["-p", "vnode_suite.pytest_plugin", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", *plugins, "--region", "cn-shanghai"]
        with (self.root / "output.txt").open("wb") as log:
            return subprocess.Popen(
                [*command, f"--vnode-report-dir={self.root / 'reports'}"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def sweep(self) -> dict[str, list[object]]:
        """What ``vnode-suite sweep --yes`` says."""
        done = subprocess.run(
            [sys.executable, "-m", "vnode_suite.cli", "sweep", "--yes", "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return {key: list(value) for key, value in json.loads(done.stdout).items()}

    @property
    def runs(self) -> list[str]:
        """The ids of the runs that began to report."""
        reports = (self.root / "reports").glob("*")
        return [each.name for each in reports if each.is_dir() and not each.is_symlink()]

    def traces(self) -> list[str]:
        """Processes, links and files of these folders' runs, wherever they are."""
        return [*self._processes(), *self._links(), *self._files()]

    def _processes(self) -> Iterator[str]:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                dead = ") Z " in (entry / "stat").read_text(errors="replace")
            except OSError:
                continue
            if str(self.root).encode() in said and not dead:
                yield f"process {entry.name} {said[:150]!r}"

    def _links(self) -> Iterator[str]:
        for run in self.runs:
            for link in Path("/sys/class/net").glob(f"vs{run[:5]}*"):
                yield f"link {link.name}"

    def _files(self) -> Iterator[str]:
        for file in (self.root / "tmp").iterdir():
            # The lock is one file for all runs of the machine's user, and holds nothing.
            if not file.name.endswith(".lock"):
                yield f"file {file.name}"
        for folder in (self.root / "state" / "runs").glob("*"):
            yield f"journal {folder.name}"


@pytest.fixture
def place() -> Iterator[Place]:
    """Folders with short names: the path of a socket has 107 characters."""
    root = Path(tempfile.mkdtemp(prefix="killed-"))
    yield Place(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def length() -> float:
    """Seconds that the main job takes here and now."""
    root = Path(tempfile.mkdtemp(prefix="killed-"))
    try:
        began = time.monotonic()
        assert Place(root).start().wait(RUN_SECONDS) == 0, (root / "output.txt").read_text(errors="replace")
        return time.monotonic() - began
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("number", range(KILLS))
def test_nothing_is_left_of_a_run_that_was_killed_and_swept(place: Place, length: float, number: int) -> None:
    """``kill -9`` of pytest at a random moment, one in each of as many equal parts of the run's length."""
    part = (number + random.Random(f"{SEED}-{number}").random()) / KILLS
    process = place.start()
    # One that has ended by then, on a machine that has become quicker, must have left nothing either.
    with suppress(subprocess.TimeoutExpired):
        process.wait(part * length)
    process.kill()
    process.wait()
    swept = place.sweep()
    print(f"killed after {part * length:.1f} s of {length:.0f}, swept {len(swept['removed'])}")
    assert swept["left"] == []
    with suppress(DeadlineExceeded):
        poll(
            lambda: None if place.traces() else True, what="the last process", deadline_seconds=SETTLE_SECONDS
        )
    assert place.traces() == []


def test_a_sweep_does_not_disturb_a_living_run(place: Place, length: float) -> None:
    """One run is killed while another goes on: what is swept is the dead one's, and the other conforms."""
    dead, living = place.start(), place.start()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            dead.wait(length / 2)
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        swept = place.sweep()
        assert len(swept["living"]) == 1
        assert swept["left"] == []
        assert living.wait(RUN_SECONDS) == 0, (place.root / "output.txt").read_text(errors="replace")
    finally:
        for process in (dead, living):
            process.kill()
            process.wait()
    place.sweep()
    assert place.traces() == []
