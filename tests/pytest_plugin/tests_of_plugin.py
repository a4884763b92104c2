"""A project of a few scenarios in a world of nothing, and how to run pytest in it as a user would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnode_suite.core.ledger import merge

ROOT = Path(__file__).resolve().parents[2]
#: What the scenarios of the fake project judge, by file.
SCENARIOS = {
    "test_10_pre.py": ("PRE-01", "PRE-02"),
    "test_60_node.py": ("NODE-01", "NODE-02"),
    "test_90_clean.py": ("CLEAN-01",),
}
CLAUSES = tuple(clause for clauses in SCENARIOS.values() for clause in clauses)
#: A run under load; none is expected to take a tenth of it.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """What a run of pytest came to."""

    status: int
    output: str
    reports: Path

    @property
    def folder(self) -> Path:
        """The folder of the one run."""
        (folder,) = (each for each in self.reports.iterdir() if each.is_dir() and not each.is_symlink())
        return folder

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its ledger, all shards."""
        return list(merge(sorted(self.folder.glob("events*.jsonl"))))

    @property
    def report(self) -> dict[str, Any]:
        """Its report."""
        return dict(json.loads((self.folder / "report.json").read_text(encoding="utf-8")))

    def statuses(self) -> dict[tuple[str, str], str]:
        """Status by clause and cell, of the clauses that the fake project judges."""
        return {
            (row["clause"], row["cell"]): row["status"]
            for row in self.report["results"]
            if row["clause"] in CLAUSES
        }

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        """Events of one type."""
        return [event for event in self.events if event["type"] == type_]


@dataclass(frozen=True)
class Project:
    """A folder with scenarios; runs pytest in processes of its own."""

    folder: Path

    @property
    def reports(self) -> Path:
        """Where its runs report."""
        return self.folder / "reports"

    def environment(self, **more: str) -> dict[str, str]:
        """Without what this very run's xdist or user set."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "ALIBABA_CLOUD", "FAKE"))}
        path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
        return {
            **kept,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": path,
            "VNODE_SUITE_STATE": str(self.folder / "state"),
            **more,
        }

    def command(self, *args: str) -> list[str]:
        """An acceptance run of what the fake project judges, without controls."""
        return [
            *(sys.executable, "-m", "pytest", "-p", "vnode_suite.pytest_plugin", "-p", "fake_world"),
            *("--region", "cn-shanghai", "--vnode-controls", "off", "--vnode-clause", ",".join(CLAUSES)),
            *args,
        ]

    def run(self, *args: str, fake: str = "") -> Outcome:
        """Run it to its end."""
        done = subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment(FAKE=fake),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, self.reports)

    def start(self, *args: str, fake: str = "") -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env=self.environment(FAKE=fake),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def scenario(clauses: tuple[str, ...]) -> str:
    """A file of scenarios."""
    lines = ["from fake_world import act", "from vnode_suite.pytest_plugin.marks import clause"]
    for name in clauses:
        word = re.sub("[^a-z0-9]", "_", name.lower())
        lines += ["", f'@clause("{name}")', f"def test_{word}(case, judge):", "    act(case, judge)"]
    return "\n".join(lines) + "\n"
