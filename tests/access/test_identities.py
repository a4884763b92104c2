"""Identities made, used and taken away on a real control plane."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vnode_suite.access import limited, objects
from vnode_suite.access.approver.beside import RunningApprover, start_approver
from vnode_suite.access.approver.rules import Variant
from vnode_suite.access.bootstrap import ask, bootstrap, submit_improper
from vnode_suite.access.creating import Making
from vnode_suite.access.deployment import approver_access
from vnode_suite.access.generate import Generated, generate_bootstrap, generate_serviceaccount
from vnode_suite.access.kubeconfig import AccessError, Credential, RightMissing, view
from vnode_suite.access.objects import Naming
from vnode_suite.access.requests import Improper, Wanted
from vnode_suite.access.rights import Holder, Rule
from vnode_suite.access.taking import DEFECTS, Holding
from vnode_suite.cleanup.sweep import sweep
from vnode_suite.clusters.kube import AccessRequest, KubeClient, KubeError

if TYPE_CHECKING:
    from tests.access.conftest import Access

pytestmark = pytest.mark.cluster


@pytest.fixture
def identity(access: Access) -> Generated:
    return generate_bootstrap(access.making, access.admin, access.naming, extra_privilege=True)


@pytest.fixture
def approver(access: Access, tmp_path: Path) -> Iterator[RunningApprover]:
    text = approver_access(access.making, access.admin, access.naming)
    with start_approver(text.reveal(), log=tmp_path / "approver.log") as process:
        yield process


def test_a_bootstrap_certificate_is_issued(
    access: Access, identity: Generated, approver: RunningApprover
) -> None:
    """Token, request, approval, signature: the whole way of a VNode's first certificate."""
    issued = bootstrap(access.making, identity.kubeconfig, access.naming, name="vnd-1")
    assert issued.state == "issued"
    assert issued.issued_after is not None
    assert issued.requester == identity.username
    assert issued.certificate is not None
    assert issued.certificate.common_name == "system:vnode:vnd-1"
    assert issued.certificate.organizations == ("system:vnodes",)


def test_a_certificate_renews_itself(access: Access, identity: Generated, approver: RunningApprover) -> None:
    """The certificate's own identity holds selfnodeclient; without it the renewal stays pending."""
    first = bootstrap(access.making, identity.kubeconfig, access.naming).certificate
    assert first is not None
    holding = Holding(access.making, access.naming, identity.granted)
    wanted = Wanted(first.common_name)
    with first.client(access.kube.server, access.admin.ca_pem) as vnode:
        renewed = ask(access.making, vnode, wanted, access.naming, deadline_seconds=30)
        assert (renewed.state, renewed.requester) == ("issued", first.common_name)
        with holding.with_defect("selfnodeclient-missing"):
            assert ask(access.making, vnode, wanted, access.naming, deadline_seconds=0.6).state == "pending"


def test_no_improper_request_is_approved(
    access: Access, identity: Generated, approver: RunningApprover
) -> None:
    """Every variant of KCFG-04 stays pending while a sound request made after it is approved."""
    outcome = submit_improper(access.making, identity.kubeconfig, access.naming)
    assert outcome.conclusive
    assert {variant for variant, _ in outcome.states} | set(outcome.not_expressible) == set(Improper)
    assert {state for _, state in outcome.states} == {"pending"}


def test_an_approver_of_everything_is_caught(access: Access, identity: Generated) -> None:
    """With it every improper request is approved, so the check above can fail for each of them."""
    text = approver_access(access.making, access.admin, access.naming)
    with start_approver(text.reveal(), Variant.APPROVES_EVERYTHING):
        outcome = submit_improper(access.making, identity.kubeconfig, access.naming)
    assert outcome.conclusive
    assert {state for _, state in outcome.states} <= {"approved", "issued"}


def test_without_an_approver_nothing_is_concluded(access: Access, identity: Generated) -> None:
    """Nobody looked, so that nothing was approved proves nothing."""
    outcome = submit_improper(
        access.making, identity.kubeconfig, access.naming, [Improper.WRONG_USAGES], deadline_seconds=0.5
    )
    assert not outcome.conclusive
    assert outcome.canary.state == "pending"


def test_a_denying_approver_is_told_from_none(access: Access, identity: Generated) -> None:
    """A denied request is settled at once."""
    text = approver_access(access.making, access.admin, access.naming)
    with start_approver(text.reveal(), Variant.DENIES_EVERYTHING):
        issuance = bootstrap(access.making, identity.kubeconfig, access.naming, deadline_seconds=30)
    assert (issuance.state, issuance.certificate) == ("denied", None)


def test_the_published_behaviour_depends_on_the_version(access: Access, identity: Generated) -> None:
    """It watches certificates/v1 only: sound where that is served, blind elsewhere."""
    versions = {one["version"] for one in access.kube.get("/apis/certificates.k8s.io")["versions"]}
    served = "v1" in versions
    text = approver_access(access.making, access.admin, access.naming)
    with start_approver(text.reveal(), Variant.PUBLISHED_IMAGE) as published:
        issuance = bootstrap(
            access.making, identity.kubeconfig, access.naming, deadline_seconds=30 if served else 1
        )
        assert published.alive
    assert published.sees is served
    assert issuance.state == ("issued" if served else "pending")


def test_the_approver_holds_the_published_rights_and_no_more(access: Access) -> None:
    """It may list, watch, approve and review; not get, not delete, nothing else."""
    text = approver_access(access.making, access.admin, access.naming)
    questions = {
        AccessRequest("list", "certificatesigningrequests", "certificates.k8s.io"): True,
        AccessRequest("update", "certificatesigningrequests", "certificates.k8s.io", "approval"): True,
        AccessRequest("approve", "signers", "certificates.k8s.io", name="example.com/any"): True,
        AccessRequest("create", "subjectaccessreviews", "authorization.k8s.io"): True,
        AccessRequest("get", "certificatesigningrequests", "certificates.k8s.io"): False,
        AccessRequest("delete", "certificatesigningrequests", "certificates.k8s.io"): False,
        AccessRequest("get", "secrets"): False,
        AccessRequest("list", "nodes"): False,
    }
    with KubeClient.from_kubeconfig_text(text.reveal()) as its:
        answers = its.access_reviews(list(questions))
    assert {one.request: one.allowed for one in answers} == questions


def test_a_serviceaccount_kubeconfig_works_and_never_ends(access: Access) -> None:
    """The token comes from a Secret made by hand."""
    made = generate_serviceaccount(access.making, access.admin, access.naming)
    assert made.expires is None
    assert view(made.kubeconfig.reveal(), wanted=Credential.TOKEN, file_name="vnode-config").problems == ()
    with KubeClient.from_kubeconfig_text(made.kubeconfig.reveal()) as vnode:
        assert vnode.access_review(AccessRequest("create", "nodes")).allowed
        with pytest.raises(KubeError, match=made.username):
            vnode.delete("/api/v1/nodes/none")


def test_a_short_token_says_when_it_ends(access: Access) -> None:
    """Ten minutes is the shortest that the API gives."""
    made = generate_serviceaccount(
        access.making, access.admin, access.naming, token_life=timedelta(minutes=10)
    )
    assert made.expires is not None
    assert timedelta(minutes=9) < made.expires - datetime.now(UTC) <= timedelta(minutes=10, seconds=5)


def test_an_expired_bootstrap_token_is_refused(access: Access) -> None:
    """What is past its end is not waited for: generating says that the server does not take it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vnode_suite.access.generate.EFFECT_SECONDS", 0.5)
        with pytest.raises(AccessError, match="does not take the new token"):
            generate_bootstrap(access.making, access.admin, access.naming, token_life=timedelta(seconds=-10))
    assert access.nets.journal.left == ()


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_a_defect_takes_exactly_its_right_and_gives_it_back(
    access: Access, identity: Generated, defect: str
) -> None:
    """While it lasts the answers differ from before, afterwards they do not."""
    holding = Holding(access.making, access.naming, identity.granted)

    def answers() -> dict[str, bool]:
        return {
            f"{grant.holder} {grant.right.id}": access.kube.access_review(
                _question(grant.right.tells), user="u", groups=[_group(grant.holder, access.naming)]
            ).allowed
            for grant in identity.granted
        }

    before = answers()
    assert all(before.values())
    with holding.with_defect(defect):
        during = answers()
    assert answers() == before
    changed = {name for name in before if before[name] != during[name]}
    if defect in ("extra-right-secrets-delete", "bootstrap-group-can-view"):
        assert changed == set()
    elif defect == "endpoints-right-missing":
        assert changed == {"vnodes endpoints-create", "vnodes endpoints-update"}
    else:
        assert len(changed) == 1


def test_an_excess_right_is_there_while_it_lasts(access: Access, identity: Generated) -> None:
    """The control of PERM-09 gives something that the table has not."""
    holding = Holding(access.making, access.naming, identity.granted)
    question = AccessRequest("delete", "secrets")

    def allowed() -> bool:
        return access.kube.access_review(question, user="u", groups=["system:vnodes"]).allowed

    assert not allowed()
    with holding.with_extra([Rule(("delete",), "secrets")], Holder.VNODES):
        assert allowed()
    assert [one for one in access.nets.journal.left if "excess" in one.name] == []


def test_generating_without_the_right_to_make_secrets_says_so_and_leaves_nothing(access: Access) -> None:
    """The refusal names the right, and what was made before it is gone again."""
    naming = Naming("limited", "1.22-x")
    ca_pem = access.admin.ca_pem
    for generate in (generate_bootstrap, generate_serviceaccount):
        with (
            limited.no_right_to_create_secrets(access.making, ca_pem, access.naming) as token,
            limited.client(access.making, ca_pem, token) as kube,
            pytest.raises(RightMissing, match="may not create secrets in kube-system"),
        ):
            generate(Making(kube, access.making.journal, "it"), access.admin, naming)
    account = objects.path(objects.serviceaccount(naming.serviceaccount, naming))
    assert access.kube.raw(account).status == 404
    assert access.nets.journal.left == ()


def test_generating_twice_is_harmless(access: Access) -> None:
    """Objects that stand are kept; the ServiceAccount's token is the same."""
    first = generate_serviceaccount(access.making, access.admin, access.naming)
    count = len(access.nets.journal.left)
    second = generate_serviceaccount(access.making, access.admin, access.naming)
    assert first.token == second.token
    assert len(access.nets.journal.left) == count


def test_what_somebody_else_made_is_not_taken_over(access: Access) -> None:
    """An object of that name without our labels stops the generation, and stays."""
    foreign = objects.serviceaccount(access.naming.serviceaccount, access.naming)
    foreign["metadata"]["labels"] = {}
    access.kube.create(objects.collection_path(foreign), foreign)
    try:
        with pytest.raises(AccessError, match="was not made by this"):
            generate_serviceaccount(access.making, access.admin, access.naming)
        assert access.nets.close() == ()
        assert access.kube.get(objects.path(foreign))["metadata"]["name"] == access.naming.serviceaccount
    finally:
        access.kube.delete(objects.path(foreign))


def test_closing_leaves_nothing_and_spares_what_was_made_anew(access: Access, identity: Generated) -> None:
    """Everything of the run is gone; an object that somebody made in the place of ours is not touched."""
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{access.naming.prefix}:pods-patch"
    body = access.kube.get(role)
    access.kube.delete(role)
    body["metadata"] = {"name": body["metadata"]["name"]}
    access.kube.create(role.rpartition("/")[0], body)
    try:
        assert access.nets.close() == ()
        assert access.kube.raw(role).status == 200
    finally:
        access.kube.delete(role)
    label = f"vnode-suite/run={access.naming.run}"
    for collection in ("clusterroles", "clusterrolebindings"):
        assert access.kube.list(f"/apis/rbac.authorization.k8s.io/v1/{collection}", labelSelector=label) == []
    assert access.kube.list("/api/v1/secrets", labelSelector=label) == []
    assert access.kube.list("/api/v1/serviceaccounts", labelSelector=label) == []


#: A run that makes an identity on an existing cluster, and one object more that it does not write down.
_KILLED_RUN = """
import pathlib, sys, threading
from vnode_suite.access import objects
from vnode_suite.access.creating import Making
from vnode_suite.access.generate import generate_serviceaccount
from vnode_suite.access.kubeconfig import admin_cluster
from vnode_suite.cleanup.journal import Journal
from vnode_suite.clusters.kube import KubeClient
from vnode_suite.clusters.kubeconfig import read_kubeconfig_files
path, state, run = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
admin = admin_cluster(read_kubeconfig_files(path))
kube = KubeClient.from_kubeconfig_file(path)
journal = Journal.open(run, state=state)
journal.cluster("it", kubeconfig=pathlib.Path(path), context=None, server=admin.server)
naming = objects.Naming(run, "1.22-x")
generate_serviceaccount(Making(kube, journal, "it"), admin, naming)
Making(kube).ensure(objects.cluster_role(f"{naming.prefix}-unwritten", [], naming))
print("made", flush=True)
threading.Event().wait()
"""


def test_a_sweep_clears_a_killed_run_from_an_existing_cluster_and_spares_a_living_one(
    access: Access, tmp_path: Path
) -> None:
    """By journal, and by label for what was not written down."""
    admin, state = tmp_path / "admin.conf", tmp_path / "state"
    admin.write_text(access.admin_kubeconfig, encoding="utf-8")
    runs = {}
    for run in ("dead", "living"):
        command = [sys.executable, "-c", _KILLED_RUN, str(admin), str(state), run]
        runs[run] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for process in runs.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "made\n"
        runs["dead"].kill()
        runs["dead"].wait()
        of_living = _labelled(access.kube, "living")
        result = sweep(yes=True, state=state)
        assert result.left == ()
        assert "vnode-suite-dead-1.22-x-unwritten" in {one.entry.name for one in result.removed}
        assert _labelled(access.kube, "dead") == set()
        assert _labelled(access.kube, "living") == of_living != set()
    finally:
        for process in runs.values():
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        assert sweep(yes=True, state=state).clean


def _labelled(kube: KubeClient, run: str) -> set[str]:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    collections = (
        "/api/v1/secrets",
        "/api/v1/serviceaccounts",
        f"{rbac}/clusterroles",
        f"{rbac}/clusterrolebindings",
    )
    return {
        f"{path} {one['metadata']['name']}"
        for path in collections
        for one in kube.list(path, labelSelector=f"vnode-suite/run={run}")
    }


def _question(rule: Rule) -> AccessRequest:
    resource, _, subresource = rule.resource.partition("/")
    return AccessRequest(rule.verbs[0], resource, rule.group, subresource)


def _group(holder: Holder, naming: Naming) -> str:
    return "system:vnodes" if holder is Holder.VNODES else naming.bootstrap_group
