"""Reading what a person pastes or pipes: event texts, or the ECI API's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vnode_suite.core.errors import UsageError
from vnode_suite.diagnosis.events import EventText
from vnode_suite.diagnosis.patterns import match

#: Of text, in characters: twenty VNodes a page with a thousand events each stay below it.
LARGEST = 8 * 1024 * 1024
_BULLETS = "•*- \t"


def read(text: str) -> tuple[EventText, ...]:
    """The events in *text*.

    JSON is taken as DescribeVirtualNodes answers it (the whole body, one VNode, its ``Events``, one event) or
    as the API answers an error (``Code`` and ``Message``). Anything else is taken as texts, one a line; an
    event that was wrapped over several lines is put together where that makes it a known one.

    :raises UsageError: it is too large to be that.
    """
    if len(text) > LARGEST:
        raise UsageError("this is too large for the events of VNodes", wanted=f"at most {LARGEST} characters")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return tuple(_lines(text))
    return tuple(_events(document, ""))


def _lines(text: str) -> Iterator[EventText]:
    if match(text):
        yield EventText(text.strip())
        return
    for line in text.splitlines():
        plain = line.strip().lstrip(_BULLETS).strip()
        if plain:
            yield EventText(plain)


def _events(document: Any, virtual_node_id: str) -> Iterator[EventText]:
    if isinstance(document, str):
        yield EventText(document, virtual_node_id=virtual_node_id)
    elif isinstance(document, list):
        for item in document:
            yield from _events(item, virtual_node_id)
    elif isinstance(document, dict):
        inner = [document[key] for key in ("VirtualNodes", "Events") if isinstance(document.get(key), list)]
        owner = str(document.get("VirtualNodeId") or virtual_node_id)
        for part in inner:
            yield from _events(part, owner)
        if not inner and any(key in document for key in ("Message", "Reason", "Code")):
            yield _event(document, owner)


def _event(record: Mapping[str, Any], virtual_node_id: str) -> EventText:
    count = record.get("Count")
    return EventText(
        text=str(record.get("Message") or ""),
        reason=str(record.get("Reason") or record.get("Code") or ""),
        type=str(record.get("Type") or ""),
        count=count if isinstance(count, int) and count > 0 else 1,
        first=str(record.get("FirstTimestamp") or ""),
        last=str(record.get("LastTimestamp") or ""),
        virtual_node_id=virtual_node_id,
    )
