"""Fixtures: a fresh fake project, and runs in it that end with the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests_of_plugin import SCENARIOS, Project, scenario


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh fake project."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name, clauses in SCENARIOS.items():
        (folder / name).write_text(scenario(clauses), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return Project(tmp_path)


@pytest.fixture
def started(project: Project) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start runs that are ended with the test, however it ends."""
    processes: list[subprocess.Popen[str]] = []

    def start(*args: str, fake: str = "") -> subprocess.Popen[str]:
        processes.append(project.start(*args, fake=fake))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
