"""The clauses: complete, in two languages, frozen a revision, and applied where they apply."""

from __future__ import annotations

import re

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.data.catalogue import (
    DROPPED,
    WITHOUT,
    Catalogue,
    load_catalogue,
    not_applicable,
    profile_covers,
    revisions,
)
from vnode_suite.data.deadlines import load_deadlines
from vnode_suite.data.tables import read_table, violations
from vnode_suite.model import Basis, Identity, Level, Profile, Text

#: How many clauses each chapter of the specification has.
CHAPTERS = {
    "PRE": 4,
    "PARAM": 9,
    "PERM": 11,
    "KCFG": 17,
    "CREATE": 13,
    "NODE": 6,
    "EVENT": 5,
    "PORT": 3,
    "DS": 7,
    "SCHED": 6,
    "CLEAN": 4,
}
#: The MUST clauses. Their set decides verdicts, so it changes on purpose only.
MUSTS = {
    "PRE": (1, 2, 4),
    "PARAM": (1, 2, 3, 4),
    "PERM": (1, 2, 3, 4, 5, 6, 7),
    "KCFG": (1, 2, 3, 4, 5, 6, 8, 9, 10, 12),
    "CREATE": (1, 2, 4, 5, 6, 7, 9, 10, 11),
    "NODE": (1, 2, 3),
    "EVENT": (2, 3),
    "PORT": (1,),
    "DS": (1, 2, 3, 5),
    "SCHED": (1, 2, 5),
    "CLEAN": (1, 2, 3, 4),
}
SHOULDS = {
    "PARAM-05",
    "PARAM-06",
    "PARAM-07",
    "PERM-09",
    "PERM-10",
    "KCFG-13",
    "KCFG-14",
    "CREATE-03",
    "NODE-04",
}
SHOULDS |= {"EVENT-01", "EVENT-04", "PORT-02", "DS-04", "SCHED-03", "SCHED-04"}
EXCLUDED = {"PARAM-09", "KCFG-17", "CREATE-08", "CREATE-13", "EVENT-05"}

_HAN = re.compile("[一-鿿]")


@pytest.fixture(params=["2024-02", "2025-07"])
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """The catalogue of each revision in turn."""
    return load_catalogue(request.param)


def why_not(
    catalogue: Catalogue, clause: str, conditions: tuple[str, ...] | None = None, **cell: str
) -> Text | None:
    """Why *clause* does not apply to a plain cell, changed by *cell*; every condition holds unless given."""
    facts = {"version_minor": "1.22", "identity": "bootstrap", "cloud": "emulator", "site": "ecs"} | cell
    held = tuple(WITHOUT) if conditions is None else conditions
    return not_applicable(catalogue.clause(clause), conditions=held, **facts)


def test_the_shipped_revisions_are_known() -> None:
    """Both revisions of the page have a file, and no other file lies there."""
    assert revisions() == ("2024-02", "2025-07")


@pytest.mark.parametrize("revision", ["2024-02", "2025-07"])
def test_the_files_have_the_published_shape(revision: str) -> None:
    """Each file is of the shape that its schema describes."""
    assert violations(read_table(f"clauses/{revision}.toml"), "clauses") == []


def test_every_clause_of_the_specification_is_there(catalogue: Catalogue) -> None:
    """All 85 ids, in order, none more."""
    wanted = [
        f"{chapter}-{number:02}" for chapter, count in CHAPTERS.items() for number in range(1, count + 1)
    ]
    assert [clause.id for clause in catalogue.clauses] == wanted
    assert len(wanted) == 85


def test_levels_are_those_of_the_specification(catalogue: Catalogue) -> None:
    """What rejects and what advises is as the specification says."""
    by_level: dict[Level, set[str]] = {level: set() for level in Level}
    for clause in catalogue.clauses:
        by_level[clause.level].add(clause.id)
    assert by_level[Level.MUST] == {f"{chapter}-{n:02}" for chapter, ns in MUSTS.items() for n in ns}
    assert by_level[Level.SHOULD] == SHOULDS


def test_what_no_program_can_observe_is_excluded_with_a_reason(catalogue: Catalogue) -> None:
    """Excluded rows stay in the list, are never judged, and say why."""
    excluded = {clause.id for clause in catalogue.clauses if clause.excluded is not None}
    assert excluded == EXCLUDED
    assert not any(catalogue.clause(name).judged for name in excluded)


def test_every_text_is_there_in_both_languages(catalogue: Catalogue) -> None:
    """English is English, Chinese is Chinese, and neither is the other's copy."""
    for clause in catalogue.clauses:
        texts = [clause.page_section, clause.title, clause.statement, clause.observed, clause.remedy]
        texts += [text for text in (clause.note, clause.excluded, clause.no_control) if text is not None]
        for text in texts:
            assert text.en.strip(), clause.id
            assert not _HAN.search(text.en), (clause.id, text.en)
            # A title may be a name of the API's, such as nodeName; then it still has a Chinese word.
            assert _HAN.search(text.zh) or text.zh == "DescribeContainerGroups。", (clause.id, text.zh)
            assert text.en != text.zh


def test_sentences_end_and_titles_do_not(catalogue: Catalogue) -> None:
    """Statements and remedies are sentences, titles are not."""
    for clause in catalogue.clauses:
        for sentence in (clause.statement, clause.observed, clause.remedy):
            assert sentence.en.endswith((".", "`.")), (clause.id, sentence.en)
            assert sentence.zh.endswith("。"), (clause.id, sentence.zh)
        assert not clause.title.en.endswith("."), clause.id
        assert len(clause.title.en) <= 48, clause.title.en


def test_statements_are_unlike_each_other(catalogue: Catalogue) -> None:
    """No two clauses have one title or one statement."""
    for attribute in ("title", "statement"):
        texts = [getattr(clause, attribute).en for clause in catalogue.clauses]
        assert len(set(texts)) == len(texts)


def test_every_deadline_is_in_the_table(catalogue: Catalogue) -> None:
    """A clause's deadline is an entry of the table of deadlines."""
    known = load_deadlines({}, simulated=False).names
    assert {clause.deadline for clause in catalogue.clauses if clause.deadline} <= set(known)


def test_headers_name_page_day_and_window() -> None:
    """Each revision says where the page is, of which day, and its window."""
    old, new = load_catalogue("2024-02"), load_catalogue("2025-07")
    assert (old.page_date, old.window) == ("2024-02-27", ("1.13", "1.22"))
    assert (new.page_date, new.window) == ("2025-07-06", ("1.16", "1.30"))
    assert old.page_url != new.page_url
    assert "1.13" in old.clause("PRE-01").statement.en
    assert "1.30" in new.clause("PRE-01").statement.zh


def test_unknown_revision_names_the_known_ones() -> None:
    """A wrong revision is a usage error that says which there are."""
    with pytest.raises(UsageError, match="2024-02, 2025-07"):
        load_catalogue("2023-01")


def test_selection_takes_ids_and_chapters_in_the_order_of_the_walk(catalogue: Catalogue) -> None:
    """Ids and chapters mix, in any case and order, and each clause comes once."""
    chosen = catalogue.select(["port", "DS-02", "PORT-01", "pre-02"])
    assert [clause.id for clause in chosen] == ["PRE-02", "PORT-01", "PORT-02", "PORT-03", "DS-02"]


@pytest.mark.parametrize(("given", "near"), [("PROT", "PORT"), ("DS-2", "DS-02"), ("kcfg-9", "KCFG-09")])
def test_selection_names_what_comes_near(catalogue: Catalogue, given: str, near: str) -> None:
    """A misspelt clause or chapter is refused with its near matches."""
    with pytest.raises(UsageError, match=near):
        catalogue.select([given])


def test_an_unknown_clause_is_refused(catalogue: Catalogue) -> None:
    """Asking for a clause that there is not is a usage error."""
    with pytest.raises(UsageError, match="NODE-0"):
        catalogue.clause("NODE-10")


def test_minors_decide_applicability() -> None:
    """The endpoints rights are judged on 1.13 alone, and reported above."""
    old = load_catalogue("2024-02")
    assert why_not(old, "PERM-07", version_minor="1.13") is None
    reason = why_not(old, "PERM-07", version_minor="1.14")
    assert reason is not None
    assert "1.13" in reason.en
    assert why_not(old, "PERM-08", version_minor="1.13") is not None
    assert why_not(old, "PERM-08", version_minor="1.22") is None


@pytest.mark.parametrize("minor", ["1.16", "1.24", "1.30"])
@pytest.mark.parametrize("clause", ["PERM-07", "PERM-08", "KCFG-02"])
def test_the_later_revision_dropped_the_endpoints_rights(clause: str, minor: str) -> None:
    """The rows stay in 2025-07, apply to no cell, and say that the page dropped them."""
    reason = why_not(load_catalogue("2025-07"), clause, version_minor=minor)
    assert reason is not None
    assert "1.16" in reason.en


def test_nothing_else_was_dropped() -> None:
    """Only those three rows of 2025-07 are marked as dropped, and none of 2024-02."""
    for revision, dropped in (("2024-02", set()), ("2025-07", {"PERM-07", "PERM-08", "KCFG-02"})):
        clauses = load_catalogue(revision).clauses
        assert {clause.id for clause in clauses if DROPPED in clause.applies.conditions} == dropped


@pytest.mark.parametrize(
    ("clause", "cell"),
    [
        ("PRE-04", {"site": "ecs"}),
        ("PERM-03", {"identity": "serviceaccount"}),
        ("PERM-09", {"identity": "admin"}),
        ("KCFG-05", {"identity": "bootstrap"}),
        ("KCFG-11", {"identity": "bootstrap"}),
        ("CREATE-03", {"cloud": "live"}),
        ("SCHED-05", {"cloud": "emulator"}),
    ],
)
def test_identity_site_and_cloud_decide_applicability(
    catalogue: Catalogue, clause: str, cell: dict[str, str]
) -> None:
    """A clause of another identity, site or cloud does not apply, and the reason says which it is about."""
    reason = why_not(catalogue, clause, None, **cell)
    assert reason is not None
    assert next(iter(cell.values())) not in reason.en


@pytest.mark.parametrize(
    ("clause", "condition"),
    [
        ("CREATE-01", "creating"),
        ("CREATE-04", "tags-given"),
        ("CREATE-05", "taints-given"),
        ("CREATE-11", "several-vswitches"),
        ("KCFG-10", "server-by-name"),
        ("KCFG-14", "generated-kubeconfig"),
        ("DS-02", "kube-proxy"),
        ("DS-05", "exclusion-applied"),
        ("SCHED-03", "eci-profile"),
        ("EVENT-02", "failure-provokable"),
    ],
)
def test_conditions_decide_applicability(catalogue: Catalogue, clause: str, condition: str) -> None:
    """Without its condition a clause does not apply, with it it does."""
    others = tuple(name for name in WITHOUT if name != condition)
    assert why_not(catalogue, clause, conditions=others) == WITHOUT[condition]
    assert why_not(catalogue, clause) is None


def test_every_condition_has_its_sentence(catalogue: Catalogue) -> None:
    """No clause asks for a condition that nobody can explain."""
    asked = {name for clause in catalogue.clauses for name in clause.applies.conditions}
    assert asked - {DROPPED} <= set(WITHOUT)


def test_security_requirements_raise_the_level(catalogue: Catalogue) -> None:
    """KCFG-13 advises where security requirements are declared and only reports otherwise."""
    clause = catalogue.clause("KCFG-13")
    plain = catalogue.in_cell(clause, identity="serviceaccount", conditions=())
    declared = catalogue.in_cell(clause, identity="serviceaccount", conditions={"security-required"})
    assert (plain.level, declared.level) == (Level.INFO, Level.SHOULD)


def test_the_tls_flag_is_stated_for_bootstrap_and_advice_elsewhere(catalogue: Catalogue) -> None:
    """CREATE-02 rejects with a bootstrap kubeconfig and advises with any other."""
    clause = catalogue.clause("CREATE-02")
    found = {
        identity: catalogue.in_cell(clause, identity=identity.value, conditions=()) for identity in Identity
    }
    assert (found[Identity.BOOTSTRAP].level, found[Identity.BOOTSTRAP].basis) == (Level.MUST, Basis.STATED)
    assert (found[Identity.ADMIN].level, found[Identity.ADMIN].basis) == (Level.SHOULD, Basis.INFERRED)


def test_a_clause_without_parts_is_the_same_everywhere(catalogue: Catalogue) -> None:
    """Most clauses have one level in every cell."""
    clause = catalogue.clause("NODE-01")
    assert catalogue.in_cell(clause, identity="admin", conditions=()) is clause


def test_each_profile_holds_the_one_before(catalogue: Catalogue) -> None:
    """What quick observes standard observes too, and full observes everything."""
    covered = {
        profile: {clause.id for clause in catalogue.clauses if profile_covers(clause, profile)}
        for profile in Profile
    }
    assert covered[Profile.QUICK] < covered[Profile.STANDARD] < covered[Profile.FULL]
    assert covered[Profile.FULL] - covered[Profile.STANDARD] == {"CREATE-07"}
    assert {"NODE-01", "NODE-02", "CLEAN-01"} <= covered[Profile.QUICK]
