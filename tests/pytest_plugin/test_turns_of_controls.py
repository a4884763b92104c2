"""Over several versions the defects of one clause take turns: which is shown where."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.model import Cell, Identity, Provider
from vnode_suite.pytest_plugin.cases import Casebook
from vnode_suite.pytest_plugin.turns import Control, dealt
from vnode_suite.pytest_plugin.usage import build_settings

#: Clause, defect and identity.
Kind = tuple[str, str, Identity]
DEFECTS = {
    name: load_defects().defect(name) for name in ("tag-lost", "approver-off", "zero-vswitches", "no-route")
}
_KINDS = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(sorted(DEFECTS)),
    st.sampled_from([Identity.BOOTSTRAP, Identity.SERVICEACCOUNT]),
)


def book(**values: Any) -> Casebook:
    """What a run with these options has to do."""
    settings = build_settings({"region": "cn-shanghai", **values})
    return Casebook(settings, load_catalogue("2024-02"), load_defects())


def shown(of: Casebook) -> dict[tuple[str, str, Identity], set[str]]:
    """Clause, version and identity to the defects that are shown there."""
    found: dict[tuple[str, str, Identity], set[str]] = defaultdict(set)
    for clause in of.catalogue.clauses:
        for case in of.cases(clause):
            if case.defect is not None:
                found[clause.id, case.cell.version, case.cell.identity].add(case.defect.name)
    return found


@given(st.lists(st.lists(_KINDS, unique_by=lambda kind: (kind[0], kind[2])), min_size=1, max_size=12))
def test_every_version_shows_each_clause_and_the_run_each_defect(rows: Sequence[Sequence[Kind]]) -> None:
    """What can be shown on a version leaves no clause without, and with each identity every defect has a turn."""
    controls = [
        Control(
            clause, Cell(f"1.{13 + number}", identity, Provider.LOCAL), DEFECTS[name], of_the_identity=True
        )
        for number, kinds in enumerate(rows)
        for clause, name, identity in kinds
    ]
    turns = dealt(controls)
    assert turns <= set(controls)
    assert {each.place for each in turns} == {each.place for each in controls}
    assert {each.kind for each in turns} == {each.kind for each in controls}


def test_one_twin_serves_all_clauses_that_notice_it() -> None:
    """Where a VNode shows two clauses at once, nobody makes two."""
    both, one, other = (
        load_defects().defect(name)
        for name in ("kubelet-not-listening", "port-10250-closed", "port-10255-closed")
    )
    cells = [Cell(f"1.{minor}", Identity.SERVICEACCOUNT, Provider.LOCAL) for minor in range(13, 23)]
    controls = [
        Control(clause, cell, defect, of_the_identity=False)
        for cell in cells
        for clause, own in (("PORT-01", one), ("PORT-02", other))
        for defect in (own, both)
    ]
    twins = Counter(cell for cell, _ in {each.twin for each in dealt(controls)})
    # Each of the two that serve one clause alone is shown somewhere, beside one for the other clause.
    assert sum(twins.values()) <= len(cells) + 2


def test_one_version_shows_all_there_are() -> None:
    """Nobody has to wait for another version that is not run."""
    alone, every = book(**{"k8s-version": ["1.22"]}), book(**{"k8s-version": ["1.22"], "controls": "all"})
    assert not alone.takes_turns
    assert shown(alone) == shown(every)


def test_ten_versions_show_each_clause_on_each_and_each_defect_somewhere() -> None:
    """Of what can be shown on a version some is; of a clause's defects each is, with each identity."""
    dealt_out = shown(book(**{"k8s-version": ["all"]}))
    every = shown(book(**{"k8s-version": ["all"], "controls": "all"}))
    assert {place[:2] for place in dealt_out} == {place[:2] for place in every}
    assert all(dealt_out[place] <= every[place] for place in dealt_out)
    for clause, identity in {(clause, identity) for clause, _, identity in every}:
        some = set().union(*(names for (c, _, i), names in dealt_out.items() if (c, i) == (clause, identity)))
        whole = set().union(*(names for (c, _, i), names in every.items() if (c, i) == (clause, identity)))
        assert some == whole, clause
    assert sum(map(len, dealt_out.values())) < sum(map(len, every.values())) / 2
