"""The pytest plugin: asleep until somebody asks for an acceptance run.

pytest loads this module in every project that has the suite installed, so at its top it imports nothing but
pytest and what costs nothing; the rest comes when ``--region`` is given or the scenarios are what is run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from vnode_suite.pytest_plugin.options import add_options, option_values

#: As `vnode_suite.model.Exit.HARNESS`, which is not imported in every project that has the suite installed.
_NOBODY_TO_ASK = 12


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the options."""
    add_options(parser, pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Wake up if an acceptance run is asked for; refuse, with status 4, what can be known to be wrong."""
    config.addinivalue_line("markers", "clause(id): the clause of the vendor's page that a scenario judges")
    if config.option.help or not _wanted(config):
        return
    from vnode_suite.core.errors import SuiteError, UsageError
    from vnode_suite.pytest_plugin.acceptance import Acceptance

    try:
        plugin = Acceptance.from_config(config)
    except UsageError as error:
        raise pytest.UsageError(f"vnode-suite: {error}") from None
    except SuiteError as problem:
        # A given cluster does not answer: nothing was made, and there is no cell that a report could be about.
        pytest.exit(f"vnode-suite: {problem}", returncode=_NOBODY_TO_ASK)
    config.pluginmanager.register(plugin, "vnode-suite-acceptance")


def _wanted(config: pytest.Config) -> bool:
    """Whether this is an acceptance run; makes the scenarios what is collected if nothing else was named."""
    scenarios = scenarios_folder()
    named = config.args_source == pytest.Config.ArgsSource.ARGS
    # An empty one is asked for too, and refused: an unset variable must not run something else.
    if "region" in option_values(config) and not named:
        config.args[:] = [str(scenarios)]
    paths = [Path(config.invocation_params.dir, arg.split("::", 1)[0]).resolve() for arg in config.args]
    return any(path == scenarios or scenarios in path.parents for path in paths)


def scenarios_folder() -> Path:
    """Where the scenarios are: beside the package in a checkout, a package of their own when installed."""
    from importlib.util import find_spec

    beside = Path(__file__).resolve().parents[2] / "scenarios"
    if beside.is_dir():
        return beside
    spec = find_spec("vnode_suite_scenarios")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]).resolve() if places else beside
