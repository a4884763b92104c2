"""eci-profile on somebody's cluster: found where it is served, and judged by what becomes of a Pod."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.connection.stranger import Stranger, stranger
from vnode_suite.clusters.existing import learn
from vnode_suite.clusters.kube import KubeClient, KubeError
from vnode_suite.core.errors import DeadlineExceeded

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.long]

_ROOT = Path(__file__).resolve().parents[2]
_SELECTORS = "/apis/eci.aliyun.com/v1/namespaces/default/selectors"
_PODS = "/api/v1/namespaces/default/pods"
_TOLERATION = {
    "key": "k8s.aliyun.com/vnode",
    "operator": "Equal",
    "value": "true",
    "effect": "NoSchedule",
}


@contextmanager
def eci_profile(kube: KubeClient, *, works: bool) -> Iterator[None]:
    """The custom resource, and who lets a Pod that a Selector matches tolerate the VNode (unless it is broken)."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "selectors.eci.aliyun.com"},
        "spec": {
            "group": "eci.aliyun.com",
            "scope": "Namespaced",
            "names": {"plural": "selectors", "singular": "selector", "kind": "Selector"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                }
            ],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    kube.create(path, definition)
    kube.wait_for(
        f"{path}/selectors.eci.aliyun.com",
        lambda found: any(
            c["type"] == "Established" and c["status"] == "True"
            for c in ((found or {}).get("status") or {}).get("conditions") or ()
        ),
        deadline_seconds=30,
        what="the Selectors to be served",
    )
    done = threading.Event()
    thread = threading.Thread(target=_let_in, args=(kube, done), daemon=True)
    if works:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if works:
            thread.join(30)
        kube.delete(f"{path}/selectors.eci.aliyun.com")
        kube.wait_for(
            f"{path}/selectors.eci.aliyun.com",
            lambda found: found is None,
            deadline_seconds=30,
            what="the Selectors to be gone",
        )


def _let_in(kube: KubeClient, done: threading.Event) -> None:
    """What eci-profile does with a Pod that is found to be unschedulable."""

    def waiting(pods: Any) -> bool:
        for pod in pods:
            if pod["spec"].get("nodeName") or _TOLERATION in pod["spec"].get("tolerations", ()):
                continue
            wanted = [s["spec"]["objectLabels"]["matchLabels"] for s in kube.list(_SELECTORS)]
            labels = pod["metadata"].get("labels") or {}
            if any(want.items() <= labels.items() for want in wanted):
                tolerations = [*pod["spec"].get("tolerations", ()), _TOLERATION]
                with suppress(KubeError):
                    kube.patch(f"{_PODS}/{pod['metadata']['name']}", {"spec": {"tolerations": tolerations}})
        return done.is_set()

    while not done.is_set():
        with suppress(DeadlineExceeded):
            kube.wait_for_list(_PODS, waiting, deadline_seconds=1, what="Pods that a Selector matches")


def _judged(theirs: Stranger, *options: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit status, the row of SCHED-03 and its control of a run on *theirs*."""
    done = _run(theirs, *options)
    path = theirs.folder / "reports" / "latest" / "report.json"
    assert path.exists(), done.stdout + done.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    (row,) = [row for row in report["results"] if row["clause"] == "SCHED-03"]
    return done.returncode, row, {c["defect"]: c["caught"] for c in report["controls"]}


def _run(theirs: Stranger, *options: str) -> subprocess.CompletedProcess[str]:
    reports = theirs.folder / "reports"
    command = [
        *(sys.executable, "-m", "pytest", "-p", "vnode_suite.pytest_plugin", "-p", "no:cacheprovider"),
        *("--region=cn-shanghai", f"--kubeconfig={theirs.admin}", "--vnode-cloud=emulator"),
        *("--vnode-identity=serviceaccount", "--vnode-clause=SCHED-03", f"--vnode-report-dir={reports}"),
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "ALIBABA_"))}
    environment |= {"VNODE_SUITE_STATE": str(theirs.folder / "state"), "PYTHONPATH": str(_ROOT)}
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_a_selector_is_judged_where_eci_profile_is_deployed_and_nowhere_else(tmp_path: Path) -> None:
    """Not applicable without it; with it the Pod lands, one that matches nothing does not; broken, the row fails."""
    with stranger(tmp_path) as theirs:
        assert not learn(theirs.admin, None).eci_profile
        # It applies to no cell, so that nothing is left to be judged.
        assert _run(theirs).returncode == 5
        with eci_profile(theirs.kube, works=True):
            assert learn(theirs.admin, None).eci_profile
            status, row, controls = _judged(theirs, "--vnode-controls=on")
            assert (status, row["status"]) == (0, "passed")
            assert controls == {"pod-does-not-match-selector": True}
            assert theirs.kube.list(_SELECTORS) == []
        with eci_profile(theirs.kube, works=False):
            _, row, _ = _judged(theirs, "--vnode-deadline=pod-running=8")
            assert (row["status"], row["reason"]) == ("failed", "pod-not-on-vnode")
