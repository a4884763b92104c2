"""An acceptance run in pytest: what is collected, in which order, what each outcome means, and how it ends."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.connection.keeping import kept_reason
from vnode_suite.connection.lanes import takes_a_turn
from vnode_suite.connection.learning import with_learnt
from vnode_suite.connection.run import Run, Wanted
from vnode_suite.core.collector import sparing_collector
from vnode_suite.core.errors import SuiteError
from vnode_suite.core.progress import progress_for
from vnode_suite.core.settings import Learnt, Settings
from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.model import Exit
from vnode_suite.pytest_plugin.beginning import tell_the_beginning
from vnode_suite.pytest_plugin.cases import Case, Casebook, case_of, scenario_order
from vnode_suite.pytest_plugin.distribution import LEARNT, RUN_ID, SECRETS, Distribution, distributes
from vnode_suite.pytest_plugin.judging import Judge
from vnode_suite.pytest_plugin.kept import KeptLines
from vnode_suite.pytest_plugin.marks import clause_of
from vnode_suite.pytest_plugin.options import option_values
from vnode_suite.pytest_plugin.outcomes import record_not_run, record_outcome
from vnode_suite.pytest_plugin.planning import Planner
from vnode_suite.pytest_plugin.screen import Screen
from vnode_suite.pytest_plugin.signals import Interrupts
from vnode_suite.pytest_plugin.usage import build_settings
from vnode_suite.report.html import prepare
from vnode_suite.report.render import Rendered, render
from vnode_suite.report.types import Report


class Acceptance:
    """The plugin of one acceptance run; registered only when one is asked for."""

    def __init__(self, config: pytest.Config, settings: Settings, run_id: str, shard: str) -> None:
        self.config = config
        self.settings = settings
        self.casebook = Casebook(settings, load_catalogue(settings.scope.page_revision), load_defects())
        self.run = Run(settings, run_id, settings.report.folder / run_id, shard)
        self.rendered: Rendered | None = None
        self._judges: dict[str, Judge] = {}
        self._entered = False
        self._begun = False
        self._interrupts = Interrupts(quiet=self.is_worker)
        self._screen = Screen(config, settings.report.language, silent=self.is_worker)
        config.pluginmanager.register(self._screen, "vnode-suite-screen")
        self._secrets_told = 0
        #: Node ids of which something was heard.
        self._reported: set[str] = set()
        self._cases: Mapping[str, Case | None] = {}
        #: Only in a controller that leaves the cells to workers.
        self.distribution: Distribution | None = None

    @classmethod
    def from_config(cls, config: pytest.Config) -> Acceptance:
        """Resolve the options.

        :raises UsageError: what was asked for can be known to be wrong.
        :raises HarnessError: a given cluster could not be asked for its version.
        """
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        given = worker.get(LEARNT) if worker else None
        settings = with_learnt(build_settings(option_values(config)), Learnt(**given) if given else None)
        if settings.plan_only:
            # What one process collects is the whole plan: no worker is started for it.
            config.option.dist, config.option.tx = "no", []
        run_id = worker[RUN_ID] if worker else secrets.token_hex(4)
        # It has nothing to say of scenarios, and imports all of hypothesis, a second's work, to say so at the end.
        config.pluginmanager.unregister(name="hypothesispytest")
        plugin = cls(config, settings, run_id, worker["workerid"] if worker else "main")
        if settings.plan_only:
            config.pluginmanager.register(Planner(plugin.run), "vnode-suite-planner")
        config.pluginmanager.register(KeptLines(plugin._rendered_report, settings.report.language))
        if distributes(config):
            plugin.distribution = Distribution(plugin.run, plugin.casebook, plugin._begin)
            config.pluginmanager.register(plugin.distribution, "vnode-suite-distribution")
        return plugin

    def _rendered_report(self) -> Report | None:
        return self.rendered.report if self.rendered else None

    @property
    def is_worker(self) -> bool:
        """Whether this is an xdist worker: it runs cells, the controller reports."""
        return hasattr(self.config, "workerinput")

    # -- collecting -------------------------------------------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One case for each cell where the clause applies, and one for each defect that it must notice there."""
        name = clause_of(metafunc.definition)
        if name is None:
            return
        cases = list(self.casebook.cases(self.casebook.catalogue.clause(name)))
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The order of the walk, and nothing that has no case in this run."""
        kept = [item for item in items if clause_of(item) is None or case_of(item) is not None]
        items[:] = scenario_order(self.settings, kept)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A scenario that cannot be read is an error of the harness."""
        if report.failed:
            self.run.ledger.write("harness-error", where=report.nodeid, message=report.longreprtext[-2000:])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the run what was selected, so that it can start early what takes time."""
        wanted: dict[str, list[tuple[str, str | None]]] = {}
        self._cases = {item.nodeid: case_of(item) for item in session.items}
        for case in self._cases.values():
            if case is not None:
                wanted.setdefault(case.cell.id, []).append(
                    (case.clause, case.defect.name if case.defect else None)
                )
        self.run.wanted = {cell: tuple(cases) for cell, cases in wanted.items()}
        if self.is_worker:
            # The controller collects nothing, and must be able to name what a worker that dies does not run.
            clauses = {
                item.nodeid.partition("[")[0]: case.clause
                for item in session.items
                if (case := case_of(item))
            }
            self.run.ledger.write("collected", clauses=clauses)

    # -- running ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """The run's own things are there while the scenarios run."""
        if self.config.option.collectonly or self.settings.plan_only:
            return (yield)
        self._interrupts.__enter__()
        if not self.is_worker:
            self._provision()
        with sparing_collector(), self._screen.shown(self.run.ledger):
            if not self.is_worker:
                # While the first control plane starts the processors have time for it.
                threading.Thread(target=prepare, name="templates", daemon=True).start()
            if self.distribution is not None:
                self.distribution.start()
                return (yield)
            if not self.is_worker:
                self._begin(self.run.wanted)
            self.run.__enter__()
            self._entered = True
            return (yield)

    def _provision(self) -> None:
        """Have every control plane's programs in the store before anything else is shown, with a bar for what is long.

        What cannot be had is said by the world that needs it.
        """
        with suppress(SuiteError):
            self.run.provision(progress_for(self._screen.stream()))

    def _begin(self, wanted: Mapping[str, Wanted]) -> None:
        self.run.wanted, self._begun = wanted, True
        tell_the_beginning(self.run, self.casebook, self.config.invocation_params.args)

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> Case:
        """The case being run; given by parametrisation."""
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def vnode(self, case: Case) -> Any:
        """The VNode under test, or the twin with the case's defect."""
        cell = self.run.cell(case.cell)
        if case.defect is None:
            return cell.sound
        if takes_a_turn(case.clause, case.defect):
            return cell.exclusive(case.defect)
        return cell.twin(case.defect)

    @pytest.fixture
    def observed(self, case: Case, vnode: Any) -> Any:
        """What is seen of the VNode for the scenario's clause."""
        from vnode_suite.connection.observing.registry import look_of
        from vnode_suite.connection.several import PER_VNODE, observe_each

        look = look_of(case.clause)
        if self.settings.count > 1 and case.defect is None and case.clause in PER_VNODE:
            return observe_each(self.run.cell(case.cell), look)
        return vnode.observe(look)

    @pytest.fixture
    def judge(self, request: pytest.FixtureRequest, case: Case) -> Judge:
        """Hands an observation to a check, and writes down what it says."""
        made = Judge(self.run.cell(case.cell), case, request.node.nodeid)
        self._judges[request.node.nodeid] = made
        return made

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Close a version's world when the next version begins: its processes make room."""
        try:
            return (yield)
        finally:
            case, following = case_of(item), case_of(nextitem) if nextitem is not None else None
            if case is not None and following is not None and following.cell.version != case.cell.version:
                self.run.leave(case.cell.version)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show what is judged, should it take a while."""
        case = (self.distribution.items if self.distribution is not None else self._cases).get(nodeid)
        if case is not None:
            self._screen.judging(nodeid, case)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It was judged."""
        self._screen.judged(nodeid)

    # -- outcomes ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say of each outcome what it is: a step that was not reached is neither a failure nor a pass."""
        report = yield
        case = case_of(item)
        if case is not None:
            record_outcome(self.run, case, report, call, self._judges.get(item.nodeid))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what was reported."""
        self._reported.add(report.nodeid)

    # -- the end ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Iterator[None]:
        """Close everything, write the report, and end with the verdict's status."""
        # Innermost of the wrappers: fixtures are torn down and workers gone when the closing begins, and the
        # terminal's summary comes after it.
        self._interrupts.closing()
        interrupted = bool(self._interrupts.received)
        if interrupted and not self.run.is_outlived:
            # Before the fixtures: what they would restore goes with the cluster, and their waits end.
            self._close(hurriedly=True)
        if self.distribution is not None:
            self.distribution.stop_workers()
        try:
            return (yield)
        except Exception as problem:
            # A fixture's teardown, of a world that a hurried closing has taken away already.
            if not interrupted:
                self.run.ledger.write(
                    "harness-error", where="teardown", message=f"{type(problem).__name__}: {problem}"
                )
            return None
        finally:
            self._close(hurriedly=interrupted)
            if self.is_worker:
                self.config.workeroutput[SECRETS] = _plain(self.run.secrets.known())  # type: ignore[attr-defined]
            elif self._begun or self.distribution is not None:
                self._finish(session, self._outcome(session, int(exitstatus)))
            self.run.ledger.close()
            if not self.is_worker and self.rendered is None and not (self._begun and self.run.wanted):
                # Nothing was run (only collected, say): no folder without a report.
                shutil.rmtree(self.run.folder, ignore_errors=True)

    def pytest_unconfigure(self) -> None:
        """Signals are others' again."""
        self._interrupts.__exit__(None, None, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, Any, Any]:
        """Hand new secrets to the controller with each report: a worker that dies later tells none."""
        data = yield
        if self.is_worker and data is not None:
            fresh = self.run.secrets.known(after=self._secrets_told)
            data[SECRETS] = _plain(fresh)
            self._secrets_told += len(fresh)
        return data

    def _close(self, *, hurriedly: bool) -> None:
        if not self._entered:
            return
        self._entered = False
        self.run.close(hurriedly=hurriedly)
        for entry in self.run.journal.left:
            if not entry.undo.get("ends_with_run"):
                reason = kept_reason(self.settings.keep) if entry.id in self.run.kept else "not undone"
                self.run.ledger.write(
                    "left", kind=entry.kind, name=entry.name, where=entry.where, id="", reason=reason
                )

    def _outcome(self, session: pytest.Session, exitstatus: int) -> int:
        """The status that pytest would end with, as a plain run has it."""
        items = self._cases
        stopped = bool(session.shouldfail or session.shouldstop)
        if self.distribution is not None:
            self.distribution.finish(interrupted=exitstatus == Exit.INTERRUPTED)
            if not self._begun:
                self._begin({})
            items, stopped = self.distribution.items, self.distribution.stopped_at_failure
        if self._interrupts.received:
            return int(Exit.INTERRUPTED)
        if not stopped:
            return exitstatus
        # -x or --maxfail, which xdist calls an interruption.
        for item, case in items.items():
            if case is not None and case.defect is None and item not in self._reported:
                record_not_run(self.run, case, item)
        return int(Exit.REJECTED)

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == Exit.INTERRUPTED:
            self.run.ledger.write("interrupted", signal=self._interrupts.received)
        ended = 0 if exitstatus == Exit.REJECTED else exitstatus
        self.run.ledger.write("run-finished", exit_status=ended)
        died = self.distribution is not None and self.distribution.lost
        if not self.run.wanted and not died and exitstatus in (Exit.CONFORMANT, Exit.NOTHING):
            session.exitstatus = Exit.NOTHING
            return
        try:
            self.rendered = render(self.run.folder, self.casebook.catalogue, self.settings.report.language)
            self._screen.rendered = self.rendered
        except (OSError, SuiteError) as problem:
            self.run.ledger.write("harness-error", where="the report", message=str(problem))
            session.exitstatus = Exit.HARNESS
            return
        _point_latest(self.settings.report.folder, self.run.id)
        session.exitstatus = self.rendered.report.verdict.exit_status


def _plain(known: list[tuple[str, str]]) -> list[list[str]]:
    return [list(secret) for secret in known]


def _point_latest(folder: Path, run_id: str) -> None:
    latest, fresh = folder / "latest", folder / f".latest-{run_id}"
    fresh.symlink_to(run_id)
    fresh.replace(latest)
