"""Accepting a VNode that was made by hand: looked at through the cloud and the cluster, and left as it is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.connection.stranger import (
    Stranger,
    await_quiet,
    everything,
    printed_roles,
    report,
    stranger,
    suite,
)
from vnode_suite.access.creating import Making
from vnode_suite.access.generate import generate_serviceaccount
from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.access.objects import Naming
from vnode_suite.clusters.kubeconfig import read_kubeconfig_files
from vnode_suite.core.modules import command, environment
from vnode_suite.eci.client import EciClient
from vnode_suite.eci.credentials import StaticCredentials
from vnode_suite.eci.endpoints import single
from vnode_suite.eci.models import CreateRequest
from vnode_suite.probes.daemonsets import affinity_patch, excluding, path_of
from vnode_suite.probes.nodes import ready_of

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.long]

_REGION = "cn-shanghai"
#: All but SCHED-06, whose Pod runs a program: a simulated instance runs none.
_SEEN_HERE = "PRE,PARAM,PERM,KCFG,CREATE,NODE,PORT,DS,SCHED-01,SCHED-02,SCHED-04,CLEAN"


@dataclass(frozen=True)
class ByHand:
    """A cluster, an emulator that stands, and a VNode that somebody made with the SDK."""

    theirs: Stranger
    ready: dict[str, Any]
    cloud: EciClient
    id: str
    kubeconfig: Path

    def accept(self, kubeconfig: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """An acceptance run of this VNode."""
        keys = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.ready["access_key_id"],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.ready["access_key_secret"],
        }
        words = (
            f"--vnode-id={self.id}",
            "--vnode-cloud=live",
            f"--vnode-eci-endpoint={self.ready['endpoint']}",
            *options,
        )
        return suite(self.theirs, kubeconfig, *words, **keys)

    def rows(self) -> dict[str, str]:
        """Clause to status, of the last run."""
        return {row["clause"]: row["status"] for row in report(self.theirs)["results"]}


@pytest.fixture(scope="module")
def emulator() -> Iterator[dict[str, Any]]:
    """An emulator that stands: its ready line."""
    process = subprocess.Popen(
        command("vnode_suite.cli", "emulator", "--json", "--region", _REGION),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline() or "null")
        if ready is None or ready["network"] != "namespaces":
            pytest.skip("no network namespaces can be made here")
        yield ready
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def made(emulator: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """A VNode with a ServiceAccount's kubeconfig, Ready, kube-proxy kept off it; all made without the suite's runs."""
    folder = tmp_path_factory.mktemp("by-hand")
    # Kubernetes' own grace: a VNode of an emulator that stands renews every 10 s, as kubelets do.
    with stranger(folder, address=emulator["host_address"], grace_seconds=40.0) as theirs:
        admin = admin_cluster(read_kubeconfig_files(theirs.admin))
        identity = generate_serviceaccount(Making(theirs.kube), admin, Naming(run="hand", cell="1.22"))
        theirs.kube.patch(path_of("kube-system", "kube-proxy"), affinity_patch(excluding(())))
        handed = folder / "vnode-config"
        handed.write_text(identity.kubeconfig.reveal())
        handed.chmod(0o600)
        credentials = StaticCredentials(emulator["access_key_id"], emulator["access_key_secret"])
        with EciClient.connect(single(emulator["endpoint"], _REGION), credentials) as cloud:
            virtual_node_id = cloud.create_virtual_node(
                CreateRequest(
                    vswitch_ids=(emulator["vswitch_ids"][0],),
                    security_group_id=emulator["security_group_id"],
                    kubeconfig=identity.kubeconfig.reveal(),
                    name="made-by-hand",
                    tags={"owner": "operations"},
                )
            )
            theirs.kube.wait_for_list(
                "/api/v1/nodes",
                lambda nodes: any(
                    virtual_node_id in n["metadata"]["name"] and ready_of(n)[0] == "True" for n in nodes
                ),
                deadline_seconds=120,
                what="the VNode made by hand",
            )
            await_quiet(theirs.kube)
            yield ByHand(theirs, emulator, cloud, virtual_node_id, handed)
            cloud.delete_virtual_node(virtual_node_id)


def _cloud_side(made: ByHand) -> tuple[Any, ...]:
    (found,) = made.cloud.describe_virtual_nodes()
    return found.id, found.name, found.status, found.intranet_ip, dict(found.tags), found.creation_time


def test_accepted_with_its_kubeconfig_and_left_as_it_was(made: ByHand) -> None:
    """Every clause but those of creating is judged, with the rights of the plan alone; nothing is different after."""
    told = (
        f"--vnode-kubeconfig={made.kubeconfig}",
        "--vnode-tag=owner=operations",
        "--vnode-profile=standard",
        f"--vnode-clause={_SEEN_HERE}",
    )
    plan = made.accept(made.theirs.user("onlooker", []), *told, "--vnode-plan")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    user = made.theirs.user("accepter", printed_roles(plan.stdout))
    before, cloud = everything(made.theirs.kube), _cloud_side(made)
    done = made.accept(user, *told)
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(made.theirs.kube) == before
    assert _cloud_side(made) == cloud
    rows = made.rows()
    assert {cell["identity"] for cell in report(made.theirs)["cells"]} == {"serviceaccount"}
    judged = (
        "PRE-02",
        "PERM-01",
        "PERM-05",
        "KCFG-12",
        "CREATE-04",
        "CREATE-09",
        "NODE-02",
        "PORT-01",
        "SCHED-01",
    )
    assert {rows[clause] for clause in (*judged, "CLEAN-02", "CLEAN-03", "CLEAN-04")} == {"passed"}
    assert {rows[clause] for clause in ("CREATE-01", "CREATE-06", "NODE-06", "CLEAN-01")} == {
        "not-applicable"
    }


def test_without_its_credential_what_needs_it_is_out_of_scope(made: ByHand) -> None:
    """Nobody says who the VNode is: its rights and its kubeconfig are not judged, the rest is."""
    done = made.accept(made.theirs.admin, "--vnode-context=local")
    rows = made.rows()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (rows["PERM-01"], rows["KCFG-08"], rows["KCFG-12"]) == ("out-of-scope",) * 3
    assert (rows["NODE-01"], rows["PRE-02"]) == ("passed",) * 2


def test_by_its_users_name_rights_are_reviewed(made: ByHand) -> None:
    """With --vnode-user the server is asked what that user may do; nobody acts as it."""
    name = f"system:serviceaccount:kube-system:{Naming(run='hand', cell='1.22').serviceaccount}"
    done = made.accept(
        made.theirs.admin,
        "--vnode-context=local",
        f"--vnode-user={name}",
        "--vnode-clause=PERM",
        "--vnode-profile=standard",
    )
    rows = made.rows()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (rows["PERM-01"], rows["PERM-02"], rows["PERM-05"]) == ("passed",) * 3


def test_one_that_is_not_there_is_said(made: ByHand) -> None:
    """Nothing could be looked at: incomplete, and the reason names the id and the region."""
    lost = ByHand(made.theirs, made.ready, made.cloud, "vnd-0000000000000000", made.kubeconfig)
    done = lost.accept(made.theirs.admin, "--vnode-context=local")
    assert done.returncode == 10, done.stdout + done.stderr
    assert f"vnd-0000000000000000 is not listed in {_REGION}" in done.stdout
