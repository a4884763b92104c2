"""The verdict: the worst of everything that happened, and never better than what was seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stories
from stories import Teller

from vnode_suite.core.ledger import Ledger, read
from vnode_suite.core.secrets import Registry
from vnode_suite.model import Exit, Grade, Level, Result, Status, Text
from vnode_suite.report.collect import Collected
from vnode_suite.report.document import build
from vnode_suite.report.types import Report, Row
from vnode_suite.report.verdict import verdict
from vnode_suite.report.wording import scope

SEEN = Text("something else", "另一种情况")


def row(report: Report, clause: str, cell: str = "1.22-bootstrap") -> Row:
    """One row of the report."""
    (found,) = [each for each in report.results if (each.clause, each.cell) == (clause, cell)]
    return found


def test_every_clause_has_a_status_in_every_cell(told: Teller, any_story: stories.Story) -> None:
    """Nothing is silently absent, whatever became of the run."""
    report = told(any_story)
    wanted = {
        (clause.id, f"1.22-{identity}")
        for clause in any_story.catalogue.clauses
        for identity in stories.IDENTITIES
    }
    assert {(each.clause, each.cell) for each in report.results} == wanted
    assert len(report.results) == len(wanted)
    assert all(each.actual is not None for each in report.results)


def test_a_run_in_which_all_holds_is_conformant_but_accepts_nothing(told: Teller, ledger_path: Path) -> None:
    """A simulated VNode is never accepted."""
    found = told(stories.passing(ledger_path)).verdict
    assert (found.result, found.exit_status, found.evidence, found.accepted) == (
        Result.CONFORMANT, Exit.CONFORMANT, Grade.SIMULATED, False,
    )  # fmt: skip
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"profile": "full"}, True),
        ({"profile": "quick"}, False),
        ({"selection": ["PORT"]}, False),
        ({"grade": Grade.SIMULATED}, False),
        ({"grade": Grade.RECORDED}, False),
        ({"failing": {("DS-02", "*"): SEEN}}, False),
        ({"failing": {("PORT-02", "*"): SEEN}}, True),
        ({"unreached": {"PORT-02": "ready"}}, False),
        ({"killed_after_cells": 1}, False),
        ({"missed": ("DS-02",)}, False),
    ],
)
def test_only_a_complete_live_run_is_accepted(
    told: Teller, ledger_path: Path, change: dict[str, Any], accepted: bool
) -> None:
    """Live, conformant, profile standard or more, nothing selected."""
    story = replace(stories.Story(ledger_path, cloud="live", grade=Grade.LIVE), **change)
    assert told(story).verdict.accepted is accepted


def test_a_failed_must_rejects(told: Teller, ledger_path: Path) -> None:
    """One clause in one cell is enough, and the reason names it."""
    report = told(stories.failing(ledger_path))
    assert (report.verdict.result, report.verdict.exit_status) == (Result.REJECTED, Exit.REJECTED)
    assert report.verdict.reasons[0].en == "DS-02 (MUST) failed in 1.22-bootstrap."
    failed = row(report, "DS-02")
    assert failed.status is Status.FAILED
    assert failed.remedy is not None
    assert row(report, "DS-02", "1.22-serviceaccount").status is Status.PASSED


def test_a_failed_should_is_advice_unless_strict(told: Teller, ledger_path: Path, tmp_path: Path) -> None:
    """Exit 0 with a reason; with --vnode-strict-should it rejects."""
    story = stories.Story(ledger_path, failing={("PORT-02", "*"): SEEN})
    advice = told(story).verdict
    strict = told(replace(story, path=tmp_path / "strict.jsonl", strict=True)).verdict
    assert (advice.result, advice.exit_status) == (Result.CONFORMANT, Exit.CONFORMANT)
    assert advice.reasons[0].en.startswith("Advice: PORT-02")
    assert (strict.result, strict.exit_status) == (Result.REJECTED, Exit.REJECTED)


def test_what_could_not_run_makes_the_run_incomplete(told: Teller, ledger_path: Path) -> None:
    """It is neither passed nor failed, and the step is named."""
    report = told(stories.incomplete(ledger_path))
    assert (report.verdict.result, report.verdict.exit_status) == (Result.INCOMPLETE, Exit.INCOMPLETE)
    assert row(report, "NODE-02").needs == "ready"
    assert "ready" in report.verdict.reasons[0].en


def test_an_info_clause_that_could_not_run_spoils_nothing(told: Teller, ledger_path: Path) -> None:
    """It would never have been judged."""
    found = told(stories.Story(ledger_path, unreached={"NODE-06": "ready"}))
    assert row(found, "NODE-06").status is Status.COULD_NOT_RUN
    assert found.verdict.exit_status == Exit.CONFORMANT


def test_a_killed_run_says_interrupted(told: Teller, ledger_path: Path) -> None:
    """Also with every clause so far passed: the cells that were not reached could not run."""
    report = told(stories.killed(ledger_path))
    assert (report.verdict.result, report.verdict.exit_status) == (Result.INTERRUPTED, Exit.INTERRUPTED)
    assert row(report, "DS-02").status is Status.PASSED
    assert row(report, "DS-02", "1.22-serviceaccount").reason == "interrupted"


def test_at_no_moment_does_a_killed_run_look_well(ledger_path: Path) -> None:
    """Whichever event was the last one written, the verdict is interrupted."""
    events = list(read(stories.passing(ledger_path).tell()))
    for length in range(len(events)):
        found = verdict(events[:length], stories.catalogue())
        assert (found.result, found.exit_status, found.accepted) == (
            Result.INTERRUPTED,
            Exit.INTERRUPTED,
            False,
        )


def test_a_signal_is_told_although_the_run_closed_in_order(told: Teller, ledger_path: Path) -> None:
    """SIGTERM with everything passed is still exit 2."""
    found = told(stories.Story(ledger_path, signal="SIGTERM")).verdict
    assert (found.result, found.exit_status) == (Result.INTERRUPTED, Exit.INTERRUPTED)
    assert "SIGTERM" in found.reasons[0].en


def test_a_control_that_is_not_caught_makes_its_clause_an_error(told: Teller, ledger_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    report = told(stories.Story(ledger_path, missed=("DS-02",)))
    assert row(report, "DS-02").status is Status.ERROR
    assert (row(report, "DS-02").reason, row(report, "DS-02").control) == ("control-not-caught", "missed")
    assert (report.verdict.result, report.verdict.exit_status) == (Result.ERROR, Exit.HARNESS)


def test_a_result_that_vanished_is_an_error(told: Teller, ledger_path: Path) -> None:
    """A run that ends in order without a clause's result lost it."""
    path = stories.passing(ledger_path).tell()
    kept = [event for event in read(path) if (event["type"], event.get("clause")) != ("result", "NODE-01")]
    report = build(kept, stories.catalogue())
    assert row(report, "NODE-01").reason == "vanished"
    assert report.verdict.exit_status == Exit.HARNESS


def test_a_result_that_nobody_asked_for_is_an_error(ledger_path: Path) -> None:
    """A clause that the catalogue does not know is not dropped in silence."""
    events = list(read(stories.passing(ledger_path).tell()))
    stray = {**next(event for event in events if event["type"] == "result"), "clause": "XYZ-99"}
    found = verdict([*events, stray], stories.catalogue())
    assert found.exit_status == Exit.HARNESS
    assert "XYZ-99" in found.reasons[-1].en


def test_what_is_left_out_has_its_reason(told: Teller, ledger_path: Path) -> None:
    """Not applicable, out of scope and excluded are three different things."""
    report = told(stories.passing(ledger_path))
    statuses = {id_: row(report, id_, "1.22-serviceaccount").status for id_ in ("KCFG-03", "KCFG-17")}
    assert statuses == {"KCFG-03": Status.NOT_APPLICABLE, "KCFG-17": Status.EXCLUDED}
    assert row(report, "CREATE-07").status is Status.OUT_OF_SCOPE
    assert "full" in (row(report, "CREATE-07").actual or SEEN).en


def test_a_selection_puts_the_rest_out_of_scope_and_says_so(told: Teller, ledger_path: Path) -> None:
    """The scope sentence names what was selected."""
    report = told(stories.Story(ledger_path, selection=["PORT", "DS-02"]))
    assert {each.clause for each in report.results if each.status is Status.PASSED} == {
        "PORT-01",
        "PORT-02",
        "DS-02",
    }
    assert row(report, "NODE-01").reason == "not-selected"
    assert "only PORT and DS-02" in report.verdict.scope.en
    assert "PORT、DS-02" in report.verdict.scope.zh


def test_a_suite_clause_that_fails_does_not_reject_the_vnode(told: Teller, ledger_path: Path) -> None:
    """Leaving something behind is exit 11 and the suite's fault."""
    found = told(stories.Story(ledger_path, failing={("CLEAN-01", "*"): SEEN})).verdict
    assert (found.result, found.exit_status, found.accepted) == (Result.CONFORMANT, Exit.LEFT_BEHIND, False)


@pytest.mark.parametrize(
    ("reason", "status"), [("delete refused", Exit.LEFT_BEHIND), ("kept: --vnode-keep", Exit.CONFORMANT)]
)
def test_what_was_left_counts_unless_it_was_to_be_kept(ledger_path: Path, reason: str, status: Exit) -> None:
    """Kept on request is not left behind."""
    events = list(read(stories.passing(ledger_path).tell()))
    left = {
        "type": "left",
        "cell": None,
        "kind": "VirtualNode",
        "name": "vnd-x",
        "where": "cloud",
        "reason": reason,
    }
    assert verdict([*events, left], stories.catalogue()).exit_status == status


WAIVER = {"clause": "DS-02", "cell": "*", "reason": "ticket 7", "owner": "platform", "expires": "2026-12-31"}


@pytest.mark.parametrize(
    ("waiver", "failing", "status", "state"),
    [
        (WAIVER, True, Exit.CONFORMANT, "used"),
        ({**WAIVER, "cell": "1.22-bootstrap"}, True, Exit.CONFORMANT, "used"),
        ({**WAIVER, "cell": "1.19-bootstrap"}, True, Exit.REJECTED, "stale"),
        ({**WAIVER, "expires": "2026-02-28"}, True, Exit.REJECTED, "expired"),
        ({**WAIVER, "expires": "2026-03-01"}, True, Exit.CONFORMANT, "used"),
        ({**WAIVER, "expires": "2026-02-28"}, False, Exit.WAIVER, "expired"),
        (WAIVER, False, Exit.WAIVER, "stale"),
        ({**WAIVER, "clause": "CREATE-07"}, False, Exit.CONFORMANT, "idle"),
    ],
)
def test_a_waiver_excuses_a_failure_while_it_holds(
    told: Teller, ledger_path: Path, waiver: dict[str, str], failing: bool, status: Exit, state: str
) -> None:
    """It stands beside the status, which stays failed; a stale or expired one is told."""
    failures = {("DS-02", "1.22-bootstrap"): SEEN} if failing else {}
    report = told(stories.Story(ledger_path, failing=failures, waivers=[waiver]))
    assert (report.verdict.exit_status, report.verdict.waivers[0].state) == (status, state)
    if failing:
        assert row(report, "DS-02").status is Status.FAILED
        assert row(report, "DS-02").waiver == ("ticket 7" if state == "used" else None)


@pytest.mark.parametrize("own", [Exit.INTERNAL, Exit.PYTEST, Exit.HARNESS, Exit.INTERRUPTED])
def test_the_runs_own_end_is_not_forgotten(told: Teller, ledger_path: Path, own: Exit) -> None:
    """pytest's internal error or too many warnings outlive a green matrix."""
    assert told(stories.Story(ledger_path, exit_status=own)).verdict.exit_status == own


def test_a_failing_exit_of_pytest_says_nothing_by_itself(told: Teller, ledger_path: Path) -> None:
    """pytest ends 1 for a failed SHOULD as well: the rows decide."""
    assert told(stories.Story(ledger_path, exit_status=1)).verdict.exit_status == Exit.CONFORMANT


def test_nothing_judged_is_never_success(told: Teller, ledger_path: Path) -> None:
    """Zero checks are exit 5."""
    report = told(stories.Story(ledger_path, selection=["NOPE"]))
    assert (report.verdict.result, report.verdict.exit_status) == (Result.INCOMPLETE, Exit.NOTHING)
    assert report.verdict.evidence is None


def test_the_worst_of_several_wins(told: Teller, ledger_path: Path) -> None:
    """A failure, something unreached, a control missed and a kill: the kill wins, and all are told."""
    story = replace(
        stories.failing(ledger_path),
        unreached={"NODE-02": "ready"},
        missed=("PRE-01",),
        killed_after_cells=1,
    )
    report = told(story)
    assert report.verdict.exit_status == Exit.INTERRUPTED
    said = " ".join(reason.en for reason in report.verdict.reasons)
    assert all(name in said for name in ("DS-02", "ready", "PRE-01", "killed"))


def test_an_error_of_the_harness_is_told(ledger_path: Path) -> None:
    """It says nothing about the VNode, so the verdict is error."""
    with Ledger(ledger_path, Registry()) as ledger:
        ledger.write("run-started", run_id="r")
        ledger.write("harness-error", where="worker gw0", message="worker died")
        ledger.write("run-finished", exit_status=0)
    found = verdict(read(ledger_path), stories.catalogue())
    assert (found.result, found.exit_status) == (Result.ERROR, Exit.HARNESS)


def test_a_clause_judged_several_times_in_a_cell_has_the_worst_of_them(ledger_path: Path) -> None:
    """A later pass does not cover a failure."""
    events = list(read(stories.failing(ledger_path).tell()))
    passed = {
        **next(e for e in events if e.get("clause") == "DS-02" and e["type"] == "result"),
        "status": "passed",
    }
    report = build([*events, passed], stories.catalogue())
    assert row(report, "DS-02").status is Status.FAILED
    assert len(row(report, "DS-02").evidence) == 2


def test_unknown_events_and_fields_are_ignored(ledger_path: Path) -> None:
    """A reader of today reads a ledger of tomorrow."""
    events = list(read(stories.passing(ledger_path).tell()))
    more = [{**event, "new_field": {"x": 1}} for event in events] + [
        {"type": "new-type", "at": "2027-01-01T00:00:00.000Z"}
    ]
    assert verdict(more, stories.catalogue()).result is Result.CONFORMANT


def test_both_languages_say_it(told: Teller, any_story: stories.Story) -> None:
    """No sentence of a verdict is in one language only."""
    found = told(any_story).verdict
    for text in (found.scope, *found.reasons, *found.limits):
        assert text.en
        assert any("\u4e00" <= character <= "\u9fff" for character in text.zh)


def test_the_level_of_a_clause_may_differ_by_cell(told: Teller, ledger_path: Path) -> None:
    """The real catalogue has clauses whose level depends on the identity; the row has the cell's."""
    report = told(stories.matrix(ledger_path))
    levels = {(each.cell.split("-")[1], each.level) for each in report.results if each.clause == "CREATE-02"}
    assert levels == {("bootstrap", Level.MUST), ("serviceaccount", Level.SHOULD)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"controls": True, "controls_take_turns": True},
            "negative controls on, those of one clause taking turns",
        ),
        ({"controls": True, "controls_take_turns": False}, "negative controls on."),
        ({"controls": True}, "negative controls on."),
        ({"controls": False}, "negative controls off."),
    ],
)
def test_scope_says_how_controls_were_shown(fields: dict[str, bool], said: str) -> None:
    """A ledger of before says nothing of turns, since there were none."""
    assert said in scope(Collected(runs=[dict(fields)]), ()).en
