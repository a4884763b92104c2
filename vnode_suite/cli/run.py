"""`vnode-suite run`: an acceptance run from any folder, with the names that settings files use."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from vnode_suite.cli.app import completing, examples
from vnode_suite.cli.catalogue import clause_names, defect_names
from vnode_suite.cli.ram_policy import region_names
from vnode_suite.pytest_plugin.options import KUBECONFIG, OPTIONS, Option

_PLUGIN = "vnode_suite.pytest_plugin"
_CONFIGURATION = Path(__file__).with_name("acceptance.ini")


def _version_names() -> Iterable[str]:
    from vnode_suite.data.versions import load_versions

    return ["all", *load_versions().minors]


_COMPLETED: dict[str, Callable[[], Iterable[str]]] = {
    "region": region_names,
    "clause": clause_names,
    "defect": defect_names,
    "k8s-version": _version_names,
    "identity": lambda: ("bootstrap", "serviceaccount", "admin"),
}


def _click_option(option: Option) -> click.Option:
    flag = f"--{option.short}"
    if option.switch:
        return click.Option([flag, option.dest], is_flag=True, help=option.help)
    kind: Any = click.Choice(option.choices) if option.choices else None
    names = _COMPLETED.get(option.short)
    return click.Option(
        [flag, option.dest],
        type=kind,
        multiple=option.repeatable,
        metavar=option.metavar,
        # Some of the helps speak of other options, by pytest's names.
        help=option.help.replace("--vnode-", "--"),
        shell_complete=completing(names) if names else None,
    )


def pytest_words(options: Iterable[Option], given: dict[str, Any]) -> list[str]:
    """What pytest is told for the options *given* (by their `dest`); each word holds name and value."""
    words: list[str] = []
    for option in options:
        value = given.get(option.dest)
        if option.switch:
            words += [f"--{option.flag}"] if value else []
        elif value is not None:
            words += [f"--{option.flag}={each}" for each in (value if option.repeatable else (value,))]
    return words


class _Run(click.Command):
    """Takes every option of the plugin, by its short name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params[:0] = [_click_option(option) for option in (OPTIONS[0], KUBECONFIG, *OPTIONS[1:])]


@click.command(
    cls=_Run,
    epilog=examples(
        "vnode-suite run --region cn-shanghai",
        "vnode-suite run --region cn-shanghai --k8s-version 1.13-1.22 -n 2",
        "vnode-suite run --region cn-shanghai --clause PORT,DS-02 --defect kube-proxy-not-excluded",
        "vnode-suite run --region cn-shanghai --kubeconfig admin.conf --cloud live --vswitch vsw-a --plan",
        "vnode-suite run --region cn-shanghai --profile quick -- -x --durations=5",
    ),
)
@click.option(
    "-n", "workers", metavar="N", help="xdist workers (needs pytest-xdist); one version stays on one worker."
)
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- PYTEST_ARGUMENT...]")
def run(workers: str | None, pytest_arguments: tuple[str, ...], **given: Any) -> int:
    """Accept VNodes: connect one in each cell, judge every clause, clean up, and report.

    The options are those of `pytest --region REGION`, without `vnode-`; what follows -- goes to pytest as it
    is. Works from any folder, and heeds no pytest configuration of that folder.

    \b
    Exit status: 0 conformant, 1 a MUST clause failed, 2 interrupted, 3 internal error, 4 usage, 5 nothing
    selected, 6 pytest's own, 10 incomplete, 11 something was left behind, 12 the harness failed,
    13 a waiver is stale or expired.
    """
    import pytest

    words = pytest_words((*OPTIONS, KUBECONFIG), given)
    words += ["-n", workers] if workers is not None else []
    # Through the environment, so that the report's command line is what was asked for and no more.
    os.environ["PYTEST_ADDOPTS"] = shlex.join(_where()) + " " + os.environ.get("PYTEST_ADDOPTS", "")
    return int(pytest.main([*words, *pytest_arguments]))


def _where() -> list[str]:
    """What makes pytest run the scenarios, and nothing of the folder it is run in."""
    import platformdirs

    from vnode_suite.pytest_plugin import scenarios_folder

    scenarios = scenarios_folder()
    cache = platformdirs.user_cache_path("vnode-suite") / "pytest"
    return [
        "-p",
        _PLUGIN,
        "-c",
        str(_CONFIGURATION),
        f"--rootdir={scenarios.parent}",
        f"--confcutdir={scenarios}",
        "-o",
        f"cache_dir={cache}",
        str(scenarios),
    ]
