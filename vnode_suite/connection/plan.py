"""What a run would create, change, need and cost, worked out from what was asked for; nothing is done.

Counts are the most there can be: a VNode that is not needed in the end, because an earlier step fails, is not made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from vnode_suite.access.deployment import account_name, rights_objects
from vnode_suite.access.generate import bootstrap_objects, serviceaccount_objects
from vnode_suite.access.objects import BootstrapToken, Json, Naming, token_secret
from vnode_suite.clusters.existing import KUBE_PROXY
from vnode_suite.connection.needed import Needed, manifest, needed
from vnode_suite.core.settings import Settings
from vnode_suite.data.deadlines import Deadlines
from vnode_suite.data.defects import Defects
from vnode_suite.data.versions import KubernetesVersion
from vnode_suite.eci.billing import planned
from vnode_suite.model import Cell, Cloud, Identity, Language, Provider, Text

#: Stands for the run's id in names that are not made yet.
_RUN = "run"
#: VNodes that are made to fail on purpose, by the clauses that look at them; EVENT-01 and EVENT-02 share one.
_PROVOKED: tuple[tuple[frozenset[str], int], ...] = (
    (frozenset({"EVENT-01", "EVENT-02"}), 1),
    (frozenset({"EVENT-03"}), 1),
    (frozenset({"EVENT-04"}), 7),
)
#: Clauses with a Pod of their own; all others that need one share a single Pod.
_OWN_POD = frozenset({"SCHED-01", "SCHED-02"})
#: Where a twin's defect lies, if the twin is a VNode of its own.
_OWN_VNODE = frozenset({"vnode", "eci", "request", "kubeconfig", "server"})

Wanted = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it."""

    title: Text
    lines: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that was not made."""

    sections: tuple[Section, ...]
    #: What the run's own client must be allowed to do; empty on a cluster of the run's own.
    needed: tuple[Needed, ...] = ()

    def render(self, language: Language) -> str:
        """As text, in one language."""
        lines: list[str] = []
        for section in self.sections:
            lines += [section.title.of(language), *(f"  {x.of(language)}" for x in section.lines), ""]
        return "\n".join(lines)

    @property
    def manifest(self) -> str:
        """The rights as roles, fit for ``kubectl apply -f -``; a binding of each to the run's user is all it takes."""
        documents = manifest(self.needed)
        return yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=None, width=1000).rstrip()


def make_plan(
    settings: Settings,
    wanted: Mapping[str, Wanted],
    defects: Defects,
    deadlines: Deadlines,
    versions: Mapping[str, KubernetesVersion],
) -> Plan:
    """The plan of a run with these cases.

    :param wanted: by cell id; what was selected, each clause alone or with a defect.
    :param versions: by cell id.
    """
    cells = [cell for cell in settings.cells if cell.id in wanted]
    vnodes = most_vnodes(settings, wanted, defects)
    given = settings.cluster.provider is Provider.EXISTING
    rights = needed(settings, versions[cells[0].id].facts) if given and cells else ()
    sections = [
        _run(settings, cells),
        Section(Text("Created in the cloud", "在云端创建"), tuple(_in_the_cloud(settings, cells, vnodes))),
        Section(
            Text("Created in the cluster, and deleted at the end", "在集群中创建,结束时删除"),
            tuple(
                line
                for cell in cells
                for line in _in_the_cluster(cell, wanted[cell.id], versions[cell.id], vnodes)
            ),
        ),
        Section(Text("Changed of what is there already", "对既有对象的修改"), tuple(_changed(settings))),
        Section(
            Text("Looked at, side by side where it disturbs nobody", "观察的条款(互不干扰者并行)"),
            tuple(_early(cells, wanted)),
        ),
        Section(Text("Cost", "费用"), (_cost(settings, sum(vnodes.values()), deadlines),)),
        Section(Text("Rights needed", "所需权限"), tuple(_rights(rights))),
    ]
    return Plan(tuple(sections), rights)


def billed(
    settings: Settings, wanted: Mapping[str, Wanted], defects: Defects, deadlines: Deadlines
) -> Iterator[Text]:
    """What a run with these cases will create in the cloud, and on what basis that is priced; see :func:`make_plan`."""
    cells = [cell for cell in settings.cells if cell.id in wanted]
    vnodes = most_vnodes(settings, wanted, defects)
    yield from _in_the_cloud(settings, cells, vnodes)
    cost = _cost(settings, sum(vnodes.values()), deadlines)
    yield Text(f"cost: {cost.en}", f"费用:{cost.zh}")


def most_vnodes(settings: Settings, wanted: Mapping[str, Wanted], defects: Defects) -> Mapping[str, int]:
    """The most VNodes that each cell may create."""
    if settings.given is not None:
        return dict.fromkeys(wanted, 0)
    more = settings.count - 1
    return {cell.id: more + _vnodes(wanted[cell.id], defects) for cell in settings.cells if cell.id in wanted}


def _run(settings: Settings, cells: list[Cell]) -> Section:
    cluster, scope = settings.cluster, settings.scope
    where = cluster.learnt.git_version if cluster.learnt else ", ".join(settings.versions)
    lines = [
        Text(
            f"cells: {', '.join(cell.id for cell in cells)}", f"单元:{'、'.join(cell.id for cell in cells)}"
        ),
        Text(
            f"cluster: {cluster.provider.value}, Kubernetes {where}",
            f"集群:{cluster.provider.value},Kubernetes {where}",
        ),
        Text(
            f"cloud: {settings.cloud.cloud.value}, region {settings.cloud.region}",
            f"云端:{settings.cloud.cloud.value},地域 {settings.cloud.region}",
        ),
        Text(
            f"profile {scope.profile.value}, negative controls {'on' if scope.controls else 'off'}",
            f"档位 {scope.profile.value},反向对照{'开启' if scope.controls else '关闭'}",
        ),
    ]
    return Section(Text("The run (nothing of it is done now)", "运行内容(当前不执行)"), tuple(lines))


def _vnodes(wanted: Wanted, defects: Defects) -> int:
    clauses = {clause for clause, _ in wanted}
    twins = {
        name
        for _, name in wanted
        if name is not None
        and defects.defect(name).scope == "own-object"
        and defects.defect(name).where in _OWN_VNODE
    }
    return 1 + len(twins) + sum(count for names, count in _PROVOKED if names & clauses)


def _in_the_cloud(settings: Settings, cells: list[Cell], vnodes: Mapping[str, int]) -> Iterator[Text]:
    emulated = settings.cloud.cloud is not Cloud.LIVE
    for cell in cells:
        count = vnodes[cell.id]
        yield Text(
            f"{cell.id}: up to {count} VNodes, {'simulated on this machine' if emulated else 'real and billed'}",
            f"{cell.id}:最多 {count} 个 VNode({'在本机模拟' if emulated else '真实创建并计费'})",
        )
    yield Text(
        "each tagged vnode-suite:run=<run's id>, and deleted at the end",
        "均带标签 vnode-suite:run=<运行 id>,结束时删除",
    )


def _in_the_cluster(
    cell: Cell, wanted: Wanted, version: KubernetesVersion, vnodes: Mapping[str, int]
) -> Iterator[Text]:
    clauses = {clause for clause, _ in wanted}
    for body in _identity_objects(cell, version):
        where = f"{body['metadata']['namespace']}/" if body["metadata"].get("namespace") else ""
        name = f"{where}{body['metadata']['name']}"
        yield Text(f"{body['kind']} {name}", f"{body['kind']} {name}")
    pods = 1 + len(_OWN_POD & clauses)
    others = [
        (f"Pod default/vnode-suite-{_RUN}-*", pods),
        (f"PersistentVolumeClaim default/vnode-suite-{_RUN}-*", int("PERM-06" in clauses)),
        (f"DaemonSet kube-system/vnode-suite-{_RUN}-terms-*", int("DS-05" in clauses)),
        ("Node and Lease of each VNode", vnodes[cell.id]),
        ("CertificateSigningRequest", (vnodes[cell.id] + 1) * int(cell.asks_for_certificate)),
    ]
    for what, count in others:
        if count:
            yield Text(f"{cell.id}: {what}, up to {count}", f"{cell.id}:{what},最多 {count} 个")


def _identity_objects(cell: Cell, version: KubernetesVersion) -> list[Json]:
    naming, extra = Naming(run=_RUN, cell=cell.id), version.facts.endpoints_right_needed
    if cell.identity is Identity.BOOTSTRAP:
        token = BootstrapToken("ID", "")
        made = bootstrap_objects(naming, token, expires=None, extra_privilege=extra)
        account = account_name(naming)
        return [*made, *rights_objects(naming), token_secret(account, naming)]
    made = serviceaccount_objects(naming, extra_privilege=extra, with_secret=True, identity=cell.identity)
    return [*made]


def _changed(settings: Settings) -> Iterator[Text]:
    cluster = settings.cluster
    name = "/".join(KUBE_PROXY)
    there = cluster.learnt is None or cluster.learnt.kube_proxy
    if cluster.provider is not Provider.EXISTING:
        yield Text("nothing of yours: the cluster is the run's own", "无:集群由本次运行自行创建")
    elif cluster.apply_exclusion == "off" or not there:
        yield Text("nothing", "无")
    else:
        kept = cluster.apply_exclusion == "keep"
        yield Text(
            f"node affinity of DaemonSet {name}, in every term: type NotIn [virtual-kubelet]; "
            f"{'it stays at the end' if kept else 'given back at the end'}",
            f"DaemonSet {name} 的节点亲和性(每个 term):type NotIn [virtual-kubelet];"
            f"{'结束后保留' if kept else '结束时还原'}",
        )


def _early(cells: list[Cell], wanted: Mapping[str, Wanted]) -> Iterator[Text]:
    for cell in cells:
        names = ", ".join(sorted({clause for clause, defect in wanted[cell.id] if defect is None}))
        twins = len({defect for _, defect in wanted[cell.id] if defect is not None})
        yield Text(
            f"{cell.id}: {names}" + (f", and {twins} twins" if twins else ""),
            f"{cell.id}:{names}" + (f",以及 {twins} 个对照" if twins else ""),
        )


def _cost(settings: Settings, vnodes: int, deadlines: Deadlines) -> Text:
    if settings.cloud.cloud is not Cloud.LIVE:
        return Text("nothing: no cloud is called", "无:不调用云服务")
    waits = ("node-registered", "node-ready", "stays-ready", "pod-running", "vnode-gone")
    longest = sum(deadlines.seconds(name) for name in waits)
    said = str(planned(vnodes, longest))
    return Text(f"at most {said}", f"最多 {said}")


def _rights(lines: tuple[Needed, ...]) -> Iterator[Text]:
    if not lines:
        yield Text("none of yours", "无需您授予权限")
    for line in lines:
        yield Text(f"{line}: {line.why.en}", f"{line}:{line.why.zh}")
