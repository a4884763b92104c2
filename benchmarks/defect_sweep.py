"""Every defect of the catalogue put into a correct connection, one at a time: does exactly what is declared fail?

    python benchmarks/defect_sweep.py [--version 1.22] [--identity bootstrap] [--left-out EVENT] [DEFECT...]

Each defect is a whole run of pytest with ``--vnode-defect`` and without controls, all on one control plane: of each
run every row is held against a run without a defect. What the catalogue declares must fail for the declared
reason, what it says cannot be reached must be could-not-run, and everything else must be as it was. Prints a line
a defect, and what differs; ends with 1 if anything does.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from vnode_suite.clusters.kube import KubeError
from vnode_suite.connection.opening import OPENINGS, Opened
from vnode_suite.connection.run import Run
from vnode_suite.connection.standins import STAND_IN_NODE
from vnode_suite.connection.world import World
from vnode_suite.core.settings import CloudSettings, ClusterSettings, ReportSettings, ScopeSettings, Settings
from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.model import Cell, Defect, Identity, Provider
from vnode_suite.probes.snapshots import dump

REGION = "cn-shanghai"
ROOT = Path(__file__).parents[1]
#: Those that a run makes itself; of a VNode that was made elsewhere nobody may know who it is.
IDENTITIES = tuple(identity.value for identity in Identity if identity is not Identity.UNKNOWN)
#: What some clauses need to be there at all, given to every run alike.
GIVEN = ("--vnode-site=idc", "--vnode-taint=vnode-suite/sweep=yes:NoSchedule")
#: Defects that are one only under such an option.
GIVEN_WITH = {"identity-not-bootstrap": ("--vnode-security-required",)}

#: Judged all the same where only the VNode under test was not made, or not its identity: those made to fail on purpose
#: were, and what approves requests.
JUDGED_ON_OTHERS = frozenset({"CLEAN-01", "CLEAN-02"})

#: What follows from it depends on there being an approver, which the cell of another identity brings.
WITH_EVERY_IDENTITY = frozenset({"tls-flag-on-with-token"})
#: Those who have it are one Node: one VNode at a time.
ONE_AT_A_TIME = frozenset({"node-name-vnode1"})
#: Defects of names, which the kubeconfig of a control plane of the run's own has none of.
OF_NAMES = frozenset({"dns-no-such-host", "dns-wrong-address"})

#: Cell and clause to status and reason.
Rows = Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bench:
    """One control plane and one ECI side, which every run is opened on."""

    opened: Opened
    version: str
    left_out: tuple[str, ...]
    folder: Path

    def open(self, world: World, _: ExitStack) -> Opened:
        """What a world of a run is given instead of a control plane of its own."""
        world.run.journal.cluster(world.ref, kubeconfig=None, context=None, server="")
        return dataclasses.replace(self.opened, before=dump(self.opened.cluster.kube))

    def run(self, name: str, identities: Sequence[str], *options: str) -> Rows:
        """Every row of a run with these options."""
        reports = self.folder / name
        arguments = [
            "-q",
            "-p",
            "vnode_suite.pytest_plugin",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(ROOT),
        ]
        arguments += [f"--region={REGION}", f"--vnode-k8s-version={self.version}", "--vnode-controls=off"]
        arguments += [f"--vnode-report-dir={reports}", *GIVEN, *options]
        arguments += [f"--vnode-vswitch={vswitch}" for vswitch in list(self.opened.cloud.vswitches)[:2]]
        arguments += [f"--vnode-identity={identity}" for identity in identities]
        chapters = dict.fromkeys(clause.chapter for clause in load_catalogue("2024-02").clauses)
        if self.left_out:
            arguments.append(f"--vnode-clause={','.join(c for c in chapters if c not in self.left_out)}")
        with (self.folder / f"{name}.txt").open("w") as log, _silent(log), _opening(self):
            if pytest.main([*arguments, str(ROOT / "scenarios")]) == pytest.ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
        self.tidy()
        report = json.loads((reports / "latest" / "report.json").read_text(encoding="utf-8"))
        return {(row["cell"], row["clause"]): (row["status"], row["reason"]) for row in report["results"]}

    def tidy(self) -> None:
        """Remove what a defect of the closing has left, for the next run."""
        # No id: every VNode that was kept.
        self.opened.cloud.purge("")
        kube = self.opened.cluster.kube
        for node in kube.list("/api/v1/nodes"):
            if node["metadata"]["name"] != STAND_IN_NODE:
                with contextlib.suppress(KubeError):
                    kube.delete(f"/api/v1/nodes/{node['metadata']['name']}")


@contextlib.contextmanager
def _opening(bench: Bench) -> Iterator[None]:
    with mock.patch.dict(OPENINGS, {Provider.LOCAL: bench.open}):
        yield


@contextlib.contextmanager
def _silent(stream: Any) -> Iterator[None]:
    """Standard output and error of this process and of all that it starts go to *stream*."""
    sys.stdout.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(stream.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, was in kept:
            os.dup2(was, number)
            os.close(was)


def differences(defect: Defect, sound: Rows, found: Rows) -> Iterator[str]:
    """Each row that is not as the catalogue declares."""
    fails, unreached = load_defects().expected([defect.name])
    for key, (was, _) in sound.items():
        if key not in found:
            continue
        cell, clause = key
        status, reason = found[key]
        applies = was in ("passed", "info")
        if not defect.concerns(cell.partition("-")[2], cell.partition("-")[0]):
            wanted, right = was, status == was
        elif applies and clause in fails:
            wanted, right = f"failed, {' or '.join(sorted(fails[clause]))}", reason in fails[clause]
            right = right and status == "failed"
        elif applies and clause in unreached:
            wanted = "could-not-run"
            right = status == wanted or (clause in JUDGED_ON_OTHERS and status == was)
        else:
            wanted, right = was, status == was
        if not right:
            yield f"{cell} {clause}: {wanted}; found {status} {reason}".rstrip()


@contextlib.contextmanager
def bench(version: str, left_out: tuple[str, ...]) -> Iterator[Bench]:
    """A control plane and an ECI side that stay while the block lasts."""
    cell = Cell(version, Identity.BOOTSTRAP, Provider.LOCAL)
    with tempfile.TemporaryDirectory(prefix="vnode-suite-sweep-") as name, ExitStack() as stack:
        folder = Path(name)
        settings = Settings(
            (cell,),
            ClusterSettings(),
            CloudSettings(region=REGION),
            ScopeSettings(controls=False),
            ReportSettings(folder),
        )
        run = stack.enter_context(Run(settings, "sweepcp0", folder / "control-plane"))
        opened = OPENINGS[Provider.LOCAL](World(run, version), stack)
        yield Bench(opened, version, left_out, folder)


def main() -> int:
    """Sweep, and say what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("defects", nargs="*", metavar="DEFECT", help="default: every one")
    parser.add_argument("--version", default="1.22")
    parser.add_argument("--identity", action="append", choices=IDENTITIES, help="default: all that apply")
    parser.add_argument("--left-out", action="append", default=[], metavar="CHAPTER")
    options = parser.parse_args()
    catalogue = load_defects()
    chosen = [catalogue.defect(name) for name in options.defects] or list(catalogue)
    chosen = [each for each in chosen if not each.minors or options.version in each.minors]
    chosen = [each for each in chosen if each.name not in OF_NAMES]
    identities = options.identity or list(IDENTITIES)
    wrong = 0
    with bench(options.version, tuple(options.left_out)) as stand:
        sound: dict[tuple[str, ...], Rows] = {}
        for number, defect in enumerate(chosen, 1):
            concerned = [name for name in identities if defect.concerns(name, options.version)]
            if not concerned:
                continue
            if defect.name in WITH_EVERY_IDENTITY:
                concerned = identities
            elif defect.name in ONE_AT_A_TIME:
                concerned = concerned[:1]
            extra: tuple[str, ...] = (
                (f"--vnode-profile={defect.profile}",) if defect.profile == "full" else ()
            )
            extra += GIVEN_WITH.get(defect.name, ())
            if extra not in sound:
                sound[extra] = stand.run(f"sound-{len(sound)}", identities, *extra)
            began = time.monotonic()
            found = stand.run(defect.name, concerned, *extra, f"--vnode-defect={defect.name}")
            said = list(differences(defect, sound[extra], found))
            wrong += bool(said)
            took = time.monotonic() - began
            print(f"{number:3d}/{len(chosen)} {'differs' if said else 'ok':8s} {took:5.1f} s  {defect.name}")
            for line in said:
                print(f"      {line}", flush=True)
    print(f"{len(chosen)} defects, {wrong} not as declared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
