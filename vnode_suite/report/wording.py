"""The sentences of a verdict, in both languages: its scope and its reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from vnode_suite.core.ledger import Event
from vnode_suite.model import Basis, Level, Status, Text
from vnode_suite.report.collect import Collected
from vnode_suite.report.listing import NAMED, listed, plural, shortened
from vnode_suite.report.types import Row, WaiverUse

_CLOUDS = {
    "emulator": Text(
        "against the ECI emulator with simulated VNodes", "对接 ECI 模拟服务（VNode 为模拟节点）"
    ),
    "live": Text("against the live ECI service", "对接真实的 ECI 服务"),
    "stand-in": Text("against an endpoint that stands for the ECI service", "对接代替 ECI 服务的接入点"),
    "replay": Text(
        "against recorded answers of the ECI service, with VNodes simulated after them",
        "对接 ECI 服务的录制应答（VNode 依录制模拟）",
    ),
}


def side(run: Event) -> str:
    """Who answered for the ECI API: the service itself only where nobody's own endpoint stood for it."""
    return "stand-in" if run.get("eci_endpoint") else str(run.get("cloud") or "emulator")


_SITES = {
    "ecs": Text("site ECS", "按云上集群"),
    "idc": Text("site IDC", "按云外集群"),
}


def scope(told: Collected, rows: Sequence[Row]) -> Text:
    """What was looked at, in one sentence."""
    run = told.run
    versions = list(dict.fromkeys(str(cell.get("version", "")) for cell in told.cells.values()))
    identities = list(dict.fromkeys(str(cell.get("identity", "")) for cell in told.cells.values()))
    providers = list(dict.fromkeys(str(cell.get("provider", "")) for cell in told.cells.values()))
    cloud = _CLOUDS.get(side(run), Text(side(run), side(run)))
    site = _SITES.get(str(run.get("site") or "ecs"), Text(str(run.get("site")), str(run.get("site"))))
    judged = len({row.clause for row in rows if row.status in (Status.PASSED, Status.FAILED)})
    total = len({row.clause for row in rows})
    region = str(run.get("region") or "—")
    faulty = _faults(run.get("faults"))
    chosen, controls, profile, revision = (
        _chosen(run.get("selection")),
        _controls(run),
        _profile(run),
        _revision(run),
    )
    return Text(
        f"Kubernetes {_range(versions)} with the {listed(identities)} "
        f"{'identity' if len(identities) == 1 else 'identities'}"
        f" ({listed(providers) or 'no'} control plane, {site.en}), {cloud.en} in region {region}{faulty.en};"
        f" page revision {revision},"
        f" profile {profile}{chosen.en}: {judged} of {total} clauses judged, negative controls "
        f"{controls.en}.",
        f"Kubernetes {_range(versions)}，身份 {'、'.join(identities) or '—'}（控制面 "
        f"{'、'.join(providers) or '—'}，{site.zh}），"
        f"{cloud.zh}，地域 {region}{faulty.zh}；文档版本 {revision}，档位 {profile}{chosen.zh}：共 {total} 条条款，"
        f"判定 {judged} 条，反例对照{controls.zh}。",
    )


def _faults(rows: object) -> Text:
    """Which faults the emulator was told to answer with: nobody is to take such a run for an ordinary one."""
    if not isinstance(rows, list | tuple) or not rows:
        return Text("", "")
    named = shortened([_fault(row) for row in rows])
    return Text(f" with injected faults ({named.en})", f"（注入故障：{named.zh}）")


def _fault(row: Mapping[str, object]) -> str:
    what = " ".join(str(row[key]) for key in ("action", "kind", "code") if row.get(key))
    return f"{what} ×{row.get('times') or '∞'}"


def _profile(run: dict[str, object]) -> str:
    return str(run.get("profile") or "standard")


def _revision(run: dict[str, object]) -> str:
    return str(run.get("page_revision") or "—")


def _chosen(selection: object) -> Text:
    if not isinstance(selection, list | tuple) or not selection:
        return Text("", "")
    names = [str(item) for item in selection]
    return Text(f", only {listed(names)}", f"，仅限 {'、'.join(names)}")


def _controls(run: dict[str, object]) -> Text:
    if run.get("controls_take_turns"):
        return Text(
            "on, those of one clause taking turns over the versions and identities",
            "开启，同一条款的对照按版本和身份轮流",
        )
    return Text("on", "开启") if run.get("controls") else Text("off", "关闭")


def _range(versions: Sequence[str]) -> str:
    if not versions:
        return "—"
    ordered = sorted(versions, key=_version_key)
    if len(ordered) > 2 and _consecutive(ordered):
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(ordered)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.lstrip("v").split("."))


def _consecutive(ordered: Sequence[str]) -> bool:
    minors = [_version_key(version)[1:2] for version in ordered]
    return all(one and other and other[0] == one[0] + 1 for one, other in pairwise(minors))


def reasons(
    told: Collected, rows: Sequence[Row], used: Iterable[WaiverUse], strict: bool
) -> tuple[Text, ...]:
    """Why the verdict is what it is, the gravest first."""
    return (
        *_early_end(told),
        *_harness(told, rows),
        *_failures(rows, Level.MUST, suite=True),
        *_left(told),
        *_failures(rows, Level.MUST, suite=False),
        *_failures(rows, Level.SHOULD, suite=None, strict=strict),
        *_waivers(used),
        *_unreached(rows),
        *_nothing(rows),
    )


def _early_end(told: Collected) -> list[Text]:
    if told.interruptions:
        signals = ", ".join(dict.fromkeys(signal or "a signal" for signal in told.interruptions))
        return [
            Text(
                f"The run was interrupted by {signals} before it was over.",
                f"运行未完成即被 {signals} 中断。",
            )
        ]
    if not told.runs:
        return [Text("The ledger does not say that a run began.", "账本中没有运行开始的记录。")]
    if not told.ended_in_order:
        return [
            Text(
                "The ledger does not say that the run ended: it was killed, or is still going on.",
                "账本中没有运行结束的记录：运行被强行终止，或仍在进行。",
            )
        ]
    return []


def _harness(told: Collected, rows: Sequence[Row]) -> list[Text]:
    texts = [
        Text(f"The harness failed: {event.get('message', '')}", f"测试框架出错：{event.get('message', '')}")
        for event in told.problems[:NAMED]
    ]
    missed: dict[str, list[str]] = defaultdict(list)
    broken: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.status is Status.ERROR:
            (missed if row.reason == "control-not-caught" else broken)[row.clause].append(row.cell)
    for clause, cells in missed.items():
        where, defects = _where(cells), shortened(_missed_defects(told, clause))
        texts.append(
            Text(
                f"{clause}: its check did not fail for the defect {defects.en} in {where.en},"
                " so it proves nothing.",
                f"{clause}：对缺陷 {defects.zh}，其检查在 {where.zh} 未判失败，不足为凭。",
            )
        )
    if broken:
        names = list(broken)
        where = _where(list(dict.fromkeys(cell for cells in broken.values() for cell in cells)))
        texts.append(
            Text(
                f"{len(broken)} {plural(len(broken), 'clause')} ended in an error of the harness in "
                f"{where.en}: {shortened(names).en}.",
                f"有 {len(broken)} 条条款在 {where.zh} 因测试框架出错而无结论：{shortened(names).zh}。",
            )
        )
    return texts


def _missed_defects(told: Collected, clause: str) -> list[str]:
    missed = (
        defect
        for (id_, _), beside in told.controls.items()
        if id_ == clause
        for defect, control in beside.items()
        if not control.get("caught")
    )
    return list(dict.fromkeys(missed))


def _failures(rows: Sequence[Row], level: Level, *, suite: bool | None, strict: bool = False) -> list[Text]:
    failed: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for row in rows:
        if row.status is not Status.FAILED or row.level is not level:
            continue
        if suite is None or (row.basis is Basis.SUITE) is suite:
            failed[row.clause, row.waiver is not None].append(row.cell)
    texts = []
    for (clause, waived), cells in failed.items():
        where = _where(cells)
        advice = level is Level.SHOULD and not strict
        lead = Text("Waived", "已豁免") if waived else Text("Advice", "建议") if advice else None
        texts.append(
            Text(
                f"{lead.en + ': ' if lead else ''}{clause} ({level.value}) failed in {where.en}.",
                f"{lead.zh + '：' if lead else ''}{clause}（{level.value}）在 {where.zh} 未通过。",
            )
        )
    return texts


def _left(told: Collected) -> list[Text]:
    left = [event for event in told.left.values() if not str(event.get("reason") or "").startswith("kept")]
    if not left:
        return []
    names = shortened([f"{event.get('kind', '')} {event.get('name', '')}".strip() for event in left])
    return [Text(f"Left behind: {names.en}.", f"有遗留：{names.zh}。")]


def _waivers(used: Iterable[WaiverUse]) -> list[Text]:
    texts = []
    for waiver in used:
        if waiver.state == "stale":
            texts.append(
                Text(
                    f"The waiver of {waiver.clause} ({waiver.cell}) is stale: there is nothing left to "
                    "waive.",
                    f"{waiver.clause}（{waiver.cell}）的豁免已过时：已无可豁免之事。",
                )
            )
        elif waiver.state == "expired":
            texts.append(
                Text(
                    f"The waiver of {waiver.clause} ({waiver.cell}) expired on {waiver.expires}.",
                    f"{waiver.clause}（{waiver.cell}）的豁免已于 {waiver.expires} 到期。",
                )
            )
    return texts


def _unreached(rows: Sequence[Row]) -> list[Text]:
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.status is Status.COULD_NOT_RUN and row.level is not Level.INFO:
            waiting[row.needs or ("" if row.reason != "interrupted" else "interrupted")].append(row)
    texts = []
    for step, missed in waiting.items():
        where = _where(list(dict.fromkeys(row.cell for row in missed)))
        clauses = list(dict.fromkeys(row.clause for row in missed))
        because = Text("", "")
        if step == "interrupted":
            because = Text(" because the run ended early", "，因为运行提前结束")
        elif step:
            because = Text(f" because the step {step} was not reached", f"，因为未到达步骤 {step}")
        texts.append(
            Text(
                f"{len(clauses)} {plural(len(clauses), 'clause')} could not run in {where.en}{because.en}: "
                f"{shortened(clauses).en}.",
                f"有 {len(clauses)} 条条款在 {where.zh} 无法执行{because.zh}：{shortened(clauses).zh}。",
            )
        )
    return texts


def _nothing(rows: Sequence[Row]) -> list[Text]:
    if any(row.status in (Status.PASSED, Status.FAILED, Status.INFO) for row in rows):
        return []
    return [Text("No clause was judged.", "没有任何条款得到判定。")]


def stray_results(strays: Sequence[tuple[str, str]]) -> tuple[Text, ...]:
    """Results that the catalogue or the list of cells does not know."""
    if not strays:
        return ()
    few = shortened([f"{clause} ({cell})" for clause, cell in strays])
    return (
        Text(
            f"Results of an unknown clause or cell are in the ledger: {few.en}.",
            f"账本中有未知条款或单元的结果：{few.zh}。",
        ),
    )


def _where(cells: Sequence[str]) -> Text:
    named = shortened(cells)
    return named if len(cells) > 1 else Text(cells[0], cells[0])
