"""ctrf.json tells every status in the five words of the Common Test Report Format."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import stories
from browser import NODE_MODULES, NODE_PACKAGES
from jsonschema import Draft7Validator
from stories import Teller

from vnode_suite.report.ctrf import to_ctrf, write_ctrf

SCHEMA = NODE_MODULES / "ctrf" / "dist" / "ctrf-schema-0.0.json"


def of(data: dict[str, Any], clause: str, cell: str = "1.22-bootstrap") -> dict[str, Any]:
    """The test of one row."""
    (found,) = [test for test in data["results"]["tests"] if test["testId"] == f"{cell}/{clause}"]
    return dict(found)


@pytest.mark.skipif(not SCHEMA.is_file(), reason=f"the format's own schema is not here: {NODE_PACKAGES}")
def test_it_follows_the_formats_own_schema(told: Teller, any_story: stories.Story) -> None:
    """The schema is the one that the format's reference implementation publishes."""
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(to_ctrf(told(any_story)))] == []
    assert list(validator.iter_errors({"reportFormat": "CTRF"})), "the schema refuses nothing"


def test_the_summary_counts_the_tests(told: Teller, any_story: stories.Story) -> None:
    """One test for each clause and cell, and every status is counted once."""
    report = told(any_story)
    results = to_ctrf(report)["results"]
    tally = Counter(test["status"] for test in results["tests"])
    counted = {name: results["summary"][name] for name in ("passed", "failed", "skipped", "pending", "other")}
    assert {name: count for name, count in counted.items() if count} == dict(tally)
    assert results["summary"]["tests"] == len(report.results) == sum(tally.values())
    assert results["summary"]["stop"] >= results["summary"]["start"] > 1_700_000_000_000


def test_a_failure_tells_what_was_expected_seen_and_to_be_done(told: Teller, ledger_path: Path) -> None:
    """A MUST fails; a SHOULD is advice, which is neither."""
    data = to_ctrf(told(stories.failing(ledger_path)))
    bound = of(data, "DS-02")
    assert bound["status"] == "failed"
    assert "kube-proxy-x7k2p is bound" in bound["message"]
    assert [line.partition(":")[0] for line in bound["trace"].splitlines()] == [
        "expected",
        "actual",
        "remedy",
    ]
    assert of(data, "PORT-02")["status"] == "other"
    assert of(data, "PORT-02")["rawStatus"] == "failed"
    assert data["results"]["environment"]["healthy"] is False


def test_what_could_not_run_is_never_a_pass(told: Teller, ledger_path: Path) -> None:
    """A judged clause is failed, one that is never judged is skipped."""
    data = to_ctrf(told(stories.incomplete(ledger_path)))
    assert (of(data, "NODE-02")["status"], of(data, "NODE-02")["rawStatus"]) == ("failed", "could-not-run")
    assert of(data, "NODE-06")["status"] == "skipped"


def test_it_is_written_in_chinese_too(told: Teller, ledger_path: Path) -> None:
    """Names follow the language of the report."""
    path = write_ctrf(told(stories.passing(ledger_path)), ledger_path.parent / "ctrf.json", "zh")
    assert of(json.loads(path.read_text(encoding="utf-8")), "DS-02")["name"].startswith("DS-02 VNode 上")
