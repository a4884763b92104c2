"""Over several versions the defects of one clause take turns: which is shown where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.model import Identity
from vnode_suite.pytest_plugin.cases import Casebook, dealt
from vnode_suite.pytest_plugin.usage import build_settings

_NAMES = st.lists(st.sampled_from("abcdefghijkl"), unique=True)


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


@given(st.lists(_NAMES, min_size=1, max_size=12))
def test_every_defect_has_a_turn_and_every_version_has_one(rows: Sequence[Sequence[str]]) -> None:
    """No version that can show one is left without, none is shown where it cannot be had, and none is never shown."""
    possible = {str(number): names for number, names in enumerate(rows)}
    turns: Mapping[str, frozenset[str]] = dealt(possible)
    assert turns.keys() == possible.keys()
    assert all(turns[version] <= set(names) for version, names in possible.items())
    assert all(turns[version] for version, names in possible.items() if names)
    assert set().union(*turns.values()) == {name for names in rows for name in names}


def test_one_version_shows_all_there_are() -> None:
    """Nobody has to wait for another version that is not run."""
    alone, every = book(**{"k8s-version": ["1.22"]}), book(**{"k8s-version": ["1.22"], "controls": "all"})
    assert not alone.takes_turns
    assert shown(alone) == shown(every)


def test_ten_versions_show_each_clause_on_each_and_each_defect_somewhere() -> None:
    """Of what can be shown on a version, with that identity, some is; of a clause's defects, each is."""
    dealt_out = shown(book(**{"k8s-version": ["all"]}))
    every = shown(book(**{"k8s-version": ["all"], "controls": "all"}))
    assert dealt_out.keys() == every.keys()
    assert all(dealt_out[place] <= every[place] for place in every)
    for clause, identity in {(clause, identity) for clause, _, identity in every}:
        some = set().union(*(names for (c, _, i), names in dealt_out.items() if (c, i) == (clause, identity)))
        whole = set().union(*(names for (c, _, i), names in every.items() if (c, i) == (clause, identity)))
        assert some == whole, clause
    assert sum(map(len, dealt_out.values())) < sum(map(len, every.values()))
