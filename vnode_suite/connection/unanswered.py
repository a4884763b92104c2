"""Calls that created a VNode, perhaps: their answer never came, so the VNode is looked for by name and by tag."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from vnode_suite.cleanup.virtual_nodes import delete_virtual_node, made_by
from vnode_suite.core.errors import DeadlineExceeded, SuiteError
from vnode_suite.core.polling import poll
from vnode_suite.probes.vnodes import ASK_AGAIN, await_absence

if TYPE_CHECKING:
    from vnode_suite.cleanup.journal import Entry
    from vnode_suite.connection.cell import CellRun


def look_for_unanswered(cell: CellRun) -> None:
    """Find the VNodes of calls whose answer was lost; what is found is the cell's, and is closed with it.

    A VNode may be listed some time after it was bought; one that is not by then was not.
    """
    for entry in _unanswered(cell):
        try:
            ids = _bought(cell, entry)
        except SuiteError as problem:
            # The intent stays: a sweep looks again, when the service answers.
            cell.undeleted.append(problem)
            continue
        if not ids:
            entry.undone()
        for virtual_node_id in ids:
            entry.done(id=virtual_node_id)
            cell.unanswered.append(virtual_node_id)
            cell.run.ledger.write(
                "created",
                cell=cell.cell.id,
                kind="VirtualNode",
                name=entry.name,
                where="cloud",
                id=virtual_node_id,
            )


def _bought(cell: CellRun, entry: Entry) -> list[str]:
    """Ids of the VNodes that the call of *entry* made after all."""
    with suppress(DeadlineExceeded):
        return poll(
            lambda: [node.id for node in made_by(cell.world.cloud.client, entry, cell.run.id)] or None,
            what=f"a VNode called {entry.name}, in case it was bought",
            deadline_seconds=cell.seconds("describe-consistent"),
            interval_seconds=ASK_AGAIN,
        )
    return []


def delete_unanswered(cell: CellRun) -> None:
    """Delete what was found, and take the intents back of those that are gone."""
    client, run = cell.world.cloud.client, cell.run
    for entry in run.journal.left:
        virtual_node_id = str(entry.fact.get("id") or "")
        if virtual_node_id not in cell.unanswered:
            continue
        try:
            problem = delete_virtual_node(client, entry, run.id)
            gone = await_absence(client, virtual_node_id, deadline_seconds=cell.seconds("vnode-gone"))
        except SuiteError as refused:
            cell.undeleted.append(refused)
            continue
        if gone:
            entry.undone()
            run.ledger.write(
                "deleted", cell=cell.cell.id, kind="VirtualNode", name=entry.name, where="cloud", id=""
            )
        elif problem:
            cell.undeleted.append(SuiteError(f"{virtual_node_id} was not deleted", found=problem))


def _unanswered(cell: CellRun) -> list[Entry]:
    return [
        entry
        for entry in cell.run.journal.left
        if entry.kind == "VirtualNode" and entry.undo.get("cell") == cell.cell.id and not entry.fact.get("id")
    ]
