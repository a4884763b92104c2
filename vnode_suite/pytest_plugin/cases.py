"""Which cases a scenario is run in: each cell, and each defect that its clause must notice there.

A negative control is no second test. It is the same function on a twin that has one named defect, so the
catalogue of defects decides how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from vnode_suite.connection.conditions import conditions
from vnode_suite.connection.early import JUDGED_LAST
from vnode_suite.connection.given import withheld as given_withheld
from vnode_suite.connection.limits import not_to_be_had
from vnode_suite.core.settings import Settings
from vnode_suite.data.catalogue import Catalogue, not_applicable, profile_covers
from vnode_suite.data.defects import Defects
from vnode_suite.model import Cell, Clause, Cloud, Defect, DefectScope, Provider, Text
from vnode_suite.pytest_plugin.turns import Control, dealt


@dataclass(frozen=True, slots=True)
class Case:
    """One way to run a scenario: in a cell, on the VNode under test or on a twin with *defect*."""

    cell: Cell
    clause: str
    defect: Defect | None = None

    @property
    def id(self) -> str:
        """``1.22-bootstrap``, or ``1.22-bootstrap~wrong-ca`` for a control."""
        return f"{self.cell.id}~{self.defect.name}" if self.defect else self.cell.id


@dataclass(frozen=True, slots=True)
class Casebook:
    """Decides the cases of each clause for one run."""

    settings: Settings
    catalogue: Catalogue
    defects: Defects
    #: What was dealt out once it is: clause and cell to the defects whose turn it is there.
    _turns: dict[tuple[str, Cell], list[Defect]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def cases(self, clause: Clause) -> Iterator[Case]:
        """The cases of *clause* in every cell where it applies and is in scope, controls after the real one."""
        if not self.in_scope(clause):
            return
        for cell in self.settings.cells:
            if self.why_not(clause, cell) is None:
                yield Case(cell, clause.id)
                if self.settings.scope.controls and clause.judged:
                    yield from (Case(cell, clause.id, defect) for defect in self.controls(clause, cell))

    def in_scope(self, clause: Clause) -> bool:
        """Whether the profile covers *clause* and the selection, if any, names it."""
        scope = self.settings.scope
        if not profile_covers(clause, scope.profile) or self.withheld(clause) is not None:
            return False
        return not scope.selection or clause.id in {c.id for c in self.catalogue.select(scope.selection)}

    def withheld(self, clause: Clause) -> Text | None:
        """Why *clause* is not looked at here, or only if it is asked for by name; else ``None``."""
        given = self.settings.given
        if given is not None and (why := given_withheld(clause.id, given)) is not None:
            return why
        if clause.id == "CREATE-03" and self.settings.cloud.recorded_from is Cloud.LIVE:
            return _NEVER_REPEATED
        if clause.id == "SCHED-06" and self.settings.cloud.endpoint:
            return _NO_CONTAINERS
        if self.settings.cluster.provider is not Provider.LOCAL and clause.id == _SOAKED:
            return None if self.settings.scope.soak_seconds else _NO_SOAK
        if (
            self.settings.cluster.provider is not Provider.EXISTING
            or clause.id in self.settings.scope.selection
        ):
            return None
        return _WITHHELD.get(clause.id)

    def why_not(self, clause: Clause, cell: Cell) -> object:
        """Why *clause* does not apply in *cell*; ``None`` where it does."""
        return not_applicable(
            clause,
            version_minor=cell.minor,
            identity=cell.identity.value,
            cloud=self.settings.cloud.cloud.value,
            site=self.settings.cluster.site,
            conditions=conditions(self.settings, cell),
        )

    def controls(self, clause: Clause, cell: Cell) -> Iterator[Defect]:
        """The defects that show, in *cell*, that the check of *clause* can fail.

        What knows nothing of the identity is shown once a version (see :meth:`_shown_in`): a second VNode with its port
        closed would show nothing new. Where several versions are run, the defects of one clause take turns
        (`turns.py`), unless all are asked for.
        """
        yield from self._turn_of(clause, cell) if self.takes_turns else self._possible(clause, cell)

    @property
    def takes_turns(self) -> bool:
        """Whether the defects of one clause are dealt out over the versions of the run."""
        return self.settings.scope.controls and self.settings.takes_turns

    def _possible(self, clause: Clause, cell: Cell) -> tuple[Defect, ...]:
        """Every control that can be shown in *cell*."""
        if clause.id == _SOAKED and self.settings.cluster.provider is not Provider.LOCAL:
            # A second VNode would have to be watched as long, and run out of its certificate.
            return ()
        return tuple(
            defect
            for defect in self._fitting(clause, cell)
            if (defect.where in _OF_THE_IDENTITY or cell == self._shown_in(clause, cell, defect))
            and self._permitted(defect)
        )

    def _turn_of(self, clause: Clause, cell: Cell) -> Sequence[Defect]:
        """The defects of *clause* whose turn it is in *cell*."""
        if not self._turns:
            every = [
                Control(each.id, place, defect, defect.where in _OF_THE_IDENTITY)
                for each in self.catalogue.clauses
                if each.judged and self.in_scope(each)
                for place in self.settings.cells
                if self.why_not(each, place) is None
                for defect in self._possible(each, place)
            ]
            turns = dealt(every)
            for control in every:
                if control in turns:
                    self._turns.setdefault((control.clause, control.cell), []).append(control.defect)
        return self._turns.get((clause.id, cell), ())

    def controls_not_to_be_had(self) -> Mapping[str, Text]:
        """Defects that twins would be given if the emulator answered for the ECI API, with why none can have them."""
        if not self.settings.scope.controls:
            return {}
        return {
            defect.name: why
            for clause in self.catalogue.clauses
            for cell in self.settings.cells
            if clause.judged and self.in_scope(clause) and self.why_not(clause, cell) is None
            for defect in self._fitting(clause, cell)
            if (why := not_to_be_had(defect, self.settings.cloud.cloud)) is not None
        }

    def _fitting(self, clause: Clause, cell: Cell) -> tuple[Defect, ...]:
        identity, profile = cell.identity.value, self.settings.scope.profile.value
        return tuple(
            self.defects.controls_in(clause.id, minor=cell.minor, identity=identity, profile=profile)
        )

    def _shown_in(self, clause: Clause, cell: Cell, defect: Defect) -> Cell | None:
        """The cell of *cell*'s version in which what knows nothing of the identity is shown: of those where it can be,
        one whose VNodes join without asking for a certificate, since each twin is one that joins."""
        cells = self.settings.cells_of(cell.version)
        for each in sorted(cells, key=lambda one: one.asks_for_certificate):
            if self.why_not(clause, each) is None and defect in self._fitting(clause, each):
                return each
        return None

    def _permitted(self, defect: Defect) -> bool:
        """Whether *defect* may be made where the run is: what changes a cluster for everybody, only on its own."""
        if not_to_be_had(defect, self.settings.cloud.cloud) is not None:
            return False
        if self.settings.cluster.provider is not Provider.EXISTING:
            return True
        if defect.scope == "own-cluster" or defect.shared:
            return False
        return self.settings.cluster.apply_exclusion != "off" or not defect.name.startswith("kube-proxy-")


#: Said of a run in which they take turns.
CONTROLS_TAKE_TURNS = Text(
    "Each clause that has negative controls was to be seen to fail on each version; where it has several, they took "
    "turns over the versions and identities, each at least once: --vnode-controls all shows each on each.",
    "凡有反例对照的条款，均须在每个版本上被证明会失败；同一条款有多个对照时，按版本和身份轮流执行，每个至少一次："
    "--vnode-controls all 则在每个版本上执行全部对照。",
)
#: Said of a run over several versions that provokes failures.
FAILURES_TAKE_TURNS = Text(
    "The failures that EVENT-04 provokes took turns over the versions, each at least once: --vnode-controls all "
    "provokes each on each.",
    "EVENT-04 所诱发的故障按版本轮流进行，每种至少一次：--vnode-controls all 则在每个版本上诱发全部故障。",
)


def controls_left_out(missing: Mapping[str, Text], cloud: Cloud) -> Text:
    """The controls that were not run because no twin can have their defect, each with its reason."""
    by_reason: dict[Text, list[str]] = {}
    for name, why in missing.items():
        by_reason.setdefault(why, []).append(name)
    en = "; ".join(f"{why.en}: {', '.join(names)}" for why, names in by_reason.items())
    zh = ";".join(f"{why.zh}:{'、'.join(names)}" for why, names in by_reason.items())
    return Text(
        f"negative controls not run with --vnode-cloud {cloud.value}: {en}",
        f"--vnode-cloud {cloud.value} 下未执行的反向对照:{zh}",
    )


#: Where a defect lives that means something else for each identity.
_OF_THE_IDENTITY = frozenset({"access", "approver", "kubeconfig", "request"})
#: Looked at on a given cluster only when named in ``--vnode-clause``, each with the reason.
_WITHHELD: Mapping[str, Text] = {
    "KCFG-04": Text(
        "improper certificate requests are made on an existing cluster only when asked for: --vnode-clause KCFG-04",
        "在现有集群上,仅在明确要求时才提交不当的证书请求:--vnode-clause KCFG-04",
    )
}
_NO_CONTAINERS = Text(
    "what a Pod reaches is told by a program in it, and behind an endpoint that stands for the service none runs",
    "Pod 能访问什么由其中的程序说明,而代替服务的接入点之后并不真正运行程序",
)
_NEVER_REPEATED = Text(
    "a live run does not repeat the call, which might buy a second VNode: its recording has no answer",
    "真实运行不会重复该调用(可能再购买一个 VNode),因此录制中没有相应应答",
)
#: Renewals come as seldom as the certificates of a cluster that is not the run's own live long.
_SOAKED = "CREATE-07"
_NO_SOAK = Text(
    "whether certificates of this cluster are renewed takes longer than minutes: --vnode-profile full --vnode-soak "
    "DURATION",
    "该集群的证书续签无法在几分钟内观察到：请使用 --vnode-profile full --vnode-soak DURATION",
)

#: Sound cases first, then twins that disturb nobody, then those that need the cell for themselves; what closes
#: the connection (chapter CLEAN) comes after all cells of the version, which share a cluster.
_SCOPE_ORDER: dict[DefectScope | None, int] = {
    None: 0,
    "own-object": 1,
    "cell-exclusive": 2,
    "own-cluster": 3,
}


def scenario_order(settings: Settings, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """*items* in the order of the walk, whatever other plugins made of it; items of no case stay first."""
    versions = {version: rank for rank, version in enumerate(settings.versions)}
    cells = {cell.id: rank for rank, cell in enumerate(settings.cells)}

    def key(position: int, item: pytest.Item) -> tuple[int, ...]:
        case = case_of(item)
        if case is None:
            return (-1, 0, 0, 0, 0, 0, position)
        # 0: what is judged as it comes; 1: what was watched meanwhile; 2: the closing.
        phase = 2 if case.clause.startswith("CLEAN-") else int(case.clause in JUDGED_LAST)
        scope = case.defect.scope if case.defect else None
        definition = _definition_order(item)
        rank = (versions[case.cell.version], phase, cells[case.cell.id])
        return (*rank, _SCOPE_ORDER[scope], *definition, position)

    ranked = sorted(enumerate(items), key=lambda pair: key(*pair))
    return [item for _, item in ranked]


def _definition_order(item: pytest.Item) -> tuple[int, int]:
    """Where the function stands: its file's number, then its line, so that ``--ff`` or a shuffle changes nothing."""
    name = item.path.name.removeprefix("test_")
    number = name.split("_", 1)[0]
    line = item.location[1] or 0
    return (int(number) if number.isdigit() else 999, line)


def case_of(item: pytest.Item) -> Case | None:
    """The case that *item* runs, or ``None`` for a test of somebody else."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    return case if isinstance(case, Case) else None
