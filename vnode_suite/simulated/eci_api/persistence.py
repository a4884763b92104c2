"""State over a restart: one JSON file, written a moment after each change and when the emulator ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vnode_suite.simulated.eci_api.service import Service
from vnode_suite.simulated.eci_api.state import Event, Remembered, State, VirtualNode

FORMAT = "vnode-suite/emulator-state/v1"
#: Changes are gathered for this long before the file is written, in seconds; a crash loses no more than that.
GATHER = 0.2


@contextlib.asynccontextmanager
async def kept(state: State, service: Service, path: Path) -> AsyncIterator[None]:
    """Load the file if it is there, start its VNodes again, and keep it up to date until the block ends."""
    if path.exists():
        restore(state, service, json.loads(path.read_text("utf-8")))
    dirty = asyncio.Event()
    state.changed = dirty.set
    writer = asyncio.create_task(_write_on_change(state, path, dirty))
    try:
        yield
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        write(state, path)


async def _write_on_change(state: State, path: Path, dirty: asyncio.Event) -> None:
    while True:
        await dirty.wait()
        await asyncio.sleep(GATHER)
        dirty.clear()
        write(state, path)


def write(state: State, path: Path) -> None:
    """Replace the file as a whole; readable by its owner only, since kubeconfigs are in it."""
    body = {
        "format": FORMAT,
        "next_sequence": state.next_sequence,
        "virtual_nodes": [asdict(node) for node in state.all_nodes()],
        "deleted": [asdict(node) for node in state.deleted],
        "left_instances": state.left_instances,
        "tokens": [[list(key), asdict(entry)] for key, entry in state.tokens().items()],
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(body, file)
    draft.replace(path)


def restore(state: State, service: Service, body: dict[str, Any]) -> None:
    """Fill an empty state from a file's content; VNodes whose network still exists are started again."""
    if body.get("format") != FORMAT:
        raise ValueError(f"the state file is of format {body.get('format')!r}, not {FORMAT!r}")
    state.next_sequence = int(body["next_sequence"])
    state.left_instances.update(body["left_instances"])
    for key, entry in body["tokens"]:
        account_id, region, action, token = key
        state.tokens()[account_id, region, action, token] = Remembered(**entry)
    state.deleted.extend(_node(row) for row in body["deleted"])
    for row in body["virtual_nodes"]:
        node = _node(row)
        state.scope(node.account_id, node.region).add(node)
        switch = service.catalogue(node.account_id, node.region).vswitches.get(node.vswitch_id)
        if switch is None:
            node.status = "Failed"
            node.note(
                "Warning", "NetworkGone", "The vSwitch of this VNode does not exist any more.", state.clock()
            )
            continue
        switch.used += 1
        if service.fleet is not None:
            node.status = "Pending"
            service.start(node)


def _node(row: dict[str, Any]) -> VirtualNode:
    return VirtualNode(**(row | {"events": [Event(**event) for event in row["events"]]}))
