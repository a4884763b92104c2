"""The sentences of a verdict, in both languages: its scope, its reasons, and what it does not prove."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from vnode_suite.core.ledger import TORN
from vnode_suite.model import Basis, Clause, Level, Status, Text
from vnode_suite.report.collect import Collected
from vnode_suite.report.types import Row, WaiverUse

#: Most cells named in one sentence.
_NAMED = 3

_CLOUDS = {
    "emulator": Text(
        "against the ECI emulator with simulated VNodes", "对接 ECI 模拟服务（VNode 为模拟节点）"
    ),
    "live": Text("against the live ECI service", "对接真实的 ECI 服务"),
    "replay": Text(
        "against recorded answers of the ECI service, with VNodes simulated after them",
        "对接 ECI 服务的录制应答（VNode 依录制模拟）",
    ),
}
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
    cloud = _CLOUDS.get(
        str(run.get("cloud") or "emulator"), Text(str(run.get("cloud")), str(run.get("cloud")))
    )
    site = _SITES.get(str(run.get("site") or "ecs"), Text(str(run.get("site")), str(run.get("site"))))
    judged = len({row.clause for row in rows if row.status in (Status.PASSED, Status.FAILED)})
    listed = len({row.clause for row in rows})
    region = str(run.get("region") or "—")
    chosen, controls, profile, revision = (
        _chosen(run.get("selection")),
        _controls(run),
        _profile(run),
        _revision(run),
    )
    return Text(
        f"Kubernetes {_range(versions)} with the {_list_en(identities)} "
        f"{'identity' if len(identities) == 1 else 'identities'}"
        f" ({_list_en(providers) or 'no'} control plane, {site.en}), {cloud.en} in region {region}; page "
        f"revision {revision},"
        f" profile {profile}{chosen.en}: {judged} of {listed} clauses judged, negative controls "
        f"{controls.en}.",
        f"Kubernetes {_range(versions)}，身份 {'、'.join(identities) or '—'}（控制面 "
        f"{'、'.join(providers) or '—'}，{site.zh}），"
        f"{cloud.zh}，地域 {region}；文档版本 {revision}，档位 {profile}{chosen.zh}：共 {listed} 条条款，"
        f"判定 {judged} 条，反例对照{controls.zh}。",
    )


def _profile(run: dict[str, object]) -> str:
    return str(run.get("profile") or "standard")


def _revision(run: dict[str, object]) -> str:
    return str(run.get("page_revision") or "—")


def _chosen(selection: object) -> Text:
    if not isinstance(selection, list | tuple) or not selection:
        return Text("", "")
    names = [str(item) for item in selection]
    return Text(f", only {_list_en(names)}", f"，仅限 {'、'.join(names)}")


def _controls(run: dict[str, object]) -> Text:
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


def _list_en(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


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
        for event in told.problems[:_NAMED]
    ]
    missed: dict[str, list[str]] = defaultdict(list)
    broken: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.status is Status.ERROR:
            (missed if row.reason == "control-not-caught" else broken)[row.clause].append(row.cell)
    for clause, cells in missed.items():
        where, defects = _where(cells), _some(_missed_defects(told, clause))
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
                f"{len(broken)} {_plural(len(broken), 'clause')} ended in an error of the harness in "
                f"{where.en}: {_some(names).en}.",
                f"有 {len(broken)} 条条款在 {where.zh} 因测试框架出错而无结论：{_some(names).zh}。",
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
    names = _some([f"{event.get('kind', '')} {event.get('name', '')}".strip() for event in left])
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
                f"{len(clauses)} {_plural(len(clauses), 'clause')} could not run in {where.en}{because.en}: "
                f"{_some(clauses).en}.",
                f"有 {len(clauses)} 条条款在 {where.zh} 无法执行{because.zh}：{_some(clauses).zh}。",
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
    some = _some([f"{clause} ({cell})" for clause, cell in strays])
    return (
        Text(
            f"Results of an unknown clause or cell are in the ledger: {some.en}.",
            f"账本中有未知条款或单元的结果：{some.zh}。",
        ),
    )


def _where(cells: Sequence[str]) -> Text:
    named = _some(cells)
    return named if len(cells) > 1 else Text(cells[0], cells[0])


def _some(names: Sequence[str]) -> Text:
    if len(names) <= _NAMED + 1:
        return Text(_list_en(list(names)), "、".join(names))
    shown, more = names[:_NAMED], len(names) - _NAMED
    return Text(f"{', '.join(shown)} and {more} more", f"{'、'.join(shown)} 等 {len(names)} 项")


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def limits(told: Collected, rows: Sequence[Row], clauses: Sequence[Clause]) -> tuple[Text, ...]:
    """What a reader must not conclude from this run."""
    return (
        *_limits_of_the_cloud(told),
        *_limits_of_the_cells(told),
        *_limits_of_the_clauses(rows, clauses),
        *_limits_of_the_controls(told, rows),
    )


def _limits_of_the_cloud(told: Collected) -> list[Text]:
    run = told.run
    texts = []
    if run.get("cloud") != "live":
        texts.append(
            Text(
                "Nothing about the live ECI service: the API's answers, the VNodes and their events come from"
                " a simulator. Stock, quota, billing and the service's own faults were not met.",
                "不能说明真实 ECI 服务的情况：接口应答、VNode 及其事件均来自模拟器，"
                "未涉及库存、配额、计费以及服务自身的故障。",
            )
        )
    scale = run.get("client_timeout_scale")
    if isinstance(scale, dict):
        real, short = scale.get("real_seconds"), scale.get("simulated_seconds")
        texts.append(
            Text(
                f"Nothing about the service's {real:g}-second client time-out as such: the simulated side "
                f"waited {short:g} s instead."
                if isinstance(real, int | float) and isinstance(short, int | float)
                else "The simulated side's waits were scaled.",
                f"不能说明服务端 {real} 秒的客户端超时本身：模拟侧改为等待 {short} 秒。",
            )
        )
    return texts


def _limits_of_the_cells(told: Collected) -> list[Text]:
    texts = []
    providers = {str(cell.get("provider")) for cell in told.cells.values()}
    if providers & {"local", "kind"}:
        texts.append(
            Text(
                "Nothing about a cluster of your own: the control planes were started by this suite, without "
                "your network"
                " plug-in, admission controllers, load balancer or other workloads.",
                "不能说明您自己的集群：控制面由本套件启动，不含您的网络插件、准入控制、负载均衡和其他工作负载"
                "。",
            )
        )
    cells = _some(list(told.cells))
    texts.append(
        Text(
            f"Nothing about versions and identities other than {cells.en or 'none'}, nor about load, scale "
            "or long use.",
            f"不能说明 {cells.zh or '（无）'} 以外的版本和身份，也不能说明负载、规模和长期运行的情况。",
        )
    )
    return texts


def _limits_of_the_clauses(rows: Sequence[Row], clauses: Sequence[Clause]) -> list[Text]:
    texts = []
    outside = list(dict.fromkeys(row.clause for row in rows if row.status is Status.OUT_OF_SCOPE))
    if outside:
        some = _some(outside)
        texts.append(
            Text(
                f"Nothing about {len(outside)} {_plural(len(outside), 'clause')} outside this run's scope: "
                f"{some.en}.",
                f"不能说明本次范围之外的 {len(outside)} 条条款：{some.zh}。",
            )
        )
    excluded = [clause.id for clause in clauses if clause.excluded is not None]
    if excluded:
        some = _some(excluded)
        texts.append(
            Text(
                f"Nothing about what no program can observe: {some.en}; the reasons are listed with the "
                "clauses.",
                f"不能说明程序无法观测之事：{some.zh}；原因见各条款。",
            )
        )
    return texts


def _limits_of_the_controls(told: Collected, rows: Sequence[Row]) -> list[Text]:
    caught = {row.clause for row in rows if row.control == "caught"}
    bare = [
        clause
        for clause in dict.fromkeys(
            row.clause for row in rows if row.status is Status.PASSED and row.control == "not-run"
        )
        if clause not in caught
    ]
    if not bare:
        return []
    some = _some(bare)
    return [
        Text(
            f"That the checks of {len(bare)} passed {_plural(len(bare), 'clause')} can fail was not shown in "
            f"this run: {some.en}.",
            f"有 {len(bare)} 条已通过的条款，本次运行未证明其检查会失败：{some.zh}。",
        )
    ]


def lost(told: Collected) -> tuple[Text, ...]:
    """What the report had to leave out."""
    texts = []
    if told.lost[TORN]:
        texts.append(
            Text(
                f"{told.lost[TORN]} {_plural(told.lost[TORN], 'line')} of the ledger could not be read (the "
                "writer was killed within it).",
                f"账本中有 {told.lost[TORN]} 行无法读取（写入时被终止）。",
            )
        )
    for kind, count in told.lost.items():
        if kind != TORN:
            texts.append(
                Text(
                    f"{count} more entries of type {kind} are in the ledger only.",
                    f"另有 {count} 条 {kind} 记录仅见于账本。",
                )
            )
    return tuple(texts)
