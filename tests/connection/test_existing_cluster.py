"""Accepting somebody else's cluster: with the rights that the plan prints and no others, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Iterator

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

pytestmark = [pytest.mark.cluster, pytest.mark.netns, pytest.mark.slow]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A cluster on this machine's loopback, which no VNode can dial as it is."""
    with stranger(tmp_path_factory.mktemp("stranger")) as cluster:
        await_quiet(cluster.kube)
        yield cluster


@pytest.fixture(scope="module")
def plan(theirs: Stranger) -> str:
    """What the plan of a run that applies the exclusion prints."""
    nobody = theirs.user("nobody", [])
    before = everything(theirs.kube)
    done = suite(theirs, nobody, "--vnode-apply-exclusion=on", "--vnode-plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(theirs.kube) == before
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
    user = theirs.user("operator", printed_roles(plan))
    before = everything(theirs.kube)
    done = suite(theirs, user, "--vnode-apply-exclusion=on", "--vnode-profile=standard")
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(theirs.kube) == before
    written = report(theirs)
    assert {cell["id"] for cell in written["cells"]} == {"1.22-bootstrap", "1.22-serviceaccount"}
    rows = {row["clause"]: row["status"] for row in written["results"]}
    assert (rows["PRE-02"], rows["NODE-02"], rows["DS-02"], rows["CLEAN-03"]) == ("passed",) * 4


def test_a_missing_right_is_named_and_nothing_is_made(theirs: Stranger, plan: str) -> None:
    """Without one of the rights the run is incomplete, says which is missing, and has touched nothing."""
    roles = printed_roles(plan)
    (secrets,) = [rule for role in roles for rule in role["rules"] if rule["resources"] == ["secrets"]]
    secrets["verbs"].remove("create")
    user = theirs.user("nearly", roles)
    before = everything(theirs.kube)
    done = suite(theirs, user, "--vnode-apply-exclusion=on", "--vnode-identity=bootstrap")
    assert done.returncode == 10, done.stdout + done.stderr
    assert "create secrets in kube-system" in done.stdout
    assert everything(theirs.kube) == before
    assert {row["status"] for row in report(theirs)["results"]}.isdisjoint({"passed", "failed", "error"})


def test_a_cluster_that_does_not_answer_is_said_before_anything_is_made(theirs: Stranger) -> None:
    """No version, no cells: one line that names the server, and the status of a harness that could not work."""
    text = (theirs.folder / "nobody.conf").read_text() if (theirs.folder / "nobody.conf").exists() else ""
    if not text:
        text = theirs.user("nobody", []).read_text()
    dead = theirs.folder / "dead.conf"
    dead.write_text(text.replace(theirs.server, "https://127.0.0.1:1"))
    done = suite(theirs, dead)
    assert done.returncode == 12, done.stdout + done.stderr
    assert "https://127.0.0.1:1 cannot be reached" in done.stdout + done.stderr
