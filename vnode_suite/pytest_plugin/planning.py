"""``--vnode-plan``: the scenarios are collected, and what running them would take is printed instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vnode_suite.clusters.kube import KubeClient
from vnode_suite.connection.needed import missing
from vnode_suite.connection.plan import Plan, make_plan
from vnode_suite.core.errors import SuiteError
from vnode_suite.model import Provider, Text

if TYPE_CHECKING:
    from vnode_suite.connection.run import Run


class Planner:
    """Takes the place of the loop that runs the items; registered only for ``--vnode-plan``."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Print the plan and run nothing."""
        run, settings = self._run, self._run.settings
        given = settings.cluster.provider is Provider.EXISTING
        known = run.versions.nearest if given else run.versions.resolve
        versions = {cell.id: known(cell.version) for cell in settings.cells}
        plan = make_plan(settings, run.wanted, run.defects, run.deadlines, versions)
        text = plan.render(settings.report.language)
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text)
            if plan.needed:
                reporter.write_line(f"{self._lacking(plan)}\n\n{plan.manifest}")
        return True

    def _lacking(self, plan: Plan) -> str:
        """What of the rights the user of the kubeconfig has not: asked by access reviews, which change nothing."""
        cluster, language = self._run.settings.cluster, self._run.settings.report.language
        if cluster.kubeconfig is None:
            return ""
        with KubeClient.from_kubeconfig_file(cluster.kubeconfig, cluster.context) as kube:
            try:
                lacking = missing(kube, plan.needed)
            except SuiteError as problem:
                return Text(f"could not be asked: {problem}", f"无法查询:{problem}").of(language)
        names = "; ".join(map(str, lacking))
        found = Text(f"this kubeconfig lacks: {names}", f"此 kubeconfig 缺少:{names}")
        every = Text("this kubeconfig has every right that is needed", "此 kubeconfig 具备全部所需权限")
        return (found if lacking else every).of(language)
