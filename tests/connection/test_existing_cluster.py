"""Accepting somebody else's cluster: with the rights that the plan prints and no others, and leaving it as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.connection.stranger import Stranger, stranger
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.core.polling import poll

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.slow]

_ROOT = Path(__file__).resolve().parents[2]
#: What CLEAN-03 names: it changes by itself, whoever is there.
_RESTLESS = ("events", "leases")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A cluster on this machine's loopback, which no VNode can dial as it is."""
    with stranger(tmp_path_factory.mktemp("stranger")) as cluster:
        seen: list[dict[str, Any]] = []

        def settled() -> bool | None:
            seen.append(_everything(cluster.kube))
            return True if len(seen) > 1 and seen[-1] == seen[-2] else None

        # The controllers of a new cluster fill roles and make accounts for some seconds.
        poll(settled, what="a quiet cluster", deadline_seconds=60, interval_seconds=3)
        yield cluster


def _suite(theirs: Stranger, kubeconfig: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """An acceptance run of the quick profile with this kubeconfig, in a process of its own."""
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--region=cn-shanghai"),
        *(f"--kubeconfig={kubeconfig}", "--vnode-context=theirs", "--vnode-cloud=emulator"),
        *("--vnode-profile=quick", "--vnode-deadline=stays-ready=9"),
        f"--vnode-report-dir={theirs.folder / 'reports'}",
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "ALIBABA_"))}
    environment["XDG_STATE_HOME"] = str(theirs.folder / "state")
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def _printed_roles(plan: str) -> list[dict[str, Any]]:
    text = plan[plan.index("apiVersion:") : plan.index("\n\n=", plan.index("apiVersion:"))]
    return list(yaml.safe_load_all(text))


def _report(theirs: Stranger) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((theirs.folder / "reports" / "latest" / "report.json").read_text())
    return found


def _everything(kube: KubeClient) -> dict[str, Any]:
    """Every object in full, by address and uid, less what changes by itself."""
    found: dict[str, Any] = {}
    for group in (
        "/api/v1",
        *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in kube.get("/apis")["groups"]),
    ):
        for resource in kube.get(group)["resources"]:
            name = resource["name"]
            if "list" not in resource["verbs"] or "/" in name or name in (*_RESTLESS, "componentstatuses"):
                continue
            for item in kube.list(f"{group}/{name}"):
                meta = item["metadata"]
                if name == "controllerrevisions" or any(
                    owner["kind"] == "DaemonSet" for owner in meta.get("ownerReferences", ())
                ):
                    continue  # The DaemonSet controller's, which follows the template.
                found[f"{group}/{name} {meta.get('namespace', '')}/{meta['name']} {meta['uid']}"] = _lasting(
                    item
                )
    return found


def _lasting(item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in item.items() if key != "status"}
    if item["kind"] == "ServiceAccount":
        kept.pop("secrets", None)  # The token controller's, up to 1.23.
    kept["metadata"] = {
        key: value
        for key, value in item["metadata"].items()
        if key not in ("resourceVersion", "managedFields", "generation", "annotations")
    }
    if item["kind"] == "Node":
        # Taints of readiness: nobody sends heartbeats for a stand-in.
        kept["spec"] = {key: value for key, value in item["spec"].items() if key != "taints"}
    return kept


@pytest.fixture(scope="module")
def plan(theirs: Stranger) -> str:
    """What the plan of a run that applies the exclusion prints."""
    nobody = theirs.user("nobody", [])
    before = _everything(theirs.kube)
    done = _suite(theirs, nobody, "--vnode-apply-exclusion=on", "--vnode-plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _everything(theirs.kube) == before
    assert not (theirs.folder / "reports").exists() or not any((theirs.folder / "reports").iterdir())
    return done.stdout


def test_plan_names_what_is_missing(plan: str) -> None:
    """The plan says what the kubeconfig's user may not do yet."""
    assert "this kubeconfig lacks: " in plan
    assert "node affinity of DaemonSet kube-system/kube-proxy" in plan


def test_run_needs_only_the_rights_of_the_plan_and_leaves_the_cluster_as_it_was(
    theirs: Stranger, plan: str
) -> None:
    """Both identities are conformant with exactly the printed roles, and a full dump shows no difference after."""
    user = theirs.user("operator", _printed_roles(plan))
    before = _everything(theirs.kube)
    done = _suite(theirs, user, "--vnode-apply-exclusion=on", "--vnode-profile=standard")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _everything(theirs.kube) == before
    report = _report(theirs)
    assert {cell["id"] for cell in report["cells"]} == {"1.22-bootstrap", "1.22-serviceaccount"}
    rows = {row["clause"]: row["status"] for row in report["results"]}
    assert (rows["PRE-02"], rows["NODE-02"], rows["DS-02"], rows["CLEAN-03"]) == ("passed",) * 4


def test_a_missing_right_is_named_and_nothing_is_made(theirs: Stranger, plan: str) -> None:
    """Without one of the rights the run is incomplete, says which is missing, and has touched nothing."""
    roles = _printed_roles(plan)
    (secrets,) = [rule for role in roles for rule in role["rules"] if rule["resources"] == ["secrets"]]
    secrets["verbs"].remove("create")
    user = theirs.user("nearly", roles)
    before = _everything(theirs.kube)
    done = _suite(theirs, user, "--vnode-apply-exclusion=on", "--vnode-identity=bootstrap")
    assert done.returncode == 10, done.stdout + done.stderr
    assert "create secrets in kube-system" in done.stdout
    assert _everything(theirs.kube) == before
    assert {row["status"] for row in _report(theirs)["results"]}.isdisjoint({"passed", "failed", "error"})


def test_a_cluster_that_does_not_answer_is_said_before_anything_is_made(theirs: Stranger) -> None:
    """No version, no cells: one line that names the server, and the status of a harness that could not work."""
    text = (theirs.folder / "nobody.conf").read_text() if (theirs.folder / "nobody.conf").exists() else ""
    if not text:
        text = theirs.user("nobody", []).read_text()
    dead = theirs.folder / "dead.conf"
    dead.write_text(text.replace(theirs.server, "https://127.0.0.1:1"))
    done = _suite(theirs, dead)
    assert done.returncode == 12, done.stdout + done.stderr
    assert "https://127.0.0.1:1 cannot be reached" in done.stdout + done.stderr
