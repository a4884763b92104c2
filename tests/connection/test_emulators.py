"""One emulator for the versions of a run: lent to one world after the other, empty each time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnode_suite.connection.cloud import open_emulated
from vnode_suite.connection.emulators import Emulators
from vnode_suite.connection.run import Run
from vnode_suite.core.settings import CloudSettings, ClusterSettings, ReportSettings, ScopeSettings, Settings
from vnode_suite.eci.errors import EciError
from vnode_suite.eci.models import CreateRequest
from vnode_suite.model import Cell, Identity, Provider

_FAULT = {"action": "DescribeRegions", "kind": "error", "code": "InternalError", "status": 400}
_NOWHERE = json.dumps(
    {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run of two versions, with a fault in its first look at the regions."""
    monkeypatch.setenv("VNODE_SUITE_STATE", str(tmp_path / "state"))
    settings = Settings(
        cells=tuple(Cell(name, Identity.BOOTSTRAP, Provider.LOCAL) for name in ("1.22", "1.19")),
        cluster=ClusterSettings(Provider.LOCAL),
        cloud=CloudSettings(region="cn-shanghai", faults=(_FAULT,)),
        scope=ScopeSettings(),
        report=ReportSettings(),
    )
    with Run(settings, f"e{os.getpid() % 10_000_000:07d}", tmp_path / "report") as made:
        yield made


def _networks(run: Run) -> list[str]:
    return [entry.name for entry in run.journal.left if entry.kind == "network"]


def test_each_world_finds_the_emulator_as_new(run: Run) -> None:
    """What one left running, bought and asked is gone for the next, and its faults are in force anew."""
    pids = []
    for version in ("1.22", "1.19"):
        with open_emulated(run, version) as side:
            assert side.admin is not None
            pids.append(side.process_name)
            assert side.admin.state()["virtual_nodes"] == side.admin.state()["deleted"] == []
            with pytest.raises(EciError, match="InternalError"):
                side.client.describe_regions()
            request = CreateRequest(
                tuple(side.vswitches)[:1], side.security_group_id, _NOWHERE, tls_bootstrap=True
            )
            side.client.create_virtual_node(request)
    books = [
        json.loads((run.folder / f"evidence/cloud-{name}.json").read_text()) for name in ("1.22", "1.19")
    ]
    assert [book["calls"]["CreateVirtualNode 200"] for book in books] == [1, 1]
    assert [len(book["virtual_nodes"]) for book in books] == [1, 1]
    assert [book["faults"][0]["fired"] for book in books] == [1, 1]
    assert len(set(pids)) == 1
    assert len(_networks(run)) == 1
    run.emulators.close()
    assert _networks(run) == []


def test_one_that_ended_is_told_of_and_not_lent_again(run: Run) -> None:
    """The version whose emulator ended has an error of the harness, and the next one starts another."""
    with open_emulated(run, "1.22") as first:
        (process,) = [each for each in run.supervisor.running() if each.name == first.process_name]
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(20)
    told = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [event["where"] for event in told if event["type"] == "harness-error"] == ["emulator 1.22"]
    with open_emulated(run, "1.19") as second:
        assert second.process_name != first.process_name
        assert second.admin is not None
        assert second.admin.state()["requests"] == []
    assert len(_networks(run)) == 1


def test_two_worlds_at_one_time_have_one_emulator_each(run: Run) -> None:
    """Neither can see what the other one made."""
    with open_emulated(run, "1.22") as one, open_emulated(run, "1.19") as other:
        assert one.process_name != other.process_name
        assert one.host_address != other.host_address or one.network == "loopback"


def test_a_run_that_begins_starts_it_before_it_is_asked_for(run: Run) -> None:
    """The first world is lent what was started early, and nothing of it stays."""
    early = Emulators(run)
    early.start_early()
    lent = early.lend((), {})
    assert [each.name for each in run.supervisor.running()] == [lent.process.name]
    early.take_back(lent)
    early.close()
    assert run.supervisor.running() == []
    assert _networks(run) == []
