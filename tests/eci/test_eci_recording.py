"""Recordings: no secret in the file, the same answers from it, and nothing that was not recorded."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.eci import errors, recording
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.exchange import ApiCall
from vnode_suite.eci.models import CreateRequest
from vnode_suite.eci.retrying import RetryPolicy
from vnode_suite.eci.sdk import SdkTransport

TOKEN = "abcdef.0123456789abcdef"
KUBECONFIG = f"clusters: [{{name: c}}]\nusers: [{{name: v, user: {{token: {TOKEN}}}}}]\n"
QUICK = RetryPolicy(deadline=5, attempts=1)


def life(client: EciClient, service: Any, run: str) -> list[Any]:
    """A short life of a VNode, everything it saw."""
    request = service.request(kubeconfig=KUBECONFIG, tags={"run": run, "note": f"token {TOKEN}"})
    made = client.create_virtual_node(request)
    seen: list[Any] = [made, client.describe_virtual_node(made), client.caller()]
    with pytest.raises(errors.QuotaExceeded):
        client.create_virtual_node(CreateRequest(("vsw-full",), "sg-1"))
    client.delete_virtual_node(made)
    return [*seen, client.describe_virtual_node(made)]


@pytest.fixture
def recorded(service: Any, tmp_path: Path) -> tuple[Path, list[Any]]:
    """A recording of that life, and what was seen."""
    ready = service.ready
    known = {ready["account_id"]: "ACCOUNT", ready["access_key_id"]: "ACCESS-KEY-ID"}
    inner = SdkTransport(
        single(ready["endpoint"], ready["region"]),
        StaticCredentials(ready["access_key_id"], ready["access_key_secret"]),
    )
    path = tmp_path / "exchange.jsonl"
    transport = recording.RecordingTransport(
        inner, path, ready["region"], "emulator", recording.Scrubber(known)
    )
    transport.note("run", "run-1")
    service.fault("CreateVirtualNode", "error", code="QuotaExceeded", skip=1)
    return path, life(EciClient(ready["region"], transport, QUICK), service, "run-1")


def test_a_recording_holds_no_secret(service: Any, recorded: tuple[Path, list[Any]]) -> None:
    """Neither kubeconfig nor token nor key nor account."""
    text = recorded[0].read_text("utf-8")
    encoded = service.request(kubeconfig=KUBECONFIG).to_wire()["KubeConfig"]
    for secret in (TOKEN, encoded[:40], service.ready["access_key_id"], service.ready["access_key_secret"]):
        assert secret not in text
    assert service.ready["account_id"] not in text
    assert "{ACCOUNT}" in text
    assert '"KubeConfig": "{KUBECONFIG}"' in text


def test_a_replay_answers_as_it_was(service: Any, recorded: tuple[Path, list[Any]]) -> None:
    """The same results from the file, with another run's tag, and nothing sent."""
    path, seen = recorded
    before = len(service.admin("GET", "/state")["requests"])
    transport = recording.ReplayTransport(recording.load(path), {"run-2": "run-1"})
    again = life(EciClient(service.ready["region"], transport, QUICK), service, "run-2")
    assert again[0] == seen[0]
    assert (again[1].status, again[1].vswitch_id, again[3]) == (seen[1].status, seen[1].vswitch_id, None)
    assert again[2].account_id == "{ACCOUNT}"
    assert list(transport.unused()) == []
    assert len(service.admin("GET", "/state")["requests"]) == before


def test_what_a_replay_answers_names_this_run(service: Any, recorded: tuple[Path, list[Any]]) -> None:
    """The tag that the recorded run gave is told as the one that this run gave."""
    transport = recording.ReplayTransport(recording.load(recorded[0]), {"run-2": "run-1"})
    found = EciClient(service.ready["region"], transport, QUICK).describe_virtual_node(recorded[1][0])
    assert found is not None
    assert found.tags["run"] == "run-2"


def test_nothing_is_told_from_after_a_change_before_it(recorded: tuple[Path, list[Any]]) -> None:
    """However often a replay asks, a VNode is there until it is deleted, and gone from then on."""
    transport = recording.ReplayTransport(recording.load(recorded[0]))
    client, made = EciClient("cn-shanghai", transport, QUICK), recorded[1][0]
    assert [client.describe_virtual_node(made) is not None for _ in range(3)] == [True, True, True]
    client.delete_virtual_node(made)
    assert [client.describe_virtual_node(made) is not None for _ in range(3)] == [False, False, False]


def test_a_recording_knows_who_came_ready(recorded: tuple[Path, list[Any]]) -> None:
    """Only a VNode that was shown Ready has one that joins in its place."""
    tape = recording.load(recorded[0])
    ready = recorded[1][1].status == "Ready"
    assert (tape.came_ready(recorded[1][0]), tape.came_ready("vnd-other")) == (ready, False)


def test_a_replay_fails_closed(recorded: tuple[Path, list[Any]]) -> None:
    """Other parameters, another action, or a change asked twice: no answer is made up."""
    transport = recording.ReplayTransport(recording.load(recorded[0]))
    client = EciClient("cn-shanghai", transport, QUICK)
    with pytest.raises(recording.NotRecorded):
        client.describe_virtual_node("vnd-other")
    with pytest.raises(recording.NotRecorded):
        client.describe_regions()
    client.delete_virtual_node(recorded[1][0])
    with pytest.raises(recording.NotRecorded, match="not in the recording"):
        client.delete_virtual_node(recorded[1][0])


def test_a_recording_from_the_emulator_says_so(recorded: tuple[Path, list[Any]]) -> None:
    """Only the live service's is graded recorded; age and SDK versions are in it."""
    found = recording.load(recorded[0])
    assert (found.grade, found.region, found.source) == ("simulated", "cn-shanghai", "emulator")
    assert set(found.sdk_versions) == set(recording.SDKS)
    assert found.facts == {"run": "run-1"}
    assert [text for text in found.warnings() if "emulator" in text.en and "模拟器" in text.zh]
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=91)
    assert [text for text in found.warnings(later) if "91 days old" in text.en]
    head, *rest = recorded[0].read_text("utf-8").splitlines()
    recorded[0].write_text("\n".join([json.dumps(json.loads(head) | {"source": "live"}), *rest]), "utf-8")
    assert (recording.load(recorded[0]).grade, recording.load(recorded[0]).warnings()) == ("recorded", [])


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"format": "other/v9"}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    """A usage error that names the file."""
    path = tmp_path / "some.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"some\.jsonl is no recording"):
        recording.load(path)


def test_secrets_get_the_same_name_every_time() -> None:
    """Two tokens stay two tokens, one stays one, and page tokens are not secrets."""
    scrub = recording.Scrubber({"42": "ACCOUNT"}).scrub
    first = scrub(
        {"Message": f"{TOKEN} {TOKEN} zyxwvu.0123456789abcdef", "NextToken": "djE6MjA=", "OwnerId": 42}
    )
    assert first == {
        "Message": "{BOOTSTRAP-TOKEN-1} {BOOTSTRAP-TOKEN-1} {BOOTSTRAP-TOKEN-2}",
        "NextToken": "djE6MjA=",
        "OwnerId": "{ACCOUNT}",
    }
    assert scrub({"SecurityToken": "x", "AccessKeySecret": "y", "Flag": True}) == {
        "SecurityToken": "{SECURITYTOKEN}",
        "AccessKeySecret": "{ACCESSKEYSECRET}",
        "Flag": True,
    }


def test_no_answer_is_recorded_as_no_answer(tmp_path: Path) -> None:
    """A time-out replays as a time-out."""

    class Silent:
        def send(self, call: ApiCall, timeout: float) -> dict[str, Any]:
            raise errors.EciTimeout("late", action=call.action)

    path = tmp_path / "r.jsonl"
    live = recording.RecordingTransport(Silent(), path, "cn-shanghai", "live", recording.Scrubber())
    for transport in (live, recording.ReplayTransport(recording.load(path))):
        if isinstance(transport, recording.ReplayTransport):
            transport = recording.ReplayTransport(recording.load(path))
        with pytest.raises(errors.EciTimeout):
            EciClient("cn-shanghai", transport, QUICK).describe_virtual_nodes()
