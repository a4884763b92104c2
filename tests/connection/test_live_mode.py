"""Live mode, against the emulator standing in for the service: whose bill it is, what is touched, what it is worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connection.standing import ACCOUNT, SECRET, Service, standing
from tests.connection.stranger import Stranger, stranger
from vnode_suite.core.polling import poll
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.models import CreateRequest

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.long]

#: The service's own heartbeat of 10 s, and the control plane's own grace of 40 s, are not scaled here.
_PATIENCE = "--vnode-deadline=stays-ready=12"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The emulator over TLS, with VNodes that join."""
    folder = tmp_path_factory.mktemp("live")
    with standing(folder, tls=True) as emulator:
        (folder / "ca.pem").write_text(emulator.ready.ca_pem)
        yield emulator


@pytest.fixture(scope="module")
def theirs(service: Service) -> Iterator[Stranger]:
    """A cluster of the user's, which the VPC of *service* can reach."""
    with stranger(service.folder, address=service.ready.host_address, grace_seconds=40) as cluster:
        yield cluster


def _options(service: Service, theirs: Stranger) -> tuple[str, ...]:
    return (
        f"--kubeconfig={theirs.admin}",
        "--vnode-cloud=live",
        f"--vnode-eci-endpoint={service.ready.endpoint}",
        f"--vnode-eci-ca={service.folder / 'ca.pem'}",
        *service.place,
    )


@pytest.fixture(scope="module")
def foreign(service: Service) -> str:
    """A VNode that is there before any run, and is somebody else's."""
    ready = service.ready
    where = single(ready.endpoint, ready.region, str(service.folder / "ca.pem"))
    client = EciClient.connect(where, StaticCredentials(ready.access_key_id, ready.access_key_secret))
    return client.create_virtual_node(
        CreateRequest(
            (ready.vswitch_ids[1],), ready.security_group_id, name="vnode-of-another", tags={"a": "b"}
        )
    )


@pytest.fixture(scope="module")
def run(service: Service, theirs: Stranger, foreign: str) -> dict[str, Any]:
    """One live run, recorded."""
    done = service.suite(
        *_options(service, theirs),
        _PATIENCE,
        "--vnode-apply-exclusion=on",
        f"--vnode-record={service.folder / 'tape.jsonl'}",
    )
    return {"status": done.returncode, "said": done.stdout + done.stderr, "report": service.report()}


def _rows(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["clause"], row["cell"].partition("-")[2]): row for row in report["results"]}


def test_a_live_run_is_conformant_and_accepts_nothing(run: dict[str, Any]) -> None:
    """Every clause holds; since the endpoint is not the service's own, no row is evidence of it."""
    assert run["status"] == 0, run["said"]
    verdict = run["report"]["verdict"]
    assert (verdict["result"], verdict["evidence"], verdict["accepted"]) == ("conformant", "simulated", False)
    assert {row["grade"] for row in run["report"]["results"]} <= {"simulated", None}


def test_it_says_first_whose_bill_it_is(run: dict[str, Any], service: Service) -> None:
    """Region, account, number of VNodes and the price's basis stand in the output before the first call that buys."""
    said = run["said"]
    facts = [
        f"region {service.ready.region}, account {ACCOUNT}",
        "up to 1 VNodes, real and billed",
        "GiB-hours",
    ]
    first_vnode = said.index("  vnode  ")
    assert [fact for fact in facts if not 0 <= said.find(fact) < first_vnode] == []
    assert "is no endpoint of the service's own" in said


def test_parameters_are_judged_on_the_networks_own_reads(run: dict[str, Any]) -> None:
    """PARAM-01 to 08 each have a result from VPC and ECS."""
    rows = _rows(run["report"])
    for number in range(1, 8):
        row = rows[f"PARAM-{number:02}", "bootstrap"]
        assert (row["status"], row["observed_from"]) == ("passed", "local" if number == 2 else "cloud"), row
    assert rows["PARAM-08", "bootstrap"]["status"] == "info"


def test_the_way_is_told_by_the_vnode_itself(run: dict[str, Any]) -> None:
    """Nobody stands inside a real VPC: that the VNode registered is the dial from its side."""
    row = _rows(run["report"])["PRE-02", "bootstrap"]
    assert row["status"] == "passed"
    assert "dialled it from its VPC" in json.dumps(row["evidence"])


def test_what_is_not_the_runs_is_neither_touched_nor_left(
    run: dict[str, Any], service: Service, theirs: Stranger, foreign: str
) -> None:
    """Of the VNodes only somebody else's is left, no Node of the run's is, and each creation carried its tag."""
    (left,) = service.vnodes()
    assert left["VirtualNodeId"] == foreign
    assert _nodes(theirs) == []
    assert service.ready.admin is not None
    tags = [{t["Key"]: t["Value"] for t in node["Tags"]} for node in service.ready.admin.state()["deleted"]]
    assert len(tags) >= 2
    assert {tag.get("vnode-suite:run") for tag in tags} == {run["report"]["run"]["id"]}


def test_a_plan_costs_nothing(service: Service, theirs: Stranger) -> None:
    """It says how many VNodes would be billed, and calls nobody."""
    before = len(service.requests())
    done = service.suite(*_options(service, theirs), "--vnode-plan", reports="planned")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "up to 1 VNodes, real and billed" in done.stdout
    assert len(service.requests()) == before


def test_controls_of_the_simulator_are_listed_and_never_counted(service: Service, theirs: Stranger) -> None:
    """With controls on, those that only a simulator can have are named with the reason; none of them was sent."""
    done = service.suite(
        *_options(service, theirs),
        "--vnode-controls=on",
        "--vnode-clause=CREATE-04,CREATE-09,PARAM-02,PARAM-05,KCFG-08",
        "--vnode-identity=serviceaccount",
        reports="controls",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = service.report("controls")
    assert {row["defect"] for row in report["controls"]} >= {"zero-vswitches", "kubeconfig-server-http"}
    assert {row["defect"] for row in report["controls"]}.isdisjoint({"tag-lost", "normal-security-group"})
    assert "negative controls not run with --vnode-cloud live" in done.stdout
    assert "tag-lost" in json.dumps(report["notes"])


def test_the_recording_holds_no_secret(run: dict[str, Any], service: Service) -> None:
    """Neither key, nor account, nor kubeconfig, nor token; it says that it is not of the service."""
    text = (service.folder / "tape.jsonl").read_text()
    head = json.loads(text.splitlines()[0])
    assert (head["source"], head["region"]) == ("emulator", service.ready.region)
    assert set(head["sdk_versions"]) >= {"alibabacloud-eci20180808"}
    for secret in (
        SECRET,
        ACCOUNT,
        service.ready.access_key_id,
        "certificate-authority-data",
        "BEGIN CERTIFICATE",
    ):
        assert secret not in text
    assert '"KubeConfig": "{KUBECONFIG}"' in text


def test_a_recording_is_replayed_without_the_service(run: dict[str, Any], service: Service) -> None:
    """On a control plane of the run's own every clause holds on the recorded answers, and nobody is called."""
    before = len(service.requests())
    done = service.suite(
        "--vnode-cloud=replay",
        f"--vnode-cassette={service.folder / 'tape.jsonl'}",
        f"--vnode-resource-group={service.ready.resource_group_ids[0]}",
        "--vnode-controls=off",
        reports="replayed",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(service.requests()) == before
    report = service.report("replayed")
    rows = _rows(report)
    assert rows["CREATE-09", "bootstrap"]["status"] == rows["NODE-04", "bootstrap"]["status"] == "passed"
    assert report["verdict"]["evidence"] == "simulated"


def test_of_a_recording_of_the_service_each_row_has_its_own_grade(
    run: dict[str, Any], service: Service
) -> None:
    """What the service said is worth a recording, what the cluster said of the simulated VNode is not; age is told."""
    head, *rest = (service.folder / "tape.jsonl").read_text().splitlines()
    old = json.loads(head) | {"source": "live", "recorded_at": "2024-01-01T00:00:00Z"}
    tape = service.folder / "old.jsonl"
    tape.write_text("\n".join([json.dumps(old), *rest]))
    done = service.suite(
        "--vnode-cloud=replay",
        f"--vnode-cassette={tape}",
        f"--vnode-resource-group={service.ready.resource_group_ids[0]}",
        "--vnode-clause=CREATE-06,CREATE-09,NODE-01,NODE-04",
        "--vnode-controls=off",
        reports="old",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(service.report("old"))
    grades = {
        clause: rows[clause, "bootstrap"]["grade"]
        for clause in ("CREATE-06", "CREATE-09", "NODE-01", "NODE-04")
    }
    assert grades == {
        "CREATE-06": "recorded",
        "CREATE-09": "recorded",
        "NODE-01": "simulated",
        "NODE-04": "simulated",
    }
    assert "days old" in done.stdout


def test_a_replay_fails_closed(run: dict[str, Any], service: Service) -> None:
    """What was not recorded could not be looked at: nothing is made up, and the run is incomplete."""
    done = service.suite(
        "--vnode-cloud=replay",
        f"--vnode-cassette={service.folder / 'tape.jsonl'}",
        "--vnode-tag=not=recorded",
        "--vnode-clause=CREATE-01,CREATE-04,NODE-01",
        "--vnode-identity=serviceaccount",
        "--vnode-controls=off",
        reports="closed",
    )
    assert done.returncode == 10, done.stdout + done.stderr
    rows = _rows(service.report("closed"))
    assert rows["CREATE-04", "serviceaccount"]["status"] == "could-not-run"
    assert "is not in the recording" in json.dumps(rows["CREATE-04", "serviceaccount"])


def test_a_refused_permission_is_named_and_nothing_is_bought(
    service: Service, theirs: Stranger, tmp_path: Path
) -> None:
    """Who may not read the network is told which RAM action is missing, before anything is made."""
    assert service.ready.admin is not None
    fault = service.ready.admin.add_fault("DescribeVSwitches", "error", code="Forbidden.RAM", times=0)
    before = [node["VirtualNodeId"] for node in service.vnodes()]
    try:
        done = service.suite(*_options(service, theirs), "--vnode-identity=serviceaccount", reports="refused")
    finally:
        service.ready.admin.clear_faults()
    assert fault
    assert done.returncode == 10, done.stdout + done.stderr
    assert "vpc:DescribeVSwitches" in done.stdout
    assert [node["VirtualNodeId"] for node in service.vnodes()] == before


def test_a_vnode_whose_answer_was_lost_is_found_and_deleted(service: Service, theirs: Stranger) -> None:
    """Each try of the call takes effect and breaks off: CREATE-01 fails, and neither VNode nor Node is left."""
    assert service.ready.admin is not None
    before = {node["VirtualNodeId"] for node in service.vnodes()}
    service.ready.admin.add_fault("CreateVirtualNode", "reset-after", times=0)
    try:
        done = service.suite(
            *_options(service, theirs),
            "--vnode-identity=serviceaccount",
            "--vnode-profile=quick",
            reports="lost",
        )
    finally:
        service.ready.admin.clear_faults()
    assert done.returncode == 1, done.stdout + done.stderr
    assert {row["clause"] for row in service.report("lost")["results"] if row["status"] == "failed"} == {
        "CREATE-01"
    }
    assert {node["VirtualNodeId"] for node in service.vnodes()} == before
    cleanup = service.report("lost")["cleanup"]
    assert [one["kind"] for one in cleanup["deleted"] if one["kind"] == "VirtualNode"] == ["VirtualNode"]
    assert cleanup["left"] == []
    assert _nodes(theirs) == []


def test_a_sweep_after_a_kill_leaves_nothing_on_either_side(
    service: Service, theirs: Stranger, foreign: str
) -> None:
    """The VNode of a killed run is deleted in the cloud, and its Node in the cluster; nobody else's is."""
    reports = service.folder / "killed"
    with service.begun(*_options(service, theirs), "--vnode-identity=bootstrap", reports="killed") as process:
        poll(
            lambda: any(node["PodsRunning"] for node in service.vnodes()) or None,
            what="a Pod to run on a VNode of the run",
            deadline_seconds=120,
            interval_seconds=0.5,
        )
        assert process.poll() is None, reports
        process.kill()
    assert len(service.vnodes()) == 2
    swept = service.command("sweep", "--yes")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert [node["VirtualNodeId"] for node in service.vnodes()] == [foreign]
    assert _nodes(theirs) == []
    assert "nothing was left behind" in service.command("sweep").stdout


def _nodes(theirs: Stranger) -> list[str]:
    names = [node["metadata"]["name"] for node in theirs.kube.list("/api/v1/nodes")]
    return [name for name in names if "vnd-" in name]
