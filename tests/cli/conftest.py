"""The command, in this process and as one of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vnode_suite.cli import main
from vnode_suite.core.modules import command, environment

# Imported now: a module first imported while a test has something in the place of `resolve` would keep it.
from vnode_suite.eci import sdk  # noqa: F401

TESTS = Path(__file__).resolve().parents[1]


class Command:
    """``vnode-suite``."""

    def __call__(self, *arguments: str, text: str = "", env: dict[str, str | None] | None = None) -> Result:
        """Call it here; what escapes it is in the result."""
        return CliRunner().invoke(main, arguments, input=text, env=env)

    def json(self, *arguments: str, text: str = "") -> Any:
        """Its answer for programs, which must be all that is on standard output."""
        done = self(*arguments, "--json", text=text)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it as a process of its own."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        given = {"text": True, "env": environment(), **pipes, **options}
        return subprocess.Popen(command("vnode_suite.cli", *arguments), **given)

    def process(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run it as a process of its own."""
        given = {"text": True, "env": environment(), "capture_output": True, "timeout": 120, **options}
        return subprocess.run(command("vnode_suite.cli", *arguments), check=False, **given)


@pytest.fixture(scope="session")
def vnode_suite() -> Command:
    return Command()


def load(path: str) -> ModuleType:
    """A module that other tests share, by its path under tests/."""
    name = "cli_" + Path(path).stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TESTS / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def stories() -> ModuleType:
    """Ledgers of made-up runs."""
    return load("report/stories.py")


@pytest.fixture(scope="session")
def release_server() -> ModuleType:
    """A server laid out like the official release download."""
    return load("clusters/local/release_server.py")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or leaves anything in, the user's own state."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path_factory.mktemp("state")))
