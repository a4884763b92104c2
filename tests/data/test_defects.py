"""The catalogue of wrongs: complete, consistent, and the contract of every negative control."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.data.catalogue import WITHOUT, load_catalogue, not_applicable
from vnode_suite.data.defects import load_defects, parse_defects
from vnode_suite.data.tables import read_table, violations
from vnode_suite.model import Identity, Profile

REVISIONS = ("2024-02", "2025-07")


def table() -> dict[str, Any]:
    """The shipped table, to be changed."""
    return copy.deepcopy(read_table("defects.toml"))


def test_the_table_has_the_published_shape() -> None:
    """The table is of the shape that its schema describes."""
    assert violations(read_table("defects.toml"), "defects") == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_judged_clause_can_be_seen_to_fail(revision: str) -> None:
    """Each judged clause has a defect that fails it, or says why none can."""
    bare = [
        clause.id
        for clause in load_catalogue(revision).clauses
        if clause.judged and clause.no_control is None and not load_defects().controls(clause.id)
    ]
    assert bare == []


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("cloud", ["emulator", "live"])
@pytest.mark.parametrize("site", ["ecs", "idc"])
# Where nobody knows who a VNode is, what needs that is out of scope, and there is no twin of it.
@pytest.mark.parametrize("identity", [each for each in Identity if each is not Identity.UNKNOWN])
def test_every_judged_clause_has_a_control_wherever_it_applies(
    revision: str, cloud: str, site: str, identity: Identity
) -> None:
    """In each cell each clause that applies has a control that suits the cell and the clause's profile."""
    catalogue, defects = load_catalogue(revision), load_defects()
    first, last = (int(end.removeprefix("1.")) for end in catalogue.window)
    bare = []
    for minor in (f"1.{number}" for number in range(first, last + 1)):
        for clause in catalogue.clauses:
            reason = not_applicable(
                clause,
                version_minor=minor,
                identity=identity.value,
                cloud=cloud,
                site=site,
                conditions=tuple(WITHOUT),
            )
            if clause.judged and clause.no_control is None and reason is None:
                found = defects.controls_in(
                    clause.id, minor=minor, identity=identity.value, profile=clause.profile
                )
                bare += [] if found else [(clause.id, minor)]
    assert bare == []


def test_only_judged_clauses_are_failed() -> None:
    """A defect fails and disturbs clauses that there are, and never one that is only reported."""
    catalogue = load_catalogue("2024-02")
    for defect in load_defects():
        for clause, _ in defect.fails:
            assert catalogue.clause(clause).judged, (defect.name, clause)
        for clause in defect.unreached:
            assert catalogue.clause(clause).excluded is None, (defect.name, clause)


def test_a_clause_never_fails_and_could_not_run_at_once() -> None:
    """What a defect fails is not among what it makes unreachable."""
    for defect in load_defects():
        assert not set(dict(defect.fails)) & set(defect.unreached), defect.name


def test_every_reason_is_explained_and_used() -> None:
    """The reasons of the defects and the explained ones are the same."""
    defects = load_defects()
    used = {reason for defect in defects for _, reason in defect.fails}
    assert used == set(defects.reasons)


def test_titles_are_in_both_languages() -> None:
    """Each defect says what is wrong in English and in Chinese."""
    for defect in load_defects():
        assert not any("一" <= character <= "鿿" for character in defect.title.en), defect.name
        assert any("一" <= character <= "鿿" for character in defect.title.zh), defect.name


def test_a_defect_that_fails_nothing_must_be_tolerated_or_reported() -> None:
    """Only oddities fail nothing: what a check must hold with, or what an INFO clause reports."""
    harmless = {defect.name for defect in load_defects() if not defect.fails}
    tolerated = {defect.name for clause in ("NODE-01",) for defect in load_defects().tolerated_by(clause)}
    assert harmless - tolerated == {"runs-daemonset-pods"}


def test_a_vnode_of_another_name_must_still_be_found() -> None:
    """NODE-01 holds for a Node called vnode1."""
    assert "node-name-vnode1" in {defect.name for defect in load_defects().tolerated_by("NODE-01")}


def test_steps_that_need_each_other_are_nested() -> None:
    """What needs a later step needs the earlier ones too."""
    needs = load_defects().needs
    order = ["generated", "create", "created", "registered", "ready", "pod"]
    for earlier, later in itertools.pairwise(order):
        assert set(needs[later]) < set(needs[earlier]), (earlier, later)


def test_approver_off_stops_the_join_and_nothing_else() -> None:
    """Without an approver one clause fails, what needs a Node could not run, and the rest stays judged."""
    fails, unreached = load_defects().expected(["approver-off"])
    assert fails == {"KCFG-03": {"csr-pending"}}
    assert {"NODE-01", "PORT-01", "SCHED-01", "DS-02", "KCFG-04"} <= unreached
    assert not unreached & {"PERM-01", "KCFG-09", "CREATE-01", "CREATE-02", "DS-01", "CLEAN-02"}


def test_two_defects_are_expected_together() -> None:
    """What one defect makes unreachable is not expected to fail for another."""
    fails, unreached = load_defects().expected(["vnode-never-registers", "port-10250-closed"])
    assert fails == {"NODE-01": {"not-listed"}}
    assert "PORT-01" in unreached


def test_controls_are_fewer_than_what_fails() -> None:
    """A binding taken away keeps the Node from coming, and still is no control of NODE-01."""
    defects = load_defects()
    failing = {defect.name for defect in defects.failing("NODE-01")}
    controls = {defect.name for defect in defects.controls("NODE-01")}
    assert "system-node-unbound" in failing
    assert controls == {"vnode-never-registers", "api-says-ready-without-node"}


def test_controls_suit_cell_and_profile() -> None:
    """Slow controls run in full only; those of another identity or minor not at all."""
    defects = load_defects()

    def names(clause: str, minor: str, identity: Identity, profile: Profile) -> set[str]:
        found = defects.controls_in(clause, minor=minor, identity=identity.value, profile=profile.value)
        return {defect.name for defect in found}

    assert names("PORT-01", "1.22", Identity.BOOTSTRAP, Profile.STANDARD) == {
        "kubelet-not-listening",
        "port-10250-closed",
    }
    assert "port-10250-dropped" in names("PORT-01", "1.22", Identity.BOOTSTRAP, Profile.FULL)
    assert names("PERM-07", "1.14", Identity.BOOTSTRAP, Profile.FULL) == set()
    assert names("PERM-01", "1.22", Identity.ADMIN, Profile.STANDARD) == {"admin-without-rights"}


@pytest.mark.parametrize(
    ("name", "identity", "minor", "concerned"),
    [
        ("tls-flag-on-with-token", "serviceaccount", "1.22", True),
        ("tls-flag-on-with-token", "bootstrap", "1.22", False),
        ("endpoints-right-missing", "bootstrap", "1.13", True),
        ("endpoints-right-missing", "bootstrap", "1.14", False),
        ("port-10250-closed", "admin", "1.22", True),
    ],
)
def test_a_defect_concerns_the_cells_where_it_is_one(
    name: str, identity: str, minor: str, concerned: bool
) -> None:
    """One that is asked for leaves the others alone."""
    assert load_defects().defect(name).concerns(identity, minor) is concerned


def test_a_reason_is_found_by_clause() -> None:
    """The declared reason of a defect for a clause, and an error for a clause that it leaves alone."""
    defect = load_defects().defect("kube-proxy-not-excluded")
    assert defect.reason_for("DS-02") == "pod-bound"
    with pytest.raises(KeyError):
        defect.reason_for("NODE-01")


def test_an_unknown_defect_is_refused_with_what_comes_near() -> None:
    """A misspelt name is a usage error that names its neighbours."""
    assert "port-10250-closed" in load_defects()
    assert "port-10250-close" not in load_defects()
    with pytest.raises(UsageError, match="port-10250-closed"):
        load_defects().defect("port-10250-close")


def test_a_table_with_two_defects_of_one_name_is_refused() -> None:
    """Names are unique."""
    changed = table()
    changed["defect"].append(changed["defect"][0])
    with pytest.raises(ValueError, match="two defects are called"):
        parse_defects(changed)


def test_a_control_for_what_is_not_failed_is_refused() -> None:
    """A defect cannot be the control of a clause that it does not fail."""
    changed = table()
    changed["defect"][0]["control_for"] = ["DS-07"]
    with pytest.raises(ValueError, match="without failing it"):
        parse_defects(changed)


def test_an_unexplained_reason_is_refused() -> None:
    """Every reason has its explanation."""
    changed = table()
    changed["defect"][0]["fails"] = {"PRE-01": "because"}
    with pytest.raises(ValueError, match="not explained"):
        parse_defects(changed)
