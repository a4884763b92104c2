"""`vnode-suite sweep`: what killed runs left behind."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from vnode_suite.cli.app import examples, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from vnode_suite.cleanup.journal import Entry, Record
    from vnode_suite.cleanup.undo import UndoRegistry


@click.command(epilog=examples("vnode-suite sweep", "vnode-suite sweep --json", "vnode-suite sweep --yes"))
@click.option("--yes", is_flag=True, help="Remove what is found, instead of listing it.")
@json_option
def sweep(yes: bool, as_json: bool) -> int:
    """Find what killed runs left behind, and with --yes remove it; never what a living run is using.

    VNodes of the live service are deleted with the credentials of Alibaba Cloud's default chain, and only if
    they carry the tag of the run that made them. Ends with 11 if something could not be removed.
    """
    from vnode_suite.cleanup.sweep import sweep as clean
    from vnode_suite.model import Exit

    result = clean(yes=yes, extend=_with_cloud)
    status = Exit.LEFT_BEHIND if yes and not result.clean else Exit.CONFORMANT
    if as_json:
        document = {
            "found": [one.as_dict() for one in result.found],
            "removed": [one.as_dict() for one in result.removed],
            "left": [dataclasses.asdict(one) for one in result.left],
            "living": list(result.living),
            "elsewhere": list(result.elsewhere),
        }
        print_json(document)
        return status
    if result.found:
        heads = ("run", "kind", "name", "where", "state")
        print_table(heads, [tuple(one.as_dict()[head] for head in heads) for one in result.found])
    for one in result.left if yes else ():
        click.echo(f"left: {one.kind} {one.name}: {one.reason}")
    if not result.found:
        click.echo("nothing was left behind")
    elif yes:
        click.echo(f"{len(result.removed)} of {len(result.found)} removed")
    else:
        say("nothing was changed: vnode-suite sweep --yes removes it")
    if result.living:
        say(f"in progress, not looked into: {', '.join(result.living)}")
    if result.elsewhere:
        say(f"of other machines, not looked into: {', '.join(result.elsewhere)}")
    return status


def _with_cloud(registry: UndoRegistry, record: Record) -> None:
    """Let the sweep delete VNodes of the live service."""

    def delete(entry: Entry) -> str | None:
        from vnode_suite.cleanup.undo import ClusterAccess
        from vnode_suite.cleanup.virtual_nodes import delete_virtual_node, forget_unanswered, made_by
        from vnode_suite.eci.client import EciClient
        from vnode_suite.eci.credentials import DefaultChain, resolve
        from vnode_suite.eci.endpoints import live, single

        region, endpoint = str(entry.undo["region"]), str(entry.undo.get("endpoint") or "")
        where = single(endpoint, region, str(entry.undo.get("ca_file") or "")) if endpoint else live(region)
        resolve(DefaultChain())
        with EciClient.connect(where, DefaultChain()) as client:
            found = made_by(client, entry, record.run)
            problem = delete_virtual_node(client, entry, record.run)
        if problem is None and not entry.fact.get("id"):
            clusters = ClusterAccess(record.clusters)
            try:
                problem = forget_unanswered(entry, [node.id for node in found], clusters)
            finally:
                clusters.close()
        return problem

    registry.register("delete-virtual-node", delete)
