"""What import-linter cannot say of who imports whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vnode_suite"


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function, for types or for real."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importers(package: str) -> set[str]:
    """The files of the suite that import a package, relative to `vnode_suite`."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(name == package or name.startswith(package + ".") for name in imported(path))
    }


def test_one_module_imports_the_kubernetes_client() -> None:
    """The official client costs half a second, so one module imports it, when it must."""
    assert importers("kubernetes") == {"clusters/kube.py"}


def test_only_eci_imports_the_sdk() -> None:
    """The ECI SDK is behind one door."""
    assert {path.partition("/")[0] for path in importers("alibabacloud_eci20180808")} == {"eci"}


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("test_*.py")), ids=lambda path: path.stem)
def test_scenarios_know_checks_and_the_mark_alone(path: Path) -> None:
    """A scenario imports the checks that it hands observations to, and its mark."""
    others = {
        name
        for name in imported(path)
        if not name.startswith(
            ("vnode_suite.checks", "vnode_suite.pytest_plugin.marks", "__future__", "typing")
        )
    }
    assert others == set()


def test_the_plugin_sleeps_cheaply() -> None:
    """Where nobody asks for an acceptance, loading the plugin brings nothing that costs time to import."""
    program = (
        "import sys, pytest; before = set(sys.modules); import vnode_suite.pytest_plugin; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["vnode_suite"]
