"""What a given cluster says of itself, and what follows for the cells, their conditions and their cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vnode_suite.clusters.existing import minor_of
from vnode_suite.connection.conditions import conditions
from vnode_suite.connection.learning import with_learnt
from vnode_suite.core.errors import ClusterError
from vnode_suite.core.settings import (
    CloudSettings,
    ClusterSettings,
    Learnt,
    ReportSettings,
    ScopeSettings,
    Settings,
)
from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.data.minimums import minimum_rules
from vnode_suite.data.versions import load_versions
from vnode_suite.model import Cell, Identity, Provider
from vnode_suite.pytest_plugin.cases import Casebook


def _settings(
    learnt: Learnt | None = None, *, exclusion: str = "off", selection: tuple[str, ...] = ()
) -> Settings:
    from pathlib import Path

    return Settings(
        (Cell("given", Identity.BOOTSTRAP, Provider.EXISTING),),
        ClusterSettings(
            Provider.EXISTING,
            kubeconfig=Path("admin.conf"),
            apply_exclusion=exclusion,  # type: ignore[arg-type]
            learnt=learnt,
        ),
        CloudSettings(region="cn-test"),
        ScopeSettings(controls=True, selection=selection),
        ReportSettings(),
    )


_LEARNT = Learnt("v1.22.15-vendor.3", "1.22", kube_proxy=True)


@pytest.mark.parametrize(
    ("said", "minor"),
    [("v1.22.15", "1.22"), ("v1.18.20-eks-1", "1.18"), ("v1.30.0+k3s1", "1.30"), ("1.9.11", "1.9")],
)
def test_minor_of_what_servers_say(said: str, minor: str) -> None:
    """Vendors add to the version; the minor is its first two numbers."""
    assert minor_of(said) == minor


def test_a_version_that_is_none_is_refused() -> None:
    """A server that says something else is no Kubernetes API server that could be accepted."""
    with pytest.raises(ClusterError):
        minor_of("unknown")


def test_cells_are_named_by_the_server() -> None:
    """The cell's version is what the server said, not what nobody could give on the command line."""
    assert [cell.id for cell in with_learnt(_settings(), _LEARNT).cells] == ["1.22-bootstrap"]


@pytest.mark.parametrize("minor", ["1.9", "1.12", "1.31", "1.99"])
def test_a_minor_that_no_table_knows_has_facts(minor: str) -> None:
    """A server outside every window is looked at all the same, so that PRE-01 can say so."""
    version = load_versions().nearest(minor)
    assert version.minor == minor
    assert version.pages == ()
    assert minimum_rules(minor, "system:node") is not None
    settings = with_learnt(_settings(), Learnt(f"v{minor}.0", minor, kube_proxy=False))
    book = Casebook(settings, load_catalogue("2024-02"), load_defects())
    assert [case.id for case in book.cases(book.catalogue.clause("PRE-01")) if case.defect is None] == [
        f"{minor}-bootstrap"
    ]


def test_nearest_version_is_the_tables_own_where_it_has_it() -> None:
    """A known minor has its own facts."""
    assert load_versions().nearest("1.13") == load_versions().resolve("1.13")


def test_facts_of_a_newer_minor_are_the_newest_known() -> None:
    """A fact holds until something changes it."""
    assert load_versions().nearest("1.99").facts == load_versions().all[-1].facts


@pytest.mark.parametrize(
    ("kube_proxy", "exclusion", "held"),
    [
        (True, "off", {"kube-proxy"}),
        (True, "on", {"kube-proxy", "exclusion-applied"}),
        (False, "on", set()),
        (False, "off", set()),
    ],
)
def test_conditions_of_kube_proxy_are_what_the_cluster_has(
    kube_proxy: bool, exclusion: str, held: set[str]
) -> None:
    """There is kube-proxy where the server said so, and an exclusion of the run's where it was asked for."""
    settings = _settings(replace(_LEARNT, kube_proxy=kube_proxy), exclusion=exclusion)
    found = conditions(settings, settings.cells[0])
    assert found & {"kube-proxy", "exclusion-applied"} == held


def test_server_given_by_name_is_a_condition() -> None:
    """KCFG-10 applies where the kubeconfig names the server by a name."""
    settings = _settings(replace(_LEARNT, server_by_name=True))
    assert "server-by-name" in conditions(settings, settings.cells[0])


def test_improper_requests_are_withheld_unless_named() -> None:
    """KCFG-04 is out of scope on a cluster of others, with the reason, until --vnode-clause names it."""
    catalogue, defects = load_catalogue("2024-02"), load_defects()
    clause = catalogue.clause("KCFG-04")
    unasked = Casebook(with_learnt(_settings(), _LEARNT), catalogue, defects)
    assert unasked.withheld(clause) is not None
    assert list(unasked.cases(clause)) == []
    asked = Casebook(with_learnt(_settings(selection=("KCFG-04",)), _LEARNT), catalogue, defects)
    assert asked.withheld(clause) is None
    assert [case.id for case in asked.cases(clause)][:1] == ["1.22-bootstrap"]


def test_controls_that_change_what_is_others_are_not_made() -> None:
    """Even with controls on, nobody's built-in role is emptied and no foreign object labelled."""
    catalogue, defects = load_catalogue("2024-02"), load_defects()
    book = Casebook(with_learnt(_settings(), _LEARNT), catalogue, defects)
    made = {case.defect.name for clause in catalogue.clauses for case in book.cases(clause) if case.defect}
    assert "system-node-unbound" in made
    assert made.isdisjoint({"system-node-role-emptied", "foreign-label-added", "kube-proxy-not-excluded"})
    with_exclusion = Casebook(with_learnt(_settings(exclusion="on"), _LEARNT), catalogue, defects)
    names = {c.defect.name for clause in catalogue.clauses for c in with_exclusion.cases(clause) if c.defect}
    assert "kube-proxy-not-excluded" in names
