"""`versions`, `clauses`, `explain`, `defects`, `ram-policy`: tables for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from vnode_suite.data.catalogue import load_catalogue
from vnode_suite.data.defects import load_defects
from vnode_suite.data.versions import load_versions

if TYPE_CHECKING:
    from tests.cli.conftest import Command

_TEXT = {"type": "string", "minLength": 1}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NAMES = {"type": "array", "items": _TEXT}


def _table(**fields: Any) -> dict[str, Any]:
    item = {"type": "object", "required": list(fields), "properties": fields}
    return {"type": "array", "minItems": 1, "items": item}


CLAUSES = _table(
    id={"type": "string", "pattern": "^[A-Z]+-[0-9]{2}$"},
    level={"enum": ["MUST", "SHOULD", "INFO"]},
    basis={"enum": ["stated", "implied", "inferred", "suite"]},
    applies={"type": "object"},
    page_section=_TEXT,
    check=_TEXT_OR_NULL,
    control=_NAMES,
    excluded=_TEXT_OR_NULL,
)
DEFECTS = _table(
    name=_TEXT,
    fails={"type": "array", "items": {"type": "string", "pattern": "^[A-Z]+-[0-9]{2}$"}},
    reason=_TEXT_OR_NULL,
    scope={"enum": ["own-object", "cell-exclusive", "own-cluster"]},
)
VERSIONS = _table(
    minor={"type": "string", "pattern": r"^1\.[0-9]+$"},
    patch={"type": "string", "pattern": r"^1\.[0-9]+\.[0-9]+$"},
    source=_TEXT,
    in_store={"type": "boolean"},
    kind=_TEXT_OR_NULL,
    node_image=_TEXT_OR_NULL,
)


@pytest.mark.parametrize("revision", ["2024-02", "2025-07"])
def test_clauses_for_a_program(vnode_suite: Command, revision: str) -> None:
    """Every clause of the revision, in the shape that the contract gives."""
    rows = vnode_suite.json("clauses", "--page-revision", revision)
    jsonschema.validate(rows, CLAUSES)
    assert [row["id"] for row in rows] == [clause.id for clause in load_catalogue(revision).clauses]


def test_a_clause_has_a_check_and_controls_or_says_why_not(vnode_suite: Command) -> None:
    """What is judged has a check; what is excluded has a reason instead."""
    rows = vnode_suite.json("clauses")
    for row in rows:
        assert bool(row["check"]) != bool(row["excluded"]), row["id"]
        if row["level"] != "INFO" and row["excluded"] is None:
            assert row["control"] or row["no_control"], row["id"]
    excluded = {row["id"] for row in rows if row["excluded"]}
    assert "PARAM-09" in excluded
    assert next(row for row in rows if row["id"] == "DS-02")["control"] == ["kube-proxy-not-excluded"]


def test_ids_and_chapters_choose_clauses(vnode_suite: Command) -> None:
    """In the order of the walk, whatever the order of the arguments."""
    rows = vnode_suite.json("clauses", "ds-02", "PORT")
    assert [row["id"] for row in rows] == ["PORT-01", "PORT-02", "PORT-03", "DS-02"]
    plain = vnode_suite("clauses", "ds-02").stdout.splitlines()
    assert [line.split()[0] for line in plain] == ["clause", "DS-02"]


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["clauses", "DS-99"], "DS-0"),
        (["explain", "kfcg-01"], "KCFG-01"),
        (["defects", "kube-proxy-not-exclude"], "kube-proxy-not-excluded"),
        (["defects", "--clause", "DS-22"], "DS-02"),
        (["clauses", "--page-revision", "2024-03"], "2024-02"),
        (["ram-policy", "--region", "cn-shangai"], "cn-shanghai"),
        (["cluster", "up", "1.12"], "1.13"),
        (["assets", "fetch", "1.2"], "1.13 to 1.30"),
    ],
)
def test_an_unknown_name_is_refused_with_near_ones(
    vnode_suite: Command, arguments: list[str], near: str
) -> None:
    """Status 4, and one line that names what comes near."""
    done = vnode_suite(*arguments)
    assert (done.exit_code, done.stdout) == (4, "")
    assert near in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_clause_is_explained_in_both_languages(vnode_suite: Command) -> None:
    """The sentences are the catalogue's; the id may be written small."""
    clause = load_catalogue("2024-02").clause("DS-02")
    english, chinese = vnode_suite("explain", "ds-02"), vnode_suite("explain", "DS-02", "--lang", "zh")
    assert (english.exit_code, chinese.exit_code) == (0, 0)
    assert clause.statement.en in " ".join(english.stdout.split())
    assert clause.remedy.zh in chinese.stdout
    assert "kube-proxy-not-excluded" in english.stdout


def test_every_clause_can_be_explained(vnode_suite: Command) -> None:
    """Also the excluded ones and those of the later revision."""
    for revision in ("2024-02", "2025-07"):
        for clause in load_catalogue(revision).clauses:
            done = vnode_suite("explain", clause.id, "--page-revision", revision)
            assert (done.exit_code, clause.id in done.stdout) == (0, True), done.output


def test_from_the_page_to_the_evidence_and_back(vnode_suite: Command) -> None:
    """A section of the page names its clauses; a clause names its look, its check, its evidence and its section."""
    shown = vnode_suite("explain", "DS-02").stdout
    assert "vnode_suite.checks.ds.no_pod_on_the_vnode" in shown
    assert "vnode_suite.connection.observing.ds.kube_proxy_pods" in shown
    assert "report.html#c-DS-02" in shown
    section = load_catalogue("2024-02").clause("DS-02").page_section
    assert section.en in " ".join(shown.split())
    for name in (section.en, section.zh):
        assert "DS-02" in {row["id"] for row in vnode_suite.json("clauses", "--section", name)}
    done = vnode_suite("clauses", "--section", "no such heading")
    assert (done.exit_code, section.en in done.stderr) == (4, True)


def test_explaining_for_a_program_gives_the_row_of_clauses(vnode_suite: Command) -> None:
    """One clause, one shape."""
    assert [vnode_suite.json("explain", "NODE-01")] == vnode_suite.json("clauses", "NODE-01")


def test_defects_for_a_program(vnode_suite: Command) -> None:
    """Every defect, in the shape that the contract gives, and each clause's own reason."""
    rows = vnode_suite.json("defects")
    jsonschema.validate(rows, DEFECTS)
    assert [row["name"] for row in rows] == list(load_defects().names)
    for row in rows:
        assert list(row["reasons"]) == row["fails"]
        assert row["reason"] in {None, *row["reasons"].values()}


def test_defects_that_a_clause_must_notice(vnode_suite: Command) -> None:
    """Each of them fails the clause, and no other defect does."""
    rows = vnode_suite.json("defects", "--clause", "ds-02")
    assert rows
    assert {row["name"] for row in rows} == {d.name for d in load_defects().failing("DS-02")}


def test_versions_for_a_program(
    vnode_suite: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every minor; with an empty store none is in it."""
    monkeypatch.setenv("VNODE_SUITE_ASSETS", str(tmp_path))
    rows = vnode_suite.json("versions")
    jsonschema.validate(rows, VERSIONS)
    assert [row["minor"] for row in rows] == list(load_versions().minors)
    assert {(row["in_store"], row["source"]) for row in rows} == {(False, "official")}


def test_the_policy_is_what_ram_takes(vnode_suite: Command) -> None:
    """JSON alone on standard output; reading needs nothing that changes."""
    whole = json.loads(vnode_suite("ram-policy", "--region", "cn-shanghai", "--account", "12").stdout)
    reading = json.loads(vnode_suite("ram-policy", "--read-only").stdout)
    actions = [action for statement in whole["Statement"] for action in statement["Action"]]
    read = [action for statement in reading["Statement"] for action in statement["Action"]]
    assert whole["Version"] == "1"
    assert "acs:eci:cn-shanghai:12:virtualnode/*" in [r for s in whole["Statement"] for r in s["Resource"]]
    assert "eci:CreateVirtualNode" in actions
    assert all(action.partition(":")[2].startswith("Describe") for action in read)
    reasons = vnode_suite.json("ram-policy", "--explain")
    assert set(reasons) == set(actions)
