"""Faults: each kind does what it says, as often as it says, before or after the effect."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import alibabacloud_eci20180808.models as models
import pytest
import requests

from vnode_suite.simulated.eci_api.faults import KINDS, FaultError, load, parse


def add(running: Any, **fault: Any) -> None:
    """Put a fault in force through the admin port."""
    answer = requests.post(
        running.ready["admin"]["endpoint"] + "/faults", json=fault, headers=bearer(running), timeout=30
    )
    assert answer.status_code == 200, answer.text


def bearer(running: Any) -> dict[str, str]:
    """The admin port's header."""
    return {"Authorization": f"Bearer {running.ready['admin']['token']}"}


def create(running: Any, **options: Any) -> str:
    """A VNode, without a kubeconfig."""
    request = models.CreateVirtualNodeRequest(
        region_id=running.ready["region"],
        v_switch_id=running.ready["vswitch_ids"][0],
        security_group_id=running.ready["security_group_id"],
    )
    return str(running.sdk(**options).create_virtual_node(request).body.virtual_node_id)


def listed(running: Any) -> list[str]:
    """Ids of every VNode listed."""
    request = models.DescribeVirtualNodesRequest(region_id=running.ready["region"])
    return [
        str(node.virtual_node_id) for node in running.sdk().describe_virtual_nodes(request).body.virtual_nodes
    ]


def outcome(act: Any) -> str:
    """``ok``, the error's code, or the class of an error without one."""
    try:
        act()
    except Exception as error:
        return str(getattr(error, "code", None) or type(error).__name__)
    return "ok"


@pytest.mark.parametrize(
    ("times", "skip", "expected"),
    [
        (1, 0, ["QuotaExceeded", "ok", "ok", "ok"]),
        (2, 1, ["ok", "QuotaExceeded", "QuotaExceeded", "ok"]),
        (0, 2, ["ok", "ok", "QuotaExceeded", "QuotaExceeded"]),
    ],
)
def test_a_fault_fires_as_often_as_told(emulator: Any, times: int, skip: int, expected: list[str]) -> None:
    """Once, n times after some, or always; other actions are not touched."""
    add(emulator, action="CreateVirtualNode", kind="error", code="QuotaExceeded", times=times, skip=skip)
    assert listed(emulator) == []
    assert [outcome(lambda: create(emulator)) for _ in expected] == expected
    assert len(listed(emulator)) == expected.count("ok")


@pytest.mark.parametrize(
    ("kind", "took_effect"),
    [
        ("timeout-before", 0),
        ("timeout-after", 1),
        ("reset-before", 0),
        ("reset-after", 1),
        ("malformed", 1),
        ("html", 0),
    ],
)
def test_no_answer_before_or_after_the_effect(emulator: Any, kind: str, took_effect: int) -> None:
    """The client gets no usable answer; whether there is a VNode depends on the kind."""
    add(emulator, action="CreateVirtualNode", kind=kind, seconds=5)
    assert outcome(lambda: create(emulator, read_timeout=300)) not in ("ok", "InternalError")
    assert len(listed(emulator)) == took_effect


def test_a_server_error_after_the_effect(emulator: Any) -> None:
    """The worst kind for a client without tokens: 503, and yet there is a VNode."""
    add(emulator, action="CreateVirtualNode", kind="error-after", code="ServiceUnavailable")
    assert outcome(lambda: create(emulator)) == "ServiceUnavailable"
    assert len(listed(emulator)) == 1


@pytest.mark.parametrize("retry_after", [0, 1500])
def test_throttling_with_and_without_the_header(emulator: Any, retry_after: int) -> None:
    """The SDK raises its throttling error only when the header is there."""
    add(emulator, action="*", kind="throttle", retry_after=retry_after)
    with pytest.raises(Exception, match="flow control") as raised:
        listed(emulator)
    error: Any = raised.value
    assert (error.code, error.status_code) == ("Throttling.User", 400)
    assert error.retry_after == (retry_after or None)


def test_a_slow_answer_is_right(emulator: Any) -> None:
    """Slow is late, not wrong."""
    add(emulator, action="DescribeVirtualNodes", kind="slow", seconds=0.4)
    started = time.monotonic()
    assert listed(emulator) == []
    assert time.monotonic() - started >= 0.4


def test_eventual_consistency_in_both_directions(emulator: Any) -> None:
    """A VNode is not listed yet after create, and still listed after delete."""
    add(emulator, action="DescribeVirtualNodes", kind="unseen", seconds=60)
    found = create(emulator)
    assert (listed(emulator), listed(emulator)) == ([], [found])
    request = models.DeleteVirtualNodeRequest(region_id=emulator.ready["region"], virtual_node_id=found)
    emulator.sdk().delete_virtual_node(request)
    add(emulator, action="DescribeVirtualNodes", kind="lingering", seconds=60)
    assert (listed(emulator), listed(emulator)) == ([found], [])


@pytest.mark.parametrize(
    "row",
    [
        {"action": "X", "kind": "explode"},
        {"kind": "slow"},
        {"action": "X", "kind": "error"},
        {"action": "X", "kind": "slow", "seconds": "long"},
        {"action": "X", "kind": "slow", "seconds": -1},
        {"action": "X", "kind": "slow", "times": True},
        {"action": "X", "kind": "html", "status": 200},
        {"action": "X", "kind": "slow", "colour": "red"},
        {"action": "X", "kind": "error", "code": "a\r\nb"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(emulator: Any, row: dict[str, Any]) -> None:
    """From Python an exception, over the admin port 400; nothing is put in force."""
    with pytest.raises(FaultError, match=r"\w"):
        parse(row)
    url = emulator.ready["admin"]["endpoint"] + "/faults"
    assert requests.post(url, json=row, headers=bearer(emulator), timeout=30).status_code == 400
    assert requests.get(url, headers=bearer(emulator), timeout=30).json()["faults"] == []


def test_faults_come_from_the_configuration_too(start: Any) -> None:
    """A fault in the configuration is in force from the first call."""
    running = start(faults=[{"action": "CreateVirtualNode", "kind": "error", "code": "Account.Arrearage"}])
    assert outcome(lambda: create(running)) == "Account.Arrearage"
    assert running.ready["admin"] is None


def test_faults_come_from_a_toml_file_too(start: Any, tmp_path: Path) -> None:
    """One table a fault; anything else in the file is refused."""
    file = tmp_path / "faults.toml"
    file.write_text(
        '[[fault]]\naction = "CreateVirtualNode"\nkind = "error"\ncode = "Zone.NotOnSale"\ntimes = 2\n'
    )
    running = start(faults_file=str(file))
    assert [outcome(lambda: create(running)) for _ in range(3)] == ["Zone.NotOnSale", "Zone.NotOnSale", "ok"]
    for text in ("fault = 1", "[other]", "[[fault]]\nkind = 'slow'", "not toml"):
        file.write_text(text)
        with pytest.raises(FaultError, match=r"\w"):
            load(file)


def test_every_kind_is_tried_here_or_is_an_error_kind() -> None:
    """A new kind needs a test in this module."""
    text = Path(__file__).read_text("utf-8")
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []
