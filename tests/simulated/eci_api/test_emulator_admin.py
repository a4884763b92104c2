"""The admin port: guarded, complete, and without secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import alibabacloud_eci20180808.models as models
import pytest
import requests

SECRET = "abcdef.0123456789abcdef"
KUBECONFIG = f"clusters: [{{name: c}}]\nusers: [{{name: v, user: {{token: {SECRET}}}}}]\n"


def admin(
    running: Any, method: str, path: str, body: Any = None, token: str | None = None
) -> requests.Response:
    """A call of the admin port."""
    held = running.ready["admin"]
    headers = {"Authorization": f"Bearer {token if token is not None else held['token']}"}
    return requests.request(method, held["endpoint"] + path, json=body, headers=headers, timeout=30)


def create(running: Any, defect: str = "") -> str:
    """A VNode, with a defect if named."""
    request = models.CreateVirtualNodeRequest(
        region_id=running.ready["region"],
        v_switch_id=running.ready["vswitch_ids"][0],
        security_group_id=running.ready["security_group_id"],
        kube_config=base64.b64encode(KUBECONFIG.encode()).decode(),
        tag=[models.CreateVirtualNodeRequestTag(key="vnode-suite:defect", value=defect)] if defect else None,
    )
    return str(running.sdk().create_virtual_node(request).body.virtual_node_id)


def delete(running: Any, virtual_node_id: str) -> None:
    """DeleteVirtualNode."""
    running.sdk().delete_virtual_node(
        models.DeleteVirtualNodeRequest(region_id=running.ready["region"], virtual_node_id=virtual_node_id)
    )


@pytest.mark.parametrize("token", ["", "wrong", "\xfc"])
def test_without_the_token_nothing_is_told(emulator: Any, token: str) -> None:
    """Every path is guarded, unknown ones too."""
    for path in ("/state", "/faults", "/nowhere"):
        assert admin(emulator, "GET", path, token=token).status_code in (401, 404)
        assert "virtual_nodes" not in admin(emulator, "GET", path, token=token).text


def test_it_is_off_by_default(start: Any) -> None:
    """Without being asked for there is no admin port."""
    assert start().ready["admin"] is None


def test_state_shows_what_exists_and_what_was(emulator: Any) -> None:
    """Both sides of a cleanup: what is there, what was deleted, what was billed, who asked what."""
    kept, gone = create(emulator), create(emulator)
    emulator.fleet.pods[kept] = 2
    delete(emulator, gone)
    state = admin(emulator, "GET", "/state").json()
    (node,) = state["virtual_nodes"]
    assert (node["VirtualNodeId"], node["PodsRunning"], node["DeletedAt"]) == (kept, 2, None)
    assert [row["VirtualNodeId"] for row in state["deleted"]] == [gone]
    assert state["deleted"][0]["BilledSeconds"] >= 0
    assert [row["action"] for row in state["requests"]] == ["CreateVirtualNode"] * 2 + ["DeleteVirtualNode"]


def test_state_holds_no_secret(emulator: Any) -> None:
    """Neither the kubeconfig nor the access key's secret nor a signature."""
    create(emulator)
    text = admin(emulator, "GET", "/state").text
    encoded = base64.b64encode(KUBECONFIG.encode()).decode()
    for secret in (SECRET, encoded, encoded[8:40], emulator.ready["access_key_secret"], "Signature="):
        assert secret not in text


def test_all_can_be_forgotten_for_the_next(emulator: Any) -> None:
    """VNodes are stopped; what was deleted, asked, left behind and told to go wrong is gone as after a new start."""
    there, kept, left = (
        create(emulator),
        create(emulator, "delete-keeps-vnode"),
        create(emulator, "instance-left"),
    )
    for name in (kept, left):
        delete(emulator, name)
    admin(emulator, "POST", "/faults", {"action": "*", "kind": "throttle"})
    admin(emulator, "DELETE", "/state")
    assert {there, kept, left} <= set(emulator.fleet.stopped)
    state = admin(emulator, "GET", "/state").json()
    assert not any(state[what] for what in ("virtual_nodes", "deleted", "instances", "requests", "faults"))


def test_a_vnode_that_delete_kept_can_be_purged(emulator: Any) -> None:
    """The defect answers 200 and keeps it listed; purge removes it, and what an instance defect left."""
    kept, left = create(emulator, "delete-keeps-vnode"), create(emulator, "instance-left")
    for name in (kept, left):
        delete(emulator, name)
    state = admin(emulator, "GET", "/state").json()
    assert [(row["VirtualNodeId"], row["KeptAfterDelete"]) for row in state["virtual_nodes"]] == [
        (kept, True)
    ]
    assert [row["virtual_node_id"] for row in state["instances"]] == [left]
    purged = admin(emulator, "POST", "/purge", {}).json()["purged"]
    assert purged == [kept, state["instances"][0]["id"]]
    state = admin(emulator, "GET", "/state").json()
    assert (state["virtual_nodes"], state["instances"]) == ([], [])


def test_a_probe_goes_to_the_fleet(emulator: Any) -> None:
    """The order's fields, and 400 for one that does not exist."""
    order = {"vswitch_id": "vsw-1", "host": "lb.example", "port": 6443, "defects": ["dns-no-such-host"]}
    assert admin(emulator, "POST", "/probe", order).json()["resolved"] == ["lb.example"]
    assert admin(emulator, "POST", "/probe", order | {"speed": 1}).status_code == 400


def test_rules_and_capacity_can_be_set(emulator: Any) -> None:
    """What PARAM controls change; unknown groups are refused."""
    group, switch = emulator.ready["security_group_id"], emulator.ready["vswitch_ids"][0]
    rules = [
        {"protocol": "TCP", "ports": "10250/10250", "source": "10.0.0.0/8", "policy": "Drop", "priority": 7}
    ]
    body = {"security_group_id": group, "type": "normal", "rules": rules}
    assert admin(emulator, "POST", "/security-group-rules", body).json()["rules"] == 1
    assert (
        admin(emulator, "POST", "/vswitches", {"vswitch_id": switch, "capacity": 0}).json()["available"] == 0
    )
    assert (
        admin(emulator, "POST", "/security-group-rules", body | {"security_group_id": "x"}).status_code == 400
    )
    shown = admin(emulator, "GET", "/state").json()["networks"][0]["security_groups"][0]
    assert (shown["type"], shown["rules"][0]["priority"]) == ("normal", 7)


def test_every_inferred_behaviour_is_marked(emulator: Any) -> None:
    """Each row has a basis and a source."""
    told = admin(emulator, "GET", "/behaviours").json()
    rows = told["codes"] + told["behaviours"]
    assert {row["basis"] for row in rows} == {"confirmed", "inferred"}
    assert all(row["source"] for row in rows)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"{}"])
def test_a_bad_body_is_refused(emulator: Any, body: bytes) -> None:
    """Never a 500, whatever is sent."""
    held = emulator.ready["admin"]
    for path in ("/faults", "/probe", "/security-group-rules", "/vswitches"):
        headers = {"Authorization": f"Bearer {held['token']}", "Content-Type": "application/json"}
        answer = requests.post(held["endpoint"] + path, data=body, headers=headers, timeout=30)
        assert answer.status_code in (200, 400), (path, answer.text)
        assert json.loads(answer.text)
