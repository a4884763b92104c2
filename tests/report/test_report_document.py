"""report.json follows its schema, and is read back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import stories
from jsonschema import Draft202012Validator
from stories import Teller

from vnode_suite.core.errors import UsageError
from vnode_suite.core.ledger import Event, read
from vnode_suite.report import load
from vnode_suite.report import types as report_types
from vnode_suite.report.collect import seconds_between
from vnode_suite.report.document import build, schema, to_json
from vnode_suite.report.json_report import write_json
from vnode_suite.report.reference import markdown


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Judges by the schema that ships with the package."""
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def test_every_kind_of_run_follows_the_schema(
    told: Teller, any_story: stories.Story, validator: Draft202012Validator
) -> None:
    """Also of a run that was killed."""
    assert [error.message for error in validator.iter_errors(to_json(told(any_story)))] == []


def test_the_schema_refuses_what_is_wrong(
    told: Teller, ledger_path: Path, validator: Draft202012Validator
) -> None:
    """A schema that takes everything would document nothing."""
    good = to_json(told(stories.passing(ledger_path)))
    for wrong in (
        {**good, "schema": "vnode-suite/report/v2"},
        {name: value for name, value in good.items() if name != "verdict"},
        {**good, "results": [{**good["results"][0], "status": "fine"}]},
        {**good, "verdict": {**good["verdict"], "accepted": "yes"}},
    ):
        assert list(validator.iter_errors(wrong))


def test_the_schema_documents_every_field() -> None:
    """No field of a report is without a description, and none is described that is not there."""
    found = schema()
    for kind in vars(report_types).values():
        if not (isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == report_types.__name__):
            continue
        described = (found if kind is report_types.Report else found["$defs"][kind.__name__])["properties"]
        assert {field.name for field in fields(kind)} == set(described) - {"zh"}, kind
        assert all(each["description"] for each in described.values()), kind


def test_the_page_of_the_format_is_written_from_the_schema() -> None:
    """docs/report-format.md is what `vnode-suite report schema --markdown` prints."""
    page = Path(__file__).resolve().parents[2] / "docs" / "report-format.md"
    assert page.read_text(encoding="utf-8") == markdown(schema())


def test_what_the_vnodes_took_is_reckoned_from_the_ledger(told: Teller, ledger_path: Path) -> None:
    """From creation to deletion, each as a resident node of 2 vCPU and 8 GiB; one never seen to go: to the end."""
    events = list(read(stories.passing(ledger_path).tell()))
    created = [event for event in events if event["type"] == "created" and event["kind"] == "VirtualNode"]
    deleted = [event for event in events if event["type"] == "deleted" and event["kind"] == "VirtualNode"]
    cost = build(events, stories.catalogue()).cost
    assert cost is not None
    spans = [seconds_between(one["at"], other["at"]) for one, other in zip(created, deleted, strict=True)]
    assert cost.seconds == pytest.approx(sum(spans), abs=0.1)
    assert cost.seconds > 10
    assert (cost.virtual_nodes, cost.basis) == (2, "emulated")
    assert cost.gib_hours == pytest.approx(4 * cost.vcpu_hours, rel=0.01)
    never_gone = build([event for event in events if event not in deleted], stories.catalogue()).cost
    assert never_gone is not None
    assert never_gone.seconds > cost.seconds


def test_a_report_has_the_fields_of_the_contract(told: Teller, ledger_path: Path) -> None:
    """Programs rely on these names."""
    data = to_json(told(stories.failing(ledger_path)))
    assert {
        "schema",
        "run",
        "verdict",
        "cells",
        "results",
        "controls",
        "cleanup",
        "cost",
        "environment",
        "digests",
    } <= set(data)
    assert {"id", "started", "finished", "argv", "suite_version", "page_revision"} <= set(data["run"])
    assert {"result", "evidence", "accepted", "scope", "profile", "waivers", "reasons"} <= set(
        data["verdict"]
    )
    assert {"version", "server_version", "identity", "provider", "provenance", "timings", "memory"} <= set(
        data["cells"][0]
    )
    assert {
        "clause", "level", "basis", "cell", "status", "waiver", "grade", "expected", "actual", "observed_at",
        "observed_from", "evidence", "remedy",
    } <= set(data["results"][0])  # fmt: skip
    assert {"clause", "cell", "defect", "expected_reason", "observed_reason", "caught"} <= set(
        data["controls"][0]
    )
    assert {"created", "deleted", "left"} <= set(data["cleanup"])


def test_english_stands_under_the_name_and_chinese_beside_it(told: Teller, ledger_path: Path) -> None:
    """`expected` is a plain string; `zh.expected` is the same in Chinese."""
    data = to_json(told(stories.failing(ledger_path)))
    failed = next(row for row in data["results"] if row["status"] == "failed" and row["clause"] == "DS-02")
    assert failed["actual"] == "kube-proxy-x7k2p is bound to cn-shanghai.vnd-2zeexample"
    assert failed["zh"]["actual"] == "kube-proxy-x7k2p 绑定在 cn-shanghai.vnd-2zeexample 上"
    assert isinstance(data["verdict"]["scope"], str)
    assert data["verdict"]["zh"]["scope"].startswith("Kubernetes 1.22，")


def test_a_report_is_read_back_as_it_was(told: Teller, any_story: stories.Story, tmp_path: Path) -> None:
    """Typed objects out, the same in; from the file or from its folder."""
    report = told(any_story)
    write_json(report, tmp_path / "report.json")
    assert load(tmp_path) == load(tmp_path / "report.json") == report


def test_a_reader_takes_fields_it_does_not_know(told: Teller, ledger_path: Path, tmp_path: Path) -> None:
    """Fields may be added within one version of the format."""
    data = to_json(told(stories.passing(ledger_path)))
    data["new"] = data["run"]["new"] = 1
    (tmp_path / "report.json").write_text(json.dumps(data))
    assert load(tmp_path).run.id == data["run"]["id"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": "vnode-suite/report/v9"}', '{"schema": "vnode-suite/report/v1"}']
)
def test_another_file_is_refused_in_plain_words(tmp_path: Path, content: str) -> None:
    """Never a traceback from within the reader."""
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(UsageError, match=r"report\.json"):
        load(tmp_path)


@pytest.mark.slow
def test_a_long_ledger_is_read_in_bounded_memory(ledger_path: Path) -> None:
    """200,000 events of waiting and of a flapping VNode leave a report of ordinary size."""
    import tracemalloc

    events = list(read(stories.passing(ledger_path).tell()))
    moment = {
        "type": "timeline",
        "cell": "1.22-bootstrap",
        "subject": "sound",
        "lane": "cloud",
        "text": "flap",
    }

    def long_run() -> Iterator[Event]:
        yield from events[:-1]
        for number in range(200_000):
            at = f"2026-03-01T09:{number // 60_000:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z"
            yield {
                "at": at,
                **(moment if number % 2 else {"type": "waiting", "cell": "x", "for": "y"}),
                "seq": number,
            }
        yield events[-1]

    tracemalloc.start()
    report = build(long_run(), stories.catalogue())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20
    assert any("timeline" in note.en for note in report.notes)


def test_cleanup_tells_what_is_unaccounted_for(ledger_path: Path) -> None:
    """What was made and neither deleted nor left may still be there after a kill."""
    events = [event for event in read(stories.killed(ledger_path).tell()) if event["type"] != "deleted"]
    report = build(events, stories.catalogue())
    assert {thing.kind for thing in report.cleanup.unaccounted} == {"VirtualNode", "Secret"}


def test_the_time_to_ready_comes_from_the_step(told: Teller, ledger_path: Path) -> None:
    """Seconds from the creating call to Ready, for the chart."""
    report = told(stories.passing(ledger_path))
    assert [cell.timings.ready_seconds for cell in report.cells] == pytest.approx(
        [4.2 + 14 % 3, 4.2 + 19 % 3]
    )


def test_the_time_to_ready_begins_with_the_creating_call(ledger_path: Path) -> None:
    """Where the steps' beginnings are told, it spans from the call to Ready, whatever lies between."""
    events = list(read(stories.passing(ledger_path).tell()))
    step = {"type": "step", "cell": "1.22-bootstrap", "subject": "sound", "seconds": 0.3}
    more = [
        {**step, "step": "vnode", "state": "started", "at": "2026-03-01T08:00:10.000Z"},
        {**step, "step": "vnode", "state": "reached", "at": "2026-03-01T08:00:11.000Z"},
        {**step, "step": "ready", "state": "reached", "at": "2026-03-01T08:00:17.250Z"},
    ]
    report = build([*events[:-1], *more, events[-1]], stories.catalogue())
    assert report.cell("1.22-bootstrap").timings.ready_seconds == pytest.approx(7.25)


def test_the_moments_of_the_join_tell_it_best(ledger_path: Path) -> None:
    """A step begins with whatever it needs; the call and Ready are told to the millisecond."""
    events = list(read(stories.passing(ledger_path).tell()))
    events = [event for event in events if event["type"] != "timeline"]
    told = {"type": "timeline", "cell": "1.22-bootstrap", "subject": "sound", "text": "x"}
    more = [
        {**told, "lane": "cloud", "step": "vnode", "at": "2026-03-01T08:00:10.900Z"},
        {**told, "lane": "cloud", "step": "", "happened_at": "2026-03-01T08:00:10.500Z"},
        {**told, "lane": "cluster", "step": "ready", "happened_at": "2026-03-01T08:00:11.750Z"},
    ]
    report = build([*events[:-1], *more, events[-1]], stories.catalogue())
    assert report.cell("1.22-bootstrap").timings.ready_seconds == pytest.approx(1.25)


def test_a_cell_without_a_told_duration_is_timed_by_its_events(ledger_path: Path) -> None:
    """From cell-started to cell-finished."""
    events = [dict(event) for event in read(stories.passing(ledger_path).tell())]
    for event in events:
        if event["type"] == "cell-finished":
            del event["seconds"]
    report = build(events, stories.catalogue())
    assert all(10 < (cell.timings.total_seconds or 0) < 60 for cell in report.cells)
    assert all(cell.finished for cell in report.cells)
