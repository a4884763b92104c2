"""Ledgers of made-up runs, told through the real writer: what the tests of the report read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vnode_suite.core.ledger import Ledger
from vnode_suite.core.secrets import Registry
from vnode_suite.data.catalogue import Catalogue, load_catalogue, not_applicable
from vnode_suite.diagnosis import diagnose
from vnode_suite.model import Applies, Basis, Clause, Grade, Level, Text
from vnode_suite.report.types import Report

MINORS = tuple(f"1.{minor}" for minor in range(13, 23))
CONDITIONS = ["kube-proxy", "creating", "generated-kubeconfig", "exclusion-applied"]
IDENTITIES = ("bootstrap", "serviceaccount")


def clause(
    id_: str,
    title: Text,
    *,
    level: Level = Level.MUST,
    basis: Basis = Basis.STATED,
    applies: Applies | None = None,
    profile: str = "quick",
    excluded: Text | None = None,
    no_control: Text | None = None,
) -> Clause:
    """A clause whose sentences all come from its title."""
    return Clause(
        id=id_,
        level=level,
        basis=basis,
        applies=applies or Applies(),
        page_section=Text("Connect the VNode", "接入 VNode"),
        title=title,
        statement=Text(f"It holds that {title.en}.", f"{title.zh}。"),
        observed=Text("Through the API server.", "经由 API Server 观测。"),
        remedy=Text(f"See to it that {title.en}.", f"请确保{title.zh}。"),
        profile=profile,
        excluded=excluded,
        no_control=no_control,
    )


CLAUSES = (
    clause("PRE-01", Text("the cluster's version lies in the window", "集群版本在支持范围之内")),
    clause("PRE-02", Text("the API server can be reached from the VPC", "VPC 内可访问 API Server")),
    clause("PRE-03", Text("the clocks agree", "各方时钟一致"), level=Level.INFO, basis=Basis.SUITE),
    clause(
        "PARAM-05",
        Text("the security group is of the enterprise type", "安全组为企业安全组"),
        level=Level.SHOULD,
    ),
    clause("PERM-05", Text("pods may be updated and patched", "允许更新和修补 Pod")),
    clause(
        "PERM-07",
        Text("endpoints may be created and updated", "允许创建和更新 Endpoints"),
        applies=Applies(minors=("1.13",)),
    ),
    clause(
        "KCFG-03",
        Text("an approver approves the VNode's request", "审批程序批准 VNode 的证书请求"),
        applies=Applies(identities=("bootstrap",)),
    ),
    clause(
        "KCFG-17",
        Text("the vendor's script", "厂商脚本"),
        level=Level.INFO,
        excluded=Text("remote code whose body is not published", "远程脚本，内容未公开"),
    ),
    clause("CREATE-01", Text("the call answers a VNode id", "创建接口返回 VNode ID")),
    clause("NODE-01", Text("the VNode appears among the nodes", "VNode 出现在节点列表中")),
    clause("NODE-02", Text("the Node becomes Ready and stays so", "节点就绪并保持就绪")),
    clause("NODE-06", Text("time to Ready", "就绪耗时"), level=Level.INFO, basis=Basis.SUITE),
    clause("PORT-01", Text("TCP 10250 is reachable", "TCP 10250 可达"), basis=Basis.INFERRED),
    clause("PORT-02", Text("TCP 10255 is reachable", "TCP 10255 可达"), level=Level.SHOULD),
    clause("DS-02", Text("no kube-proxy Pod is bound to the VNode", "VNode 上没有绑定 kube-proxy Pod")),
    clause(
        "SCHED-01", Text("a Pod with selector and toleration runs on it", "带选择器和容忍的 Pod 能在其上运行")
    ),
    clause(
        "CREATE-07",
        Text("the certificate is renewed in time", "证书按时轮换"),
        profile="full",
        applies=Applies(identities=("bootstrap",)),
    ),
    clause(
        "CLEAN-01", Text("every VNode of this run is gone", "本次创建的 VNode 均已删除"), basis=Basis.SUITE
    ),
    clause("CLEAN-03", Text("nothing else was touched", "未触动其他对象"), basis=Basis.SUITE),
)


def catalogue(clauses: tuple[Clause, ...] = CLAUSES) -> Catalogue:
    """A catalogue of these clauses only."""
    by_id = {each.id: each for each in clauses}
    return Catalogue(
        "2024-02", "https://help.aliyun.com/example", "2024-02-27", ("1.13", "1.22"), clauses, by_id, {}
    )


class Clock:
    """Time that goes on only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=7)
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class Story:
    """One run, told event by event. Everything passes unless a field says otherwise."""

    path: Path
    catalogue: Catalogue = field(default_factory=catalogue)
    versions: tuple[str, ...] = ("1.22",)
    identities: tuple[str, ...] = IDENTITIES
    cloud: str = "emulator"
    grade: Grade = Grade.SIMULATED
    profile: str = "standard"
    selection: list[str] | None = None
    strict: bool = False
    controls: bool = True
    waivers: list[dict[str, str]] = field(default_factory=list)
    #: Actual sentence and remedy by (clause, cell); ``*`` is every cell.
    failing: dict[tuple[str, str], Text] = field(default_factory=dict)
    #: Clauses that could not run, by the step they needed.
    unreached: dict[str, str] = field(default_factory=dict)
    #: Negative controls that were not caught.
    missed: tuple[str, ...] = ()
    #: The writer is killed after so many cells; None: the run ends in order.
    killed_after_cells: int | None = None
    #: What the service says of each VNode that does not come.
    service_says: str = ""
    signal: str | None = None
    exit_status: int = 0
    evidence_text: str = '{"kind": "Node", "status": {"conditions": [{"type": "Ready", "status": "True"}]}}'
    registry: Registry = field(default_factory=Registry)
    shard: str = "main"
    run_id: str = "20260301-080000-abcd"
    suite_version: str = "0.1.0"
    page_revision: str = "2024-02"

    def tell(self) -> Path:
        """Write the ledger."""
        self.clock = Clock()
        with Ledger(self.path, self.registry, self.shard, clock=self.clock) as self.ledger:
            self._begin()
            cells = [(version, identity) for version in self.versions for identity in self.identities]
            for number, (version, identity) in enumerate(cells):
                if number == self.killed_after_cells:
                    break
                self._cell(version, identity)
            if self.signal:
                self.ledger.write("interrupted", signal=self.signal)
            if self.killed_after_cells is None:
                self.ledger.write("run-finished", exit_status=self.exit_status)
        return self.path

    def _begin(self) -> None:
        self.ledger.write(
            "run-started",
            run_id=self.run_id,
            argv=["pytest", "--region", "cn-shanghai"],
            suite_version=self.suite_version,
            page_revision=self.page_revision,
            profile=self.profile,
            cloud=self.cloud,
            site="ecs",
            controls=self.controls,
            selection=self.selection,
            language="en",
            strict_should=self.strict,
            region="cn-shanghai",
            client_timeout_scale={"real_seconds": 32, "simulated_seconds": 3},
            environment={
                "python": "3.11.9",
                "platform": "Linux-6.1-x86_64",
                "packages": {"kubernetes": "33.1.0"},
            },
            waivers=self.waivers,
            cells=[
                {
                    "cell": f"{version}-{identity}",
                    "version": version,
                    "identity": identity,
                    "provider": "local",
                }
                for version in self.versions
                for identity in self.identities
            ],
        )

    def _cell(self, version: str, identity: str) -> None:
        cell = f"{version}-{identity}"
        self.ledger.write(
            "cell-started",
            cell=cell,
            version=version,
            identity=identity,
            provider="local",
            conditions=CONDITIONS,
            grade=self.grade,
        )
        self.clock.pass_seconds(6.4)
        self.ledger.write(
            "cluster-ready",
            version=version,
            cells=[cell],
            server_version=f"v{version}.17",
            provider="local",
            provenance={"kube-apiserver": "sha256:" + "ab" * 32, "source": "built from Go modules"},
            timings={"etcd": 0.6, "kube-apiserver": 3.9, "usable": 6.4},
        )
        self.ledger.write(
            "memory", version=version, processes={"kube-apiserver": 210_000_000, "etcd": 40_000_000}
        )
        self._join(cell, version, identity)
        for each in self.catalogue.clauses:
            self._result(each, cell, version, identity)
        self.ledger.write(
            "deleted", cell=cell, kind="VirtualNode", name=f"vnd-{cell}", where="cloud", id="vnd-2zeexample"
        )
        self.ledger.write(
            "deleted", cell=cell, kind="Secret", name="bootstrap-token-abcdef", where="cluster", id=""
        )
        self.ledger.write("cell-finished", cell=cell, seconds=41.5)

    def _join(self, cell: str, version: str, identity: str) -> None:
        made = [("Secret", "bootstrap-token-abcdef", "cluster"), ("VirtualNode", f"vnd-{cell}", "cloud")]
        for kind, name, where in made:
            self.ledger.write("created", cell=cell, kind=kind, name=name, where=where, id="vnd-2zeexample")
        told = [
            ("suite", Text("kubeconfig made", "生成 kubeconfig"), 0.4),
            ("cloud", Text("CreateVirtualNode called", "调用 CreateVirtualNode"), 0.3),
            ("cloud", Text("VNode id answered", "返回 VNode ID"), 0.2),
            ("network", Text("VNode dials the API server", "VNode 连接 API Server"), 1.1),
            ("cluster", Text("certificate requested", "提交证书请求"), 0.2),
            ("suite", Text("approver approves", "审批程序批准"), 0.5),
            ("cluster", Text("certificate issued", "签发证书"), 0.3),
            ("cluster", Text("Node registered", "节点注册"), 0.6),
            ("cluster", Text("Node is Ready", "节点就绪"), 0.9 + 0.2 * int(version.split(".")[1]) % 2),
            ("cloud", Text("VNode is Ready", "VNode 就绪"), 0.7),
            ("network", Text("API server reaches TCP 10250", "API Server 连通 TCP 10250"), 1.4),
            ("cluster", Text("first Pod runs", "首个 Pod 运行"), 1.9),
        ]
        if identity != "bootstrap":
            told = [entry for entry in told if "certif" not in entry[1].en and "approver" not in entry[1].en]
        for lane, text, seconds in told:
            self.clock.pass_seconds(seconds)
            self.ledger.write(
                "timeline",
                cell=cell,
                subject="sound",
                lane=lane,
                at=self.clock(),
                clock="suite",
                text=text,
                severity="normal",
            )
        if self.service_says:
            self._say(cell)
        steps = dict.fromkeys(("cluster", "kubeconfig", "created", "registered"), 0.8)
        for step, seconds in {**steps, "ready": 4.2 + len(cell) % 3}.items():
            missed = step in self.unreached.values()
            self.ledger.write(
                "step",
                cell=cell,
                subject="sound",
                step=step,
                state="unreached" if missed else "reached",
                reason="deadline" if missed else "",
                detail=Text("It did not come within 300 s.", "300 秒内未出现。") if missed else None,
                seconds=seconds,
            )

    def _say(self, cell: str) -> None:
        envelope = {"cell": cell, "subject": "sound"}
        told = {"event_type": "Warning", "reason": "FailedConnect", "message": self.service_says, "count": 3}
        self.ledger.write("vnode-event", **envelope, virtual_node_id="vnd-2zeexample", **told)
        self.ledger.write("diagnosis", **envelope, **diagnose([self.service_says]).as_dict())

    def _result(self, each: Clause, cell: str, version: str, identity: str) -> None:
        outside = (
            self.selection is not None
            and each.id not in self.selection
            and each.chapter not in self.selection
        )
        order = ("quick", "standard", "full")
        if outside or each.excluded or order.index(each.profile) > order.index(self.profile):
            return
        where = {"cloud": self.cloud, "site": "ecs"}
        if not_applicable(each, version_minor=version, identity=identity, conditions=CONDITIONS, **where):
            return
        failure = self.failing.get((each.id, cell)) or self.failing.get((each.id, "*"))
        needs = self.unreached.get(each.id)
        status = (
            "failed"
            if failure
            else "could-not-run"
            if needs
            else "info"
            if each.level is Level.INFO
            else "passed"
        )
        self.clock.pass_seconds(0.2)
        self.ledger.write(
            "result",
            cell=cell,
            clause=each.id,
            status=status,
            reason="pod-bound" if failure else "step-not-reached" if needs else "holds",
            expected=each.statement,
            actual=failure
            or (Text("Not looked at.", "未观测。") if needs else Text("As expected.", "符合预期。")),
            remedy=each.remedy if failure else None,
            observed_at=self.clock(),
            observed_from="cluster",
            grade=self.grade,
            evidence=[{"name": "answer of the API server", "form": "json", "text": self.evidence_text}],
            needs=needs,
            item=f"scenarios/test_{each.chapter.lower()}.py::test_{each.id.lower()}[{cell}]",
            seconds=0.2,
        )
        if self.controls and each.judged and not needs:
            caught = each.id not in self.missed
            self.ledger.write(
                "control",
                cell=cell,
                clause=each.id,
                defect=f"{each.chapter.lower()}-broken",
                expected_reason="pod-bound",
                observed_reason="pod-bound" if caught else "holds",
                caught=caught,
                expected=each.statement,
                actual=Text("The twin fails.", "对照对象未通过。"),
                evidence=[],
                item="control",
                seconds=0.1,
            )


Teller = Callable[[Story], Report]


def passing(path: Path) -> Story:
    """Everything holds."""
    return Story(path)


def failing(path: Path) -> Story:
    """One MUST fails in one cell, one SHOULD in all."""
    bound = Text(
        "kube-proxy-x7k2p is bound to cn-shanghai.vnd-2zeexample",
        "kube-proxy-x7k2p 绑定在 cn-shanghai.vnd-2zeexample 上",
    )
    closed = Text("dial tcp 10.1.0.7:10255: connection refused", "dial tcp 10.1.0.7:10255：连接被拒绝")
    return Story(path, failing={("DS-02", "1.22-bootstrap"): bound, ("PORT-02", "*"): closed}, exit_status=1)


def incomplete(path: Path) -> Story:
    """The VNode never comes Ready: what needs it could not run."""
    return Story(
        path,
        unreached=dict.fromkeys(("NODE-02", "NODE-06", "PORT-01", "PORT-02", "SCHED-01"), "ready"),
        service_says='Get "https://10.0.0.1:6443/version": dial tcp 10.0.0.1:6443: i/o timeout',
    )


def killed(path: Path) -> Story:
    """The process is killed after its first cell."""
    return Story(path, killed_after_cells=1)


def interrupted(path: Path) -> Story:
    """Somebody pressed Ctrl-C in the second cell; the run closed in order."""
    return Story(path, killed_after_cells=1, signal="SIGINT")


def matrix(path: Path) -> Story:
    """Ten versions with two identities and the real catalogue, each row with its evidence and its control."""
    real = load_catalogue("2024-02")
    closed = Text(
        "dial tcp 10.1.0.7:10255: connect: connection refused", "dial tcp 10.1.0.7:10255：连接被拒绝"
    )
    return Story(
        path,
        real,
        versions=MINORS,
        evidence_text="x: " + "y" * 1000,
        failing={("PORT-02", "1.19-bootstrap"): closed},
    )
