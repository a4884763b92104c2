"""`vnode-suite diagnose`: from a VNode's events to their cause, the clause and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vnode_suite.cli.app import completing, examples, json_option, lang_option, print_json, say
from vnode_suite.cli.ram_policy import region_names

if TYPE_CHECKING:
    from vnode_suite.diagnosis import CauseMatch, Diagnosis, EventText, Facts
    from vnode_suite.model import Language


@click.command(
    epilog=examples(
        "vnode-suite diagnose 'Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: i/o timeout'",
        "aliyun eci DescribeVirtualNodes --RegionId cn-shanghai | vnode-suite diagnose --json",
        "vnode-suite diagnose --live vnd-bp1abcdefghijklmnop --region cn-shanghai",
        "vnode-suite diagnose --kubeconfig vnode-config - < events.txt",
    )
)
@click.argument("text", nargs=-1, metavar="[TEXT...]")
@click.option(
    "--live",
    "virtual_node_id",
    metavar="VNODE_ID",
    help="Ask the ECI API for this VNode's events; needs credentials of Alibaba Cloud's default chain.",
)
@click.option(
    "--region",
    metavar="REGION",
    envvar="ALIBABA_CLOUD_REGION_ID",
    show_envvar=True,
    shell_complete=completing(region_names),
    help="Region of --live.",
)
@click.option(
    "--endpoint", metavar="URL", help="Where --live asks, instead of the region's own: an emulator."
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The kubeconfig that the VNode was handed: tells causes apart whose events are the same.",
)
@lang_option
@json_option
def diagnose(
    text: tuple[str, ...],
    virtual_node_id: str | None,
    region: str | None,
    endpoint: str | None,
    kubeconfig: Path | None,
    lang: Language,
    as_json: bool,
) -> None:
    """Name the cause that a VNode's events tell of, best first, with the clause and what to do.

    TEXT is an event's text; without it, or with -, standard input is read: texts, one a line, or JSON as
    DescribeVirtualNodes answers it. What nobody knows is said to be unknown, never guessed at.
    """
    from vnode_suite.core.errors import UsageError
    from vnode_suite.diagnosis import diagnose as find_causes

    if virtual_node_id and text:
        raise UsageError("--live and TEXT exclude each other")
    if endpoint and not virtual_node_id:
        raise UsageError("--endpoint needs --live VNODE_ID")
    events = _live(virtual_node_id, region, endpoint) if virtual_node_id else _given(text)
    found = find_causes(events, _facts(kubeconfig))
    if as_json:
        print_json(as_document(found, lang))
    else:
        _print(found, lang, bool(events))


def _given(text: tuple[str, ...]) -> tuple[EventText, ...]:
    from vnode_suite.core.errors import UsageError
    from vnode_suite.diagnosis import read

    if text and text != ("-",):
        return tuple(event for part in text for event in read(part))
    if sys.stdin.isatty():
        say("paste the events, then press Ctrl-D:")
    found = sys.stdin.read()
    if not found.strip():
        raise UsageError(
            "there is nothing to diagnose", wanted="an event's text, as an argument or on standard input"
        )
    return read(found)


def _live(virtual_node_id: str, region: str | None, endpoint: str | None) -> tuple[EventText, ...]:
    from vnode_suite.core.errors import SuiteError, UsageError
    from vnode_suite.diagnosis import EventText
    from vnode_suite.eci.client import EciClient
    from vnode_suite.eci.credentials import DefaultChain, resolve
    from vnode_suite.eci.endpoints import live, single

    if not region:
        raise UsageError("--live needs --region REGION, or ALIBABA_CLOUD_REGION_ID")
    where = single(endpoint, region) if endpoint else live(region)
    # Asked first, so that who has no credentials is told so, not that some call failed.
    resolve(DefaultChain())
    with EciClient.connect(where, DefaultChain()) as client:
        node = client.describe_virtual_node(virtual_node_id)
    if node is None:
        raise SuiteError(
            f"the API lists no VNode {virtual_node_id} in {region}",
            remedy="see whether the id, the region and the account are the right ones",
        )
    say(f"{node.id} is {node.status or 'of no status'}, with {len(node.events)} events")
    return tuple(
        EventText(
            text=event.message,
            reason=event.reason,
            type=event.type,
            count=event.count,
            first=event.first_timestamp,
            last=event.last_timestamp,
            virtual_node_id=node.id,
        )
        for event in node.events
    )


def _facts(kubeconfig: Path | None) -> Facts | None:
    if kubeconfig is None:
        return None
    from vnode_suite.access.kubeconfig import Problem, view
    from vnode_suite.core.errors import UsageError
    from vnode_suite.diagnosis import Facts

    try:
        seen = view(kubeconfig.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise UsageError(f"--kubeconfig {kubeconfig} cannot be read", found=type(problem).__name__) from None
    if Problem.NOT_A_KUBECONFIG in seen.problems:
        raise UsageError(f"--kubeconfig {kubeconfig} is no kubeconfig")
    addresses = () if seen.server_is_name or not seen.host else (seen.host,)
    return Facts(server_addresses=addresses, ca_data_empty=Problem.CA_EMPTY in seen.problems)


def as_document(found: Diagnosis, lang: Language) -> dict[str, Any]:
    """`diagnose --json`; sentences are in *lang*."""
    return {
        "causes": [
            {
                **cause.as_dict(),
                "title": cause.title.of(lang),
                "remedy": cause.remedy.of(lang),
                "rank_reason": cause.rank_reason.of(lang),
            }
            for cause in found.causes
        ],
        "unknown": list(found.unknown),
    }


def _print(found: Diagnosis, lang: Language, any_events: bool) -> None:
    zh = lang == "zh"
    for number, cause in enumerate(found.causes, start=1):
        _print_cause(number, cause, lang)
    for text in found.unknown:
        click.echo(f"{'未知事件' if zh else 'unknown'}: {text}")
    if found.causes or found.unknown:
        return
    if any_events:
        click.echo("没有事件表明异常" if zh else "no event reports anything wrong")
    else:
        click.echo("没有事件" if zh else "there are no events")


def _print_cause(number: int, cause: CauseMatch, lang: Language) -> None:
    zh = lang == "zh"
    basis = ("页面载明" if zh else "documented") if cause.documented else ("推断" if zh else "inferred")
    times = f", {cause.count}x" if cause.count > 1 else ""
    click.echo(click.style(f"{number}. {cause.title.of(lang)}", bold=True))
    click.echo(f"   {cause.cause} ({basis}{times}), {cause.clause}: vnode-suite explain {cause.clause}")
    click.echo(f"   {'处置' if zh else 'what to do'}: {cause.remedy.of(lang)}")
    matched = cause.matched if len(cause.matched) <= 300 else f"{cause.matched[:300]}…"
    click.echo(f"   {'事件' if zh else 'event'}: {' '.join(matched.split())}")


__all__ = ["as_document", "diagnose"]
