"""What a reader must not conclude from a run, in both languages, and what its report had to leave out."""

from __future__ import annotations

from collections.abc import Sequence

from vnode_suite.core.ledger import TORN
from vnode_suite.model import Clause, Status, Text
from vnode_suite.report.collect import Collected
from vnode_suite.report.listing import plural, shortened
from vnode_suite.report.types import Row
from vnode_suite.report.wording import side


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
    if side(run) != "live":
        texts.append(
            Text(
                "Nothing about the live ECI service: the API's answers, the VNodes and their events come from"
                " a simulator. Stock, quota, billing and the service's own faults were not met.",
                "不能说明真实 ECI 服务的情况：接口应答、VNode 及其事件均来自模拟器，"
                "未涉及库存、配额、计费以及服务自身的故障。",
            )
        )
    inferred = list(dict.fromkeys(n for event in told.clusters.values() for n in event.get("inferred") or ()))
    if inferred:
        some = shortened([str(name) for name in inferred])
        texts.append(
            Text(
                f"Nothing about what no document says of the service: {len(inferred)} of the emulator's answers and "
                f"ways are inferred ({some.en}). evidence/cloud-*.json has each with its basis and source.",
                f"不能说明文档未说明的服务行为：模拟服务有 {len(inferred)} 项应答与行为出自推断（{some.zh}）。"
                "每项的依据与出处见 evidence/cloud-*.json。",
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
    cells = shortened(list(told.cells))
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
        few = shortened(outside)
        texts.append(
            Text(
                f"Nothing about {len(outside)} {plural(len(outside), 'clause')} outside this run's scope: "
                f"{few.en}.",
                f"不能说明本次范围之外的 {len(outside)} 条条款：{few.zh}。",
            )
        )
    excluded = [clause.id for clause in clauses if clause.excluded is not None]
    if excluded:
        few = shortened(excluded)
        texts.append(
            Text(
                f"Nothing about what no program can observe: {few.en}; the reasons are listed with the "
                "clauses.",
                f"不能说明程序无法观测之事：{few.zh}；原因见各条款。",
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
    few = shortened(bare)
    return [
        Text(
            f"That the checks of {len(bare)} passed {plural(len(bare), 'clause')} can fail was not shown in "
            f"this run: {few.en}.",
            f"有 {len(bare)} 条已通过的条款，本次运行未证明其检查会失败：{few.zh}。",
        )
    ]


def lost(told: Collected) -> tuple[Text, ...]:
    """What the report had to leave out."""
    texts = []
    if told.lost[TORN]:
        texts.append(
            Text(
                f"{told.lost[TORN]} {plural(told.lost[TORN], 'line')} of the ledger could not be read (the "
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
