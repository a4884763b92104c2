"""`vnode-suite diagnose`: from a VNode's events to their cause, the clause and the remedy."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vnode_suite.cli.app import completing, examples, json_option, lang_option, print_json, print_table, say
from vnode_suite.cli.ram_policy import region_names
from vnode_suite.model import Text

if TYPE_CHECKING:
    from vnode_suite.diagnosis import CauseMatch, Diagnosis, EventText, Facts
    from vnode_suite.diagnosis.evidence import Case
    from vnode_suite.eci.models import VirtualNode
    from vnode_suite.model import Language


@click.command(
    epilog=examples(
        "vnode-suite diagnose 'Get \"https://10.0.0.1:6443/version\": dial tcp 10.0.0.1:6443: i/o timeout'",
        "aliyun eci DescribeVirtualNodes --RegionId cn-shanghai | vnode-suite diagnose --json",
        "vnode-suite diagnose --live vnd-bp1abcdefghijklmnop --region cn-shanghai",
        "vnode-suite diagnose --live vnd-bp1abcdefghijklmnop --cluster admin.conf --kubeconfig vnode-config",
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
    help="The kubeconfig that the VNode was handed: tells causes apart whose events are the same. With --live or "
    "--cluster its server is dialled and its credential tried.",
)
@click.option(
    "--cluster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An administrator's kubeconfig of the cluster: its objects are read to confirm causes or rule them out.",
)
@lang_option
@json_option
def diagnose(
    text: tuple[str, ...],
    virtual_node_id: str | None,
    region: str | None,
    endpoint: str | None,
    kubeconfig: Path | None,
    cluster: Path | None,
    lang: Language,
    as_json: bool,
) -> None:
    """Name the cause that a VNode's events tell of, best first, with the clause and what to do.

    With --live the events are asked for; with --cluster and --kubeconfig what could confirm a cause or rule it out is
    looked at too, and all of it is shown in one timeline, each time with whose clock it is of. Nothing is changed.

    TEXT is an event's text; without it, or with -, standard input is read: texts, one a line, or JSON as
    DescribeVirtualNodes answers it. What nobody knows is said to be unknown, never guessed at.
    """
    from vnode_suite.core.errors import UsageError
    from vnode_suite.diagnosis import diagnose as find_causes

    if virtual_node_id and text:
        raise UsageError("--live and TEXT exclude each other")
    if endpoint and not virtual_node_id:
        raise UsageError("--endpoint needs --live VNODE_ID")
    if virtual_node_id or cluster:
        case = _investigated(virtual_node_id, region, endpoint, text, kubeconfig, cluster)
        if as_json:
            print_json(case_document(case, lang))
        else:
            print_case(case, lang)
        return
    events = _given(text)
    found = find_causes(events, _facts(kubeconfig))
    if as_json:
        print_json(as_document(found, lang))
    else:
        _print(found, lang, bool(events))


def _investigated(
    virtual_node_id: str | None,
    region: str | None,
    endpoint: str | None,
    text: tuple[str, ...],
    kubeconfig: Path | None,
    cluster: Path | None,
) -> Case:
    """Ask whoever was named; nothing is changed anywhere."""
    import logging

    from vnode_suite.clusters.kube import KubeClient
    from vnode_suite.core.secrets import Secret
    from vnode_suite.probes.investigation import Sources, investigate

    # A server that refuses is what this is about: its client need not say so once more for each try.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    handed = None
    if kubeconfig is not None:
        _facts(kubeconfig)
        handed = Secret(kubeconfig.read_text(encoding="utf-8"), "kubeconfig")
    node = _live(virtual_node_id, region, endpoint) if virtual_node_id else None
    events = () if virtual_node_id else _given(text)
    if cluster is None:
        return investigate(Sources(node, None, handed, events))
    with KubeClient.from_kubeconfig_file(cluster) as kube:
        return investigate(Sources(node, kube, handed, events))


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


def _live(virtual_node_id: str, region: str | None, endpoint: str | None) -> VirtualNode:
    from vnode_suite.core.errors import SuiteError, UsageError
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
    return node


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


#: What a standing is called.
_STANDINGS: Mapping[str, Text] = {
    "confirmed": Text("confirmed by", "已确认"),
    "ruled-out": Text("ruled out by", "已排除"),
    "open": Text("neither confirmed nor ruled out by what was looked at", "现有观察无法确认或排除"),
}


def case_document(case: Case, lang: Language) -> dict[str, Any]:
    """`diagnose --live --json`: as `as_document`, with what confirms and rules out, and the timeline."""
    from vnode_suite.diagnosis import Diagnosis

    found = as_document(Diagnosis(tuple(one.match for one in case.causes), case.unknown), lang)
    for row, one in zip(found["causes"], case.causes, strict=True):
        row |= {"standing": one.standing.value, "by": [sign.name for sign in one.by]}
    return {
        **found,
        "ruled_out": [
            {"cause": cause, "by": sign.name, "said": sign.said.of(lang)}
            for cause, sign in case.ruled_out.items()
        ],
        "signs": [{**sign.as_dict(), "said": sign.said.of(lang)} for sign in case.signs],
        "timeline": [{**moment.as_dict(), "text": moment.text.of(lang)} for moment in case.timeline],
    }


def print_case(case: Case, lang: Language) -> None:
    """The same for a person."""
    zh = lang == "zh"
    for number, one in enumerate(case.causes, start=1):
        _print_cause(number, one.match, lang)
        by = "; ".join(f"{sign.said.of(lang)} [{sign.how}]" for sign in one.by)
        click.echo(f"   {_STANDINGS[one.standing.value].of(lang)}{f': {by}' if by else ''}")
    for text in case.unknown:
        click.echo(f"{'未知事件' if zh else 'unknown'}: {text}")
    if not case.causes and not case.unknown:
        click.echo("没有事件表明异常" if zh else "no event reports anything wrong")
    named = {one.match.cause for one in case.causes}
    excluded = {cause: sign for cause, sign in case.ruled_out.items() if cause not in named}
    if excluded:
        click.echo(click.style("\n已排除" if zh else "\nruled out", bold=True))
        by_sign: dict[str, list[str]] = {}
        for cause, sign in excluded.items():
            by_sign.setdefault(f"{sign.said.of(lang)} [{sign.how}]", []).append(cause)
        for why, causes in by_sign.items():
            click.echo(f"  {', '.join(causes)}: {why}")
    if case.timeline:
        click.echo(click.style("\n时间线" if zh else "\ntimeline", bold=True))
        rows = [
            (f"{m.at:%F %T}Z", m.clock.value, m.source.value, m.text.of(lang)[:160]) for m in case.timeline
        ]
        print_table(("时间", "时钟", "来源", "内容") if zh else ("time", "clock", "seen from", "what"), rows)


def _print_cause(number: int, cause: CauseMatch, lang: Language) -> None:
    zh = lang == "zh"
    basis = ("页面载明" if zh else "documented") if cause.documented else ("推断" if zh else "inferred")
    times = f", {cause.count}x" if cause.count > 1 else ""
    click.echo(click.style(f"{number}. {cause.title.of(lang)}", bold=True))
    click.echo(f"   {cause.cause} ({basis}{times}), {cause.clause}: vnode-suite explain {cause.clause}")
    click.echo(f"   {'处置' if zh else 'what to do'}: {cause.remedy.of(lang)}")
    matched = cause.matched if len(cause.matched) <= 300 else f"{cause.matched[:300]}…"
    click.echo(f"   {'事件' if zh else 'event'}: {' '.join(matched.split())}")


__all__ = ["as_document", "case_document", "diagnose", "print_case"]
