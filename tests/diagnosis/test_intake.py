"""What a person pastes or a program pipes becomes events."""

from __future__ import annotations

import json

import pytest

from vnode_suite.core.errors import UsageError
from vnode_suite.diagnosis import EventText, diagnose, read
from vnode_suite.diagnosis.intake import LARGEST

PUBLISHED = (
    r"failed to get kubernetes server version, Get \"https://10.50.XX.XX:6443/version?timeout=32s\": "
    "net/http: request canceled (Client.Timeout exceeded while awaiting headers"
)
EVENT = {
    "Type": "Warning",
    "Reason": "FailedGetServerVersion",
    "Message": PUBLISHED,
    "Name": "vnd-2ze",
    "Count": 4,
    "FirstTimestamp": "2024-03-01T08:00:00Z",
    "LastTimestamp": "2024-03-01T08:10:00Z",
}
NORMAL = {"Type": "Normal", "Reason": "Created", "Message": "Successfully", "Count": 1}
READ = EventText(
    PUBLISHED,
    reason="FailedGetServerVersion",
    type="Warning",
    count=4,
    first="2024-03-01T08:00:00Z",
    last="2024-03-01T08:10:00Z",
)


@pytest.mark.parametrize("document", [EVENT, [EVENT], {"Events": [EVENT]}])
def test_events_are_read_however_much_of_the_answer_is_piped(document: object) -> None:
    """One event, a list of them, or an object that holds the list."""
    assert read(json.dumps(document)) == (READ,)


def test_the_whole_answer_keeps_whose_event_it_is() -> None:
    """Events of the whole body of DescribeVirtualNodes know their VNode."""
    body = {
        "RequestId": "89164E78-0000-0000-0000-000000000000",
        "TotalCount": 2,
        "VirtualNodes": [
            {"VirtualNodeId": "vnd-2ze", "Status": "Pending", "Events": [NORMAL, EVENT]},
            {"VirtualNodeId": "vnd-3ze", "Status": "Ready", "Events": []},
        ],
    }
    events = read(json.dumps(body))
    assert [event.virtual_node_id for event in events] == ["vnd-2ze", "vnd-2ze"]
    assert [cause.cause for cause in diagnose(events).causes] == ["api-server-unreachable"]
    assert diagnose(events).unknown == ()


def test_an_error_of_the_api_is_read_by_its_code() -> None:
    """The body of a refused call leads to the cause of its code."""
    body = {
        "Code": "InvalidVSwitchId.IpNotEnough",
        "Message": "not enough",
        "HostId": "eci",
        "RequestId": "r",
    }
    assert [cause.cause for cause in diagnose(read(json.dumps(body))).causes] == ["no-free-address"]


def test_a_list_of_texts_is_read() -> None:
    """A JSON list of strings is a list of texts."""
    assert read(json.dumps(["a", "b"])) == (EventText("a"), EventText("b"))


def test_lines_are_texts_and_lose_their_bullets() -> None:
    """Pasted lines are one event each; bullets and blank lines go."""
    pasted = f"\n  • {PUBLISHED}\n\n  - Unauthorized\n"
    assert read(pasted) == (EventText(PUBLISHED), EventText("Unauthorized"))


def test_a_wrapped_event_is_put_together() -> None:
    """One event over several lines stays one where that makes it a known one."""
    wrapped = PUBLISHED.replace("net/http", "\n    net/http")
    (event,) = read(wrapped)
    assert diagnose([event]).causes[0].documented


def test_unknown_lines_stay_lines() -> None:
    """Lines that are no event of ours are not put together."""
    assert read("one\ntwo\n") == (EventText("one"), EventText("two"))


@pytest.mark.parametrize("text", ["", "   \n ", "[]", "{}", "null", "3", '{"VirtualNodes": []}'])
def test_nothing_is_read_from_nothing(text: str) -> None:
    """Empty input and JSON without events give none."""
    assert read(text) == ()


@pytest.mark.parametrize("text", ['{"Message":', "[" * 100_000, '{"Message": "a"} trailing'])
def test_broken_json_is_text(text: str) -> None:
    """What is no JSON is taken as text, without a traceback."""
    assert read(text) == (EventText(text),)


def test_odd_fields_do_no_harm() -> None:
    """Fields of unexpected kinds are read as well as they can be."""
    (event,) = read(json.dumps({"Message": 7, "Count": "many", "Reason": None, "FirstTimestamp": ["x"]}))
    assert (event.text, event.count, event.reason, event.seen) == ("7", 1, "", ())


def test_input_beyond_all_reason_is_refused() -> None:
    """There is an end to what is read."""
    with pytest.raises(UsageError, match="too large"):
        read("x" * (LARGEST + 1))
