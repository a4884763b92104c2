"""How long the whole version matrix takes, in terms of what it stands on: ten control planes, up and down.

    python benchmarks/matrix.py [--workers 2] [--versions 1.13 1.22]

One run brings each version's control plane from nothing to usable (all four components healthy, a Pod creatable) and
down again, as many at once as there are workers, then runs `pytest --region cn-shanghai --vnode-k8s-version ... -n N`
over the same versions, both identities, controls included. The matrix is to take at most 2.5 times the one. The
memory of each version, summed over all its processes, is read from the matrix's own report: at most 800 MiB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vnode_suite.clusters.local.assets import obtain_binaries
from vnode_suite.clusters.local.controlplane import start_local_cluster
from vnode_suite.core.processes import Supervisor
from vnode_suite.data.versions import load_versions

#: What the matrix may take, in times of the bare control planes; and a version, in MiB of PSS.
TIMES, MEBIBYTES = 2.5, 800


def bare_seconds(versions: list[str], workers: int) -> float:
    """Seconds for every version's control plane to be up and down again, *workers* at once."""
    table = load_versions()
    binaries = {version: obtain_binaries(table.resolve(version)) for version in versions}
    with tempfile.TemporaryDirectory(prefix="vnode-suite-bench-") as folder:
        path = Path(folder)
        with Supervisor(log=path / "supervisor.log") as supervisor, ThreadPoolExecutor(workers) as pool:

            def up_and_down(version: str) -> None:
                resolved = table.resolve(version)
                with start_local_cluster(
                    resolved, path / version, supervisor, binaries=binaries[version], name=f"bench-{version}"
                ):
                    pass

            began = time.monotonic()
            list(pool.map(up_and_down, versions))
            return time.monotonic() - began


def matrix(versions: list[str], workers: int, reports: Path) -> tuple[float, int]:
    """Seconds of the whole command, and its exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "--region", "cn-shanghai", "-n", str(workers)]
    for version in versions:
        command += ["--vnode-k8s-version", version]
    command += [f"--vnode-report-dir={reports}"]
    began = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.monotonic() - began, ended.returncode


def memory(reports: Path) -> dict[str, float]:
    """The most that each version took, in MiB of PSS, by the report."""
    report = json.loads((reports / "latest" / "report.json").read_text(encoding="utf-8"))
    most: dict[str, float] = {}
    for cell in report["cells"]:
        taken = sum((cell.get("memory") or {}).values()) / 2**20
        most[cell["version"]] = max(most.get(cell["version"], 0.0), taken)
    return most


def main() -> None:
    """Print both figures, their ratio, and each version's memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--versions", nargs="+", default=[f"1.{minor}" for minor in range(13, 23)])
    options = parser.parse_args()
    bare = bare_seconds(options.versions, options.workers)
    print(f"bare control planes, {options.workers} at once: {bare:.1f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="vnode-suite-bench-") as folder:
        reports = Path(folder)
        seconds, status = matrix(options.versions, options.workers, reports)
        ratio = seconds / bare
        print(f"matrix: {seconds:.1f} s, exit {status}, ratio {ratio:.2f}, allowed {TIMES}")
        for version, taken in memory(reports).items():
            print(f"  {version:5} {taken:6.0f} MiB, allowed {MEBIBYTES}")


if __name__ == "__main__":
    main()
