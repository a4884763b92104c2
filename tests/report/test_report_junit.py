"""junit.xml tells every status so that GitLab, Jenkins and GitHub show it well."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import stories
from stories import Teller

from vnode_suite.model import Text
from vnode_suite.report.junit import render_junit

#: (needed, allowed) attributes and children, in their order, of each element: by the schemas that Jenkins' xUnit
#: plugin (junit-10.xsd) and Maven Surefire publish, and besides the properties of a case, which neither of them knows
#: and GitLab, Jenkins' JUnit plugin and most other readers show.
SHAPES: dict[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": (
        set(),
        {"name", "time", "tests", "failures", "errors", "skipped", "disabled"},
        ["testsuite"],
    ),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, {"name", "value"}, []),
    "testcase": (
        {"name", "classname", "time"},
        {"name", "classname", "time", "assertions", "status", "file", "line"},
        ["properties", "failure", "skipped", "error", "system-out", "system-err"],
    ),
    "failure": ({"type"}, {"message", "type"}, []),
    "error": ({"type"}, {"message", "type"}, []),
    "skipped": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}


def parsed(text: str) -> ET.Element:
    """The root of the XML."""
    return ET.fromstring(text)  # noqa: S314  (our own)


def case(root: ET.Element, clause: str, cell: str = "1.22-bootstrap") -> ET.Element:
    """The case of one row."""
    (found,) = [
        each
        for each in root.iter("testcase")
        if each.attrib["classname"] == f"vnode-suite.{cell}" and each.attrib["name"].startswith(f"{clause} ")
    ]
    return found


def facts(element: ET.Element) -> dict[str, str]:
    """The properties of a case."""
    return {each.attrib["name"]: each.attrib["value"] for each in element.findall("properties/property")}


def ends(element: ET.Element) -> set[str]:
    """How the case ended; empty: it passes."""
    return {child.tag for child in element} & {"failure", "error", "skipped"}


def test_it_has_the_common_shape(told: Teller, any_story: stories.Story) -> None:
    """Nothing that the common schema does not know, and the sums are right."""
    root = parsed(render_junit(told(any_story)))
    for element in root.iter():
        needed, allowed, children = SHAPES[element.tag]
        assert needed <= set(element.attrib) <= allowed, element.tag
        tags = [child.tag for child in element]
        assert set(tags) <= set(children)
        assert tags == sorted(tags, key=children.index)
        assert re.fullmatch(r"\d*(\.\d{0,3})?", element.attrib.get("time", ""))
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert int(suite.attrib[name]) == sum(tag in ends(each) for each in cases)
    assert int(root.attrib["tests"]) == sum(int(suite.attrib["tests"]) for suite in root)


def test_there_is_one_case_for_each_clause_and_cell(told: Teller, any_story: stories.Story) -> None:
    """No two cases have the same name and class."""
    report = told(any_story)
    names = [
        (each.attrib["classname"], each.attrib["name"])
        for each in parsed(render_junit(report)).iter("testcase")
    ]
    assert len(names) == len(set(names)) == len(report.results)


def test_a_failed_must_is_a_failure(told: Teller, ledger_path: Path) -> None:
    """With expected, actual and remedy in its text."""
    failed = case(parsed(render_junit(told(stories.failing(ledger_path)))), "DS-02")
    assert ends(failed) == {"failure"}
    text = failed.find("failure").text or ""  # type: ignore[union-attr]
    assert all(word in text for word in ("expected: ", "actual: kube-proxy-x7k2p", "remedy: "))


@pytest.mark.parametrize(("strict", "wanted"), [(False, set()), (True, {"failure"})])
def test_a_failed_should_is_a_failure_only_if_strict(
    told: Teller, ledger_path: Path, strict: bool, wanted: set[str]
) -> None:
    """Else it passes, and says in its output and properties that it failed."""
    story = stories.Story(ledger_path, failing={("PORT-02", "*"): Text("closed", "关闭")}, strict=strict)
    found = case(parsed(render_junit(told(story))), "PORT-02")
    assert ends(found) == wanted
    assert facts(found)["vnode.status"] == "failed"
    if not strict:
        assert "advice" in (found.findtext("system-out") or "")


def test_a_waived_failure_passes_and_names_the_waiver(told: Teller, ledger_path: Path) -> None:
    """The status stays in the properties."""
    waiver = {"clause": "DS-02", "cell": "*", "reason": "ticket 7", "owner": "x", "expires": "2027-01-01"}
    story = stories.Story(ledger_path, failing={("DS-02", "*"): Text("bound", "绑定")}, waivers=[waiver])
    found = case(parsed(render_junit(told(story))), "DS-02")
    assert ends(found) == set()
    assert (facts(found)["vnode.status"], facts(found)["vnode.waiver"]) == ("failed", "ticket 7")


def test_what_could_not_run_is_never_a_pass(told: Teller, ledger_path: Path) -> None:
    """A judged clause is an error, one that is never judged is skipped."""
    root = parsed(render_junit(told(stories.incomplete(ledger_path))))
    assert ends(case(root, "NODE-02")) == {"error"}
    assert ends(case(root, "NODE-06")) == {"skipped"}
    killed = parsed(render_junit(told(stories.killed(ledger_path.with_name("killed.jsonl")))))
    assert ends(case(killed, "DS-02", "1.22-serviceaccount")) == {"error"}


def test_a_control_that_was_missed_is_an_error(told: Teller, ledger_path: Path) -> None:
    """The harness's fault, so not a failure of the VNode."""
    assert ends(case(parsed(render_junit(told(stories.Story(ledger_path, missed=("DS-02",))))), "DS-02")) == {
        "error"
    }


def test_what_is_left_out_is_skipped_with_its_reason(told: Teller, ledger_path: Path) -> None:
    """Not applicable, out of scope and excluded."""
    root = parsed(render_junit(told(stories.passing(ledger_path))))
    for clause, kind in {"PERM-07": "not-applicable", "CREATE-07": "profile", "KCFG-17": "excluded"}.items():
        skipped = case(root, clause).find("skipped")
        assert skipped is not None
        assert skipped.attrib["type"] == kind
        assert skipped.attrib["message"]


def test_a_case_tells_its_clause_in_properties(told: Teller, ledger_path: Path) -> None:
    """For machines that sort by level, version or evidence."""
    found = facts(case(parsed(render_junit(told(stories.passing(ledger_path)))), "PORT-01"))
    assert found["vnode.clause"] == "PORT-01"
    assert (found["vnode.level"], found["vnode.basis"], found["vnode.evidence"]) == (
        "MUST",
        "inferred",
        "simulated",
    )
    assert found["vnode.version"] == "v1.22.17"


def test_it_is_written_in_chinese_too(told: Teller, ledger_path: Path) -> None:
    """Names and messages follow the language of the report."""
    root = parsed(render_junit(told(stories.failing(ledger_path)), "zh"))
    assert "绑定在" in case(root, "DS-02").find("failure").attrib["message"]  # type: ignore[union-attr]


def test_characters_that_xml_cannot_hold_do_no_harm(told: Teller, ledger_path: Path) -> None:
    """A log may hold anything."""
    story = stories.Story(ledger_path, failing={("DS-02", "*"): Text("a\x00b\x1b[31m\ud800<&>]]>", "甲\x07")})
    failure = case(parsed(render_junit(told(story))), "DS-02").find("failure")
    assert failure is not None
    assert "<&>]]>" in failure.attrib["message"]
