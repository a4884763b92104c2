"""The ledger is readable at any moment, in one order, and holds no secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from vnode_suite.core.ledger import Event, Ledger, merge, read
from vnode_suite.core.secrets import Registry, Secret
from vnode_suite.model import Status, Text
from vnode_suite.report.document import schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is written."""
    return tmp_path / "run" / "events.jsonl"


def test_events_are_read_back_as_they_were_written(path: Path) -> None:
    """Number, time, shard and type come with every event."""
    with Ledger(path, Registry()) as ledger:
        written = [
            ledger.write("note", text=Text("one", "一")),
            ledger.write("interrupted", signal="SIGTERM"),
        ]
    assert list(read(path)) == written
    assert [event["seq"] for event in written] == [1, 2]
    assert written[0] == {**written[0], "shard": "main", "type": "note", "text": {"en": "one", "zh": "一"}}


def test_domain_objects_become_json(path: Path) -> None:
    """Texts, enumerations, times and paths need no preparation."""
    moment = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
    with Ledger(path, Registry()) as ledger:
        event = ledger.write(
            "result", cell="c", clause="DS-02", status=Status.FAILED, observed_at=moment, expected=None
        )
    assert event["status"] == "failed"
    assert event["observed_at"] == "2026-01-31T13:00:00.000Z"
    assert next(read(path)) == json.loads(json.dumps(event))


def test_a_keyword_of_the_language_is_written_with_an_underscore(path: Path) -> None:
    """`for_` means `for`, which a caller cannot write."""
    with Ledger(path, Registry()) as ledger:
        assert ledger.write("waiting", cell="c", for_=Text("x", "x"))["for"] == {"en": "x", "zh": "x"}


@pytest.mark.parametrize(("kind", "content"), [("reslut", {}), ("result", {"cell": "c"})])
def test_a_wrong_event_is_refused(path: Path, kind: str, content: dict[str, str]) -> None:
    """A misspelt type or a missing field is the caller's bug and writes nothing."""
    with Ledger(path, Registry()) as ledger, pytest.raises(ValueError, match="event"):
        ledger.write(kind, **content)
    assert list(read(path)) == []


def test_secrets_do_not_enter(path: Path) -> None:
    """Neither file nor subscriber sees a secret, wherever it stands; the event says how many there were."""
    registry = Registry()
    secret = Secret("9k3hd8s1v6w0z4bn", "bootstrap-token", registry)
    seen: list[Event] = []
    with Ledger(path, registry) as ledger:
        ledger.subscribe(seen.append)
        ledger.write(
            "note",
            text=secret,
            deep=[{"9k3hd8s1v6w0z4bn": ("x 9k3hd8s1v6w0z4bn", b"9k3hd8s1v6w0z4bn")}],
            path=Path("/a/9k3hd8s1v6w0z4bn"),
        )
    assert "9k3hd8s1v6w0z4bn" not in path.read_text() + json.dumps(seen)
    assert seen[0]["redacted"] == {"bootstrap-token": 5}


def test_the_name_of_a_field_may_say_that_its_value_is_a_secret(path: Path) -> None:
    """A password that nobody registered is taken out of a structure as it is out of a text."""
    with Ledger(path, Registry()) as ledger:
        event = ledger.write("note", text="x", given={"password": "hunter22", "name": "hunter22"})
    assert event["given"] == {"password": "[redacted:password-field]", "name": "hunter22"}
    assert event["redacted"] == {"password-field": 1}


def test_a_torn_last_line_is_left_out(path: Path) -> None:
    """A writer that was killed within a line loses that line only."""
    with Ledger(path, Registry()) as ledger:
        ledger.write("note", text="whole")
    with path.open("ab") as stream:
        stream.write(b'{"seq":2,"at":"2026-')
    assert [event["text"] for event in read(path)] == ["whole"]


def test_a_writer_goes_on_behind_a_torn_line(path: Path) -> None:
    """The next event stands on a line of its own, with the next number; the torn one is told as such."""
    with Ledger(path, Registry()) as ledger:
        ledger.write("note", text="before")
    with path.open("ab") as stream:
        stream.write(b'{"seq":2,"at":"2026-')
    with Ledger(path, Registry()) as ledger:
        ledger.write("note", text="after")
    events = list(read(path))
    assert [event["type"] for event in events] == ["note", "torn", "note"]
    assert [events[0]["seq"], events[2]["seq"]] == [1, 2]


def test_time_never_goes_back(path: Path) -> None:
    """A clock that is set back does not disturb the order within a shard."""
    moments = iter([datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)])
    with Ledger(path, Registry(), clock=lambda: next(moments)) as ledger:
        first, second = ledger.write("note", text="a"), ledger.write("note", text="b")
    assert second["at"] == first["at"]


def test_a_timeline_keeps_when_it_happened_beside_when_it_was_written(path: Path) -> None:
    """Both times are needed: one orders the ledger, the other the picture."""
    with Ledger(path, Registry()) as ledger:
        event = ledger.write("timeline", cell="c", lane="cloud", at="2020-01-01T00:00:00.000Z", text="x")
    assert event["happened_at"] == "2020-01-01T00:00:00.000Z"
    assert event["at"] > "2020-01-02"


def test_shards_are_merged_by_time(tmp_path: Path) -> None:
    """Events of several writers come in one order: by time, then shard, then number."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for shard, offsets in {"gw0": (0, 2, 2), "gw1": (1, 2)}.items():
        clock = iter([start + timedelta(seconds=offset) for offset in offsets]).__next__
        with Ledger(tmp_path / f"events-{shard}.jsonl", Registry(), shard, clock=clock) as ledger:
            for _ in offsets:
                ledger.write("note", text="x")
    merged = [(event["shard"], event["seq"]) for event in merge(sorted(tmp_path.glob("*.jsonl")))]
    assert merged == [("gw0", 1), ("gw1", 1), ("gw0", 2), ("gw0", 3), ("gw1", 2)]


def test_subscribers_hear_of_written_and_of_relayed_events(path: Path) -> None:
    """Live progress sees the events of all shards; undoing stops it."""
    heard: list[str] = []
    with Ledger(path, Registry()) as ledger:
        undo = ledger.subscribe(lambda event: heard.append(event["shard"]))
        ledger.write("note", text="x")
        ledger.relay({"type": "note", "shard": "gw1"})
        undo()
        ledger.write("note", text="y")
    assert heard == ["main", "gw1"]
    assert len(list(read(path))) == 2


def test_threads_share_a_ledger(path: Path) -> None:
    """No line is mixed with another, and every number is given once."""
    with Ledger(path, Registry()) as ledger:
        threads = [
            threading.Thread(target=lambda: [ledger.write("note", text="x" * 500) for _ in range(50)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(event["seq"] for event in read(path)) == list(range(1, 401))


def test_a_closed_ledger_takes_nothing(path: Path) -> None:
    """Writing after the end is a bug that is told, and closing twice is none."""
    ledger = Ledger(path, Registry())
    ledger.close()
    ledger.close()
    with pytest.raises(ValueError, match="closed"):
        ledger.write("note", text="late")


def test_a_killed_writer_leaves_what_it_wrote(path: Path) -> None:
    """Every event that was written before SIGKILL is there."""
    code = (
        "import sys, itertools; from pathlib import Path; from vnode_suite.core.ledger import Ledger\n"
        f"ledger = Ledger(Path({str(path)!r}))\n"
        "for n in itertools.count(1):\n"
        "    ledger.write('note', text='x' * 300)\n"
        "    print(n, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
    assert len(list(read(path))) >= told[-1] == 200


def test_written_events_follow_the_published_schema(path: Path) -> None:
    """The schema that ships with the package says what the writer does."""
    events = schema("events.v1")
    Draft202012Validator.check_schema(events)
    with Ledger(path, Registry()) as ledger:
        ledger.write(
            "step",
            cell="c",
            subject="sound",
            step="node-ready",
            state="reached",
            reason="",
            detail=None,
            seconds=1.5,
        )
        ledger.write("run-finished", exit_status=0)
    validator = Draft202012Validator(events)
    assert [list(validator.iter_errors(event)) for event in read(path)] == [[], []]
    wrong = {**next(read(path)), "state": "perhaps"}
    assert list(validator.iter_errors(wrong))
