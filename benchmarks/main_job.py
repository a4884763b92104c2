"""How long the main job takes, in terms of what it stands on: bringing a control plane to usable.

    python benchmarks/main_job.py [--version 1.22] [--rounds 3]

One round brings a control plane from nothing to usable (all four components healthy, a Pod creatable) and down
again, then runs `pytest --region cn-shanghai` on the same version, both identities, controls included. The ratio is
taken in one run, since the machine's speed drifts: the job is to take at most three times the one, plus 5 s.

The last column is the job alone, without the start of Python and pytest: what its report says that it took from its
beginning to its end, in times of what its own control plane took to usable. That is to be at most three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import start_local_cluster
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

#: What the main job may take: so many times the control plane's time, and so many seconds more.
TIMES, SECONDS_MORE = 3.0, 5.0


def usable_seconds(version: str) -> float:
    """Seconds from nothing to a usable control plane, in a process that has everything imported already."""
    resolved = load_versions().resolve(version)
    binaries = obtain_binaries(resolved)
    with tempfile.TemporaryDirectory(prefix="vnode-suite-bench-") as folder:
        path = Path(folder)
        with Supervisor(log=path / "supervisor.log") as supervisor:
            began = time.monotonic()
            with start_local_cluster(resolved, path / "cluster", supervisor, binaries=binaries):
                return time.monotonic() - began


def job_seconds(version: str, reports: Path) -> tuple[float, int]:
    """Seconds of the whole command, start of Python included, and its exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "--region", "cn-shanghai"]
    command += ["--vnode-k8s-version", version, f"--vnode-report-dir={reports}"]
    began = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.monotonic() - began, ended.returncode


def times_its_own(reports: Path) -> float:
    """How long the last run took by its own report, in times of what its control plane took to usable."""
    report = json.loads((reports / "latest" / "report.json").read_text(encoding="utf-8"))
    began, ended = (datetime.fromisoformat(report["run"][name]) for name in ("started", "finished"))
    usable = report["cells"][0]["timings"]["control_plane"]["usable"]
    return (ended - began).total_seconds() / float(usable)


def main() -> None:
    """Print a row a round and the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", default="1.22")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows: list[tuple[float, float, float, float]] = []
    print("round  usable s   job s  exit  allowed s  job/allowed  run/own usable")
    with tempfile.TemporaryDirectory(prefix="vnode-suite-bench-") as reports:
        for number in range(1, options.rounds + 1):
            usable = usable_seconds(options.version)
            job, status = job_seconds(options.version, Path(reports))
            allowed = TIMES * usable + SECONDS_MORE
            own = times_its_own(Path(reports))
            rows.append((usable, job, job / allowed, own))
            print(
                f"{number:5d}  {usable:8.2f}  {job:6.1f}  {status:4d}  {allowed:9.1f}  {job / allowed:11.2f}"
                f"  {own:14.2f}",
                flush=True,
            )
    # Of each round's own: between two rounds the machine's speed drifts by more than what is measured.
    usable, job, ratio, own = (statistics.median(column) for column in zip(*rows, strict=True))
    allowed = TIMES * usable + SECONDS_MORE
    print(f"median {usable:8.2f}  {job:6.1f}        {allowed:9.1f}  {ratio:11.2f}  {own:14.2f}")


if __name__ == "__main__":
    main()
