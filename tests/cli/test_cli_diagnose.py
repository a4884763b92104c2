"""`vnode-suite diagnose`: events in, causes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from vnode_suite.access import kubeconfig as configs
from vnode_suite.data.causes import load_causes
from vnode_suite.eci.models import VirtualNode

if TYPE_CHECKING:
    from tests.cli.conftest import Command

DIAGNOSIS = {
    "type": "object",
    "required": ["causes", "unknown"],
    "properties": {
        "unknown": {"type": "array", "items": {"type": "string"}},
        "causes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["cause", "clause", "documented", "remedy", "matched"],
                "properties": {
                    "cause": {"enum": list(load_causes().names)},
                    "clause": {"type": "string", "pattern": "^[A-Z]+-[0-9]{2}$"},
                    "documented": {"type": "boolean"},
                    "remedy": {"type": "string", "minLength": 1},
                    "matched": {"type": "string", "minLength": 1},
                },
            },
        },
    },
}
NO_HOST = (
    "failed to get kubernetes server version, Get https://api.example:6443/version?timeout=32s: "
    "dial tcp: lookup api.example on 100.100.2.136:53: no such host"
)
TIMEOUT = 'Get "https://10.0.0.1:6443/version": dial tcp 10.0.0.1:6443: i/o timeout'
VNODE = {
    "VirtualNodeId": "vnd-1",
    "Status": "Failed",
    "Events": [
        {"Type": "Normal", "Reason": "Created", "Message": "created"},
        {"Type": "Warning", "Reason": "Failed", "Message": NO_HOST, "Count": 3},
    ],
}


def test_a_documented_event_names_its_cause(vnode_suite: Command) -> None:
    """The page's own text, as an argument."""
    found = vnode_suite.json("diagnose", NO_HOST)
    jsonschema.validate(found, DIAGNOSIS)
    (cause,) = found["causes"]
    assert (cause["cause"], cause["clause"], cause["documented"]) == ("dns-no-such-host", "EVENT-03", True)
    assert (cause["matched"], found["unknown"]) == (NO_HOST, [])


def test_what_nobody_knows_is_said_to_be_unknown(vnode_suite: Command) -> None:
    """Lines of standard input, each for itself."""
    found = vnode_suite.json("diagnose", text=f"{TIMEOUT}\nthe moon was full\n")
    jsonschema.validate(found, DIAGNOSIS)
    assert [cause["cause"] for cause in found["causes"]] == ["api-server-unreachable"]
    assert found["unknown"] == ["the moon was full"]


def test_the_answer_of_the_api_is_read_as_it_is(vnode_suite: Command) -> None:
    """A pipe from the vendor's command line: normal events are no failures, counts are kept."""
    found = vnode_suite.json("diagnose", "-", text=json.dumps({"VirtualNodes": [VNODE]}))
    assert [(cause["cause"], cause["count"]) for cause in found["causes"]] == [("dns-no-such-host", 3)]
    assert found["unknown"] == []


def test_a_person_is_told_cause_clause_and_remedy(vnode_suite: Command) -> None:
    """In the language that was asked for."""
    cause = load_causes().cause("dns-no-such-host")
    english, chinese = vnode_suite("diagnose", NO_HOST), vnode_suite("diagnose", NO_HOST, "--lang", "zh")
    assert cause.remedy.en in english.stdout
    assert cause.remedy.zh in chinese.stdout
    assert "vnode-suite explain EVENT-03" in english.stdout


def test_nothing_to_diagnose_is_wrong_usage(vnode_suite: Command) -> None:
    """An empty pipe is not 'nothing wrong'."""
    done = vnode_suite("diagnose", text=" \n")
    assert done.exit_code == 4
    assert "nothing to diagnose" in done.stderr


def test_the_handed_kubeconfig_tells_causes_apart(vnode_suite: Command, tmp_path: Path) -> None:
    """An empty CA gives the same event as a wrong one; the kubeconfig says which it is."""
    event = 'Get "https://10.0.0.1:6443/version": x509: certificate signed by unknown authority'
    admin = configs.AdminCluster("https://10.0.0.1:6443", "-----BEGIN CERTIFICATE-----\n", "admin", None)
    config = tmp_path / "vnode-config"
    text = configs.build(admin, {"token": "abcdef.0123456789abcdef"})
    lines = [
        '    certificate-authority-data: ""' if "certificate-authority-data" in line else line
        for line in text.splitlines()
    ]
    config.write_text("\n".join(lines), encoding="utf-8")
    without = vnode_suite.json("diagnose", event)
    told = vnode_suite.json("diagnose", event, "--kubeconfig", str(config))
    assert [cause["cause"] for cause in without["causes"]] == ["x509-unknown-authority"]
    assert "ca-data-empty" in [cause["cause"] for cause in told["causes"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--live", "vnd-1"],
        ["--live", "vnd-1", "--region", "cn-shangai"],
        ["--live", "vnd-1", "--region", "cn-shanghai", "text"],
        ["--endpoint", "http://127.0.0.1:1", "text"],
        ["--live", "vnd-1", "--region", "cn-shanghai", "--endpoint", "127.0.0.1:1"],
    ],
)
def test_live_says_what_it_needs(vnode_suite: Command, arguments: list[str]) -> None:
    """Wrong usage is found before anything is asked."""
    done = vnode_suite("diagnose", *arguments, env={"ALIBABA_CLOUD_REGION_ID": None})
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1), done.output


def test_live_without_credentials_is_one_clear_error(vnode_suite: Command, tmp_path: Path) -> None:
    """No traceback of the SDK's chain, and a word on what to set."""
    from vnode_suite.core.modules import environment

    bare = {name: value for name, value in environment().items() if not name.startswith("ALIBABA_CLOUD_")}
    # The chain's last source is the ECS metadata service, which a test must not wait for.
    bare |= {"HOME": str(tmp_path), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    done = vnode_suite.process("diagnose", "--live", "vnd-1", "--region", "cn-shanghai", env=bare)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no credentials were found")
    assert (done.stderr.count("\n"), done.stdout) == (1, "")


def test_live_takes_the_events_of_the_vnode(vnode_suite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events come through the client with type, count and times."""
    asked: list[str] = []

    def describe(self: object, virtual_node_id: str) -> VirtualNode:
        asked.append(virtual_node_id)
        return VirtualNode.from_wire(VNODE)

    monkeypatch.setattr("vnode_suite.eci.client.EciClient.describe_virtual_node", describe)
    monkeypatch.setattr("vnode_suite.eci.credentials.resolve", lambda credentials: credentials)
    found = vnode_suite.json("diagnose", "--live", "vnd-1", "--region", "cn-shanghai")
    assert [(cause["cause"], cause["count"]) for cause in found["causes"]] == [("dns-no-such-host", 3)]
    assert asked == ["vnd-1"]
