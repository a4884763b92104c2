"""`vnode-suite run`: pytest with shorter names, from any folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from vnode_suite.cli.run import pytest_words, run
from vnode_suite.pytest_plugin.options import KUBECONFIG, OPTIONS

if TYPE_CHECKING:
    from tests.cli.conftest import Command


def _parsed(*arguments: str) -> dict[str, object]:
    given = run.make_context("run", list(arguments)).params
    return {name: value for name, value in given.items() if value not in (None, (), False)}


def test_every_option_of_the_plugin_is_there_without_its_prefix() -> None:
    """A new option of the plugin is one of the command by itself."""
    flags = {flag for param in run.params if isinstance(param, click.Option) for flag in param.opts}
    assert {f"--{option.flag.removeprefix('vnode-')}" for option in (*OPTIONS, KUBECONFIG)} <= flags


def test_options_reach_pytest_by_their_full_names() -> None:
    """Repeated ones each time, switches without a value."""
    given = _parsed(
        "--region", "cn-shanghai", "--identity", "admin", "--identity", "bootstrap",
        "--strict-should", "--kubeconfig", "k", "--cloud", "emulator", "--", "-x", "-k", "port",
    )  # fmt: skip
    assert given.pop("pytest_arguments") == ("-x", "-k", "port")
    assert pytest_words((*OPTIONS, KUBECONFIG), given) == [
        "--region=cn-shanghai",
        "--vnode-identity=admin",
        "--vnode-identity=bootstrap",
        "--vnode-cloud=emulator",
        "--vnode-strict-should",
        "--kubeconfig=k",
    ]


def test_nothing_is_told_to_pytest_that_was_not_asked_for() -> None:
    """Defaults are the plugin's own."""
    assert pytest_words((*OPTIONS, KUBECONFIG), _parsed("--region", "r")) == ["--region=r"]


def test_a_wrong_region_is_refused_as_pytest_refuses_it(vnode_suite: Command, tmp_path: Path) -> None:
    """Status 4, with near matches."""
    done = vnode_suite.process("run", "--region", "cn-shangai", cwd=tmp_path)
    assert done.returncode == 4
    assert "cn-shanghai" in done.stderr


def test_a_wrong_choice_is_refused_at_once(vnode_suite: Command) -> None:
    """Without starting pytest."""
    done = vnode_suite("run", "--region", "cn-shanghai", "--cloud", "lve")
    assert (done.exit_code, "'live'" in done.stderr) == (4, True)


@pytest.fixture
def foreign_project(tmp_path: Path) -> Path:
    """A folder whose pytest configuration and conftest would break the run."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\ntestpaths = tests\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('of another project')\n")
    return tmp_path


def test_it_collects_the_scenarios_from_any_folder(vnode_suite: Command, foreign_project: Path) -> None:
    """And heeds nothing of the folder's own configuration."""
    done = vnode_suite.process(
        "run", "--region", "cn-shanghai", "--clause", "PORT-01", "--identity", "bootstrap",
        "--controls", "off", "--", "--collect-only", "-q", cwd=foreign_project,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    items = [line for line in done.stdout.splitlines() if "::" in line]
    assert [item.partition("[")[2] for item in items] == ["1.22-bootstrap]"]
    assert "warning" not in done.stdout.lower()
    assert not (foreign_project / ".pytest_cache").exists()


@pytest.mark.slow
@pytest.mark.cluster
def test_a_quick_run_ends_in_a_verdict_and_a_report(vnode_suite: Command, foreign_project: Path) -> None:
    """The whole way, from a folder that is no checkout; the report's command line is what was asked for."""
    done = vnode_suite.process(
        "run", "--region", "cn-shanghai", "--profile", "quick", "--identity", "serviceaccount",
        "--controls", "off", cwd=foreign_project, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((foreign_project / "reports" / "latest" / "report.json").read_text("utf-8"))
    assert report["verdict"]["result"] == "conformant"
    assert report["run"]["argv"] == [
        "pytest",
        "--region=cn-shanghai",
        "--vnode-identity=serviceaccount",
        "--vnode-profile=quick",
        "--vnode-controls=off",
    ]
    shown = vnode_suite.process("report", "show", cwd=foreign_project)
    assert "CONFORMANT" in shown.stdout
