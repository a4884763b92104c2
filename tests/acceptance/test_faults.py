"""The main job while the ECI API misbehaves: what a correct client survives, and what it cannot.

Each run is the main job (quick, without controls) on one control plane that stays, with faults from a TOML file. What
it says is compared with what there is afterwards, on both sides: the emulator's own books, and the cluster itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vnode_suite.clusters.kube import KubeClient

ROOT = Path(__file__).resolve().parents[2]
#: A run takes 10 s on two idle cores; one whose every call is retried to its end, two minutes.
PATIENCE_SECONDS = 600.0
#: Where a run makes things, or its VNodes do.
COLLECTIONS = (
    "/api/v1/nodes",
    "/api/v1/pods",
    "/api/v1/namespaces/kube-system/serviceaccounts",
    "/api/v1/namespaces/kube-system/endpoints",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
)
CREATE, DESCRIBE, DELETE = "CreateVirtualNode", "DescribeVirtualNodes", "DeleteVirtualNode"


def fault(action: str, kind: str, **more: Any) -> dict[str, Any]:
    """One ``[[fault]]``; once unless told otherwise, 0 for always."""
    return {"action": action, "kind": kind, "times": 1, **more}


#: What a client survives that repeats what may be repeated, under one ClientToken, and knows that lists lag behind.
SURVIVED: dict[str, list[dict[str, Any]]] = {
    "create throttled, with a hint": [fault(CREATE, "throttle", retry_after=300, times=2)],
    "create throttled, without a hint": [fault(CREATE, "throttle", times=2)],
    "everything throttled at first": [fault("*", "throttle", times=3)],
    "create reset before its effect": [fault(CREATE, "reset-before", times=2)],
    "create reset after its effect": [fault(CREATE, "reset-after", times=2)],
    "create not answered, without effect": [fault(CREATE, "timeout-before")],
    "create not answered, with effect": [fault(CREATE, "timeout-after")],
    "create slow": [fault(CREATE, "slow", seconds=4)],
    "create answered with broken JSON": [fault(CREATE, "malformed")],
    "create answered by a proxy": [fault(CREATE, "html")],
    "create failed inside": [fault(CREATE, "error", code="InternalError")],
    "create unavailable after its effect": [fault(CREATE, "error-after", code="ServiceUnavailable", times=2)],
    "a VNode not listed at first": [fault(DESCRIBE, "unseen", seconds=4, times=0)],
    "a VNode never listed": [fault(DESCRIBE, "unseen", seconds=3600, times=0)],
    "a deleted VNode still listed": [fault(DESCRIBE, "lingering", seconds=4, times=0)],
    "describe throttled": [fault(DESCRIBE, "throttle", retry_after=200, times=2)],
    "describe reset": [fault(DESCRIBE, "reset-before", times=2)],
    "describe answered with broken JSON": [fault(DESCRIBE, "malformed")],
    "delete throttled": [fault(DELETE, "throttle", times=2)],
    "delete reset before its effect": [fault(DELETE, "reset-before")],
    "delete reset after its effect": [fault(DELETE, "reset-after", times=2)],
    "delete unavailable after its effect": [fault(DELETE, "error-after", code="ServiceUnavailable")],
    "delete not answered, with effect": [fault(DELETE, "timeout-after")],
    "delete refused while an instance is released": [
        fault(DELETE, "error", code="VirtualNode.DELETE.FAILED", times=3)
    ],
    "vSwitches and groups unavailable at first": [
        fault("DescribeVSwitches", "html"),
        fault("DescribeSecurityGroups", "error", code="InternalError"),
    ],
}


@dataclass(frozen=True)
class Lethal:
    """Faults that no client survives.

    :ivar clauses: exactly the MUST clauses that fail.
    :ivar remedy: a part of what the first one tells the user to do.
    :ivar status: the exit status; 11 where the suite's own promise to clean up is broken.
    :ivar left: VNodes that are left in the cloud: none, unless deleting is what does not work.
    :ivar nobodys: nothing says which VNode it is, so that its Node stays in the cluster, and CLEAN-02 names it.
    """

    faults: list[dict[str, Any]]
    clauses: tuple[str, ...]
    remedy: str
    status: int = 1
    left: int = 0
    nobodys: bool = False


def refused(code: str, remedy: str) -> Lethal:
    """CreateVirtualNode answers *code*, always."""
    return Lethal([fault(CREATE, "error", code=code, times=0)], ("CREATE-01",), remedy)


LETHAL: dict[str, Lethal] = {
    "no permission": refused("NoPermission", "grant the RAM action"),
    "no service-linked role": refused("CreateServiceLinkedRole.Denied", "grant the RAM action"),
    "account closed": refused("Forbidden.AccountClosed", "its owner has to settle that"),
    "quota": refused("QuotaExceeded", "ask for a higher quota"),
    "no stock": refused("OperationDenied.NoStock", "another zone or region"),
    "no free address": refused("InvalidVSwitchId.IpNotEnough", "another vSwitch"),
    "arrears": refused("Account.Arrearage", "settle the account's bill"),
    "no balance": refused("InvalidPaymentMethod.InsufficientBalance", "settle the account's bill"),
    "access key inactive": refused("InvalidAccessKeyId.Inactive", "check the access key"),
    "always failing inside": refused("InternalError", "try again"),
    "always throttled": Lethal([fault(CREATE, "throttle", times=0)], ("CREATE-01",), "call less often"),
    "always reset": Lethal([fault(CREATE, "reset-before", times=0)], ("CREATE-01",), "check the endpoint"),
    "always lost": Lethal([fault(CREATE, "reset-after", times=0)], ("CREATE-01",), "check the endpoint"),
    "always broken JSON": Lethal([fault(CREATE, "malformed", times=0)], ("CREATE-01",), "no proxy answers"),
    "always unavailable, with effect": Lethal(
        [fault(CREATE, "error-after", code="ServiceUnavailable", times=0)], ("CREATE-01",), "try again"
    ),
    "delete refused": Lethal(
        [fault(DELETE, "error", code="NoPermission", times=0)],
        ("CLEAN-01",),
        "grant the RAM action",
        status=11,
        left=1,
    ),
    "delete always throttled": Lethal(
        [fault(DELETE, "throttle", times=0)], ("CLEAN-01",), "call less often", status=11, left=1
    ),
    "describe refused": Lethal(
        [fault(DESCRIBE, "error", code="NoPermission", times=0)],
        ("CLEAN-01",),
        "grant the RAM action",
        status=11,
    ),
    "deleted, yet listed for ever": Lethal(
        [fault(DESCRIBE, "lingering", seconds=3600, times=0)], ("CLEAN-01",), "sweep", status=11
    ),
    "lost, and describe refused": Lethal(
        [fault(CREATE, "reset-after", times=0), fault(DESCRIBE, "error", code="NoPermission", times=0)],
        ("CLEAN-01", "CLEAN-02", "CREATE-01"),
        "grant the RAM action",
        status=11,
        left=1,
        nobodys=True,
    ),
}


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    status: int
    output: str
    report: dict[str, Any]
    #: What the emulator's own books say: virtual_nodes, deleted, calls, faults.
    books: dict[str, Any]

    @property
    def failed(self) -> dict[str, str]:
        """MUST clauses that failed, with their remedy."""
        return {
            row["clause"]: row["remedy"]
            for row in self.report["results"]
            if row["status"] == "failed" and row["level"] == "MUST"
        }


Faulty = Callable[[list[dict[str, Any]]], Ended]


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A control plane that stays for all runs: ``vnode-suite cluster up``."""
    state = tmp_path_factory.mktemp("state")
    environment = {**os.environ, "VNODE_SUITE_STATE": str(state), "PYTHONPATH": str(ROOT)}

    def cluster(*words: str) -> str:
        command = [sys.executable, "-m", "vnode_suite.cli", "cluster", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    there = json.loads(cluster("up", "1.22", "--name", "faults", "--json"))
    try:
        yield Path(there["kubeconfig"])
    finally:
        cluster("down", "faults")


@pytest.fixture
def faulty(kubeconfig: Path, tmp_path: Path) -> Faulty:
    """Run the main job on that control plane with these faults."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST_", "ALIBABA_CLOUD"))}
    environment |= {"VNODE_SUITE_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}

    def run(faults: list[dict[str, Any]]) -> Ended:
        file = tmp_path / "faults.toml"
        rows = ("\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items()) for row in faults)
        file.write_text("".join(f"[[fault]]\n{row}\n" for row in rows), encoding="utf-8")
        words = [
            *("--region=cn-shanghai", "--vnode-cloud=emulator", "--vnode-identity=serviceaccount"),
            *("--vnode-profile=quick", "--vnode-controls=off", "--vnode-deadline=stays-ready=3"),
            *(f"--kubeconfig={kubeconfig}", f"--vnode-eci-faults={file}"),
            *("--vnode-deadline=vnode-gone=8", f"--vnode-report-dir={tmp_path / 'reports'}", "--tb=short"),
        ]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "vnode_suite.pytest_plugin",
                "-p",
                "no:cacheprovider",
                *words,
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        folder = tmp_path / "reports" / "latest"
        assert (folder / "report.json").exists(), done.stdout + done.stderr
        (books,) = folder.glob("evidence/cloud-*.json")
        return Ended(
            done.returncode,
            done.stdout + done.stderr,
            json.loads((folder / "report.json").read_text(encoding="utf-8")),
            json.loads(books.read_text(encoding="utf-8")),
        )

    return run


@pytest.fixture
def in_the_cluster(kubeconfig: Path) -> Iterator[Callable[[], set[str]]]:
    """What there is in the cluster where a run makes things."""
    with KubeClient.from_kubeconfig_file(kubeconfig, None) as kube:
        yield lambda: {
            f"{path} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
            for path in COLLECTIONS
            for item in kube.list(path)
        }


slow = [pytest.mark.cluster, pytest.mark.long]


@pytest.mark.parametrize("name", [pytest.param(name, marks=slow) for name in SURVIVED])
def test_a_fault_that_a_client_survives(
    name: str, faulty: Faulty, in_the_cluster: Callable[[], set[str]]
) -> None:
    """The run is conformant, buys one VNode, and leaves nothing on either side."""
    before = in_the_cluster()
    ended = faulty(SURVIVED[name])
    assert ended.status == 0, ended.output
    assert all(row["fired"] for row in ended.books["faults"]), ended.books["faults"]
    assert (ended.books["virtual_nodes"], len(ended.books["deleted"])) == ([], 1)
    assert ended.report["cleanup"]["left"] == []
    assert "with injected faults" in ended.report["verdict"]["scope"]
    assert in_the_cluster() == before


@pytest.mark.parametrize("name", [pytest.param(name, marks=slow) for name in LETHAL])
def test_a_fault_that_no_client_survives(
    name: str, faulty: Faulty, in_the_cluster: Callable[[], set[str]]
) -> None:
    """The right clause fails with what to do, no other does, and nothing is left that can be taken away."""
    lethal, before = LETHAL[name], in_the_cluster()
    ended = faulty(lethal.faults)
    assert (ended.status, tuple(sorted(ended.failed))) == (lethal.status, lethal.clauses), ended.output
    assert lethal.remedy in ended.failed[lethal.clauses[0]]
    assert not any(row["status"] == "error" for row in ended.report["results"]), ended.output
    assert all(row["fired"] for row in ended.books["faults"]), ended.books["faults"]
    assert len(ended.books["virtual_nodes"]) == lethal.left
    stays = in_the_cluster() - before
    if lethal.nobodys:
        (lost,) = ended.books["virtual_nodes"]
        assert stays, "CLEAN-02 failed for nothing"
        assert all(lost["VirtualNodeId"] in name for name in stays)
    else:
        assert not stays


def test_there_are_twenty_of_either() -> None:
    """The tables hold what they promise."""
    assert (len(SURVIVED) >= 20, len(LETHAL) >= 20) == (True, True)
