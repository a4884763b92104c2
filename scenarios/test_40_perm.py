"""PERM: what that identity may do."""

from vnode_suite.checks import perm
from vnode_suite.pytest_plugin.marks import clause


@clause("PERM-01")
def test_holds_the_rights_of_a_node(judge, observed):
    """Everything that ``system:node`` grants is granted to this identity."""
    judge(perm.holds_the_rights_of_a_node, observed)


@clause("PERM-02")
def test_holds_the_rights_of_kube_proxy(judge, observed):
    """Everything that ``system:node-proxier`` grants is granted to this identity."""
    judge(perm.holds_the_rights_of_kube_proxy, observed)


@clause("PERM-03")
def test_may_ask_for_a_certificate(judge, observed):
    """The bootstrap identity may create CSRs under ``nodeclient``."""
    judge(perm.may_ask_for_a_certificate, observed)


@clause("PERM-04")
def test_may_ask_for_its_own_renewal(judge, observed):
    """The certificate identity may create CSRs under ``selfnodeclient``."""
    judge(perm.may_ask_for_its_own_renewal, observed)


@clause("PERM-05")
def test_may_annotate_pods(judge, observed):
    """Pods: update and patch, reviewed and really done."""
    judge(perm.may_annotate_pods, observed)


@clause("PERM-06")
def test_may_annotate_claims(judge, observed):
    """PersistentVolumeClaims: update and patch, reviewed and really done."""
    judge(perm.may_annotate_claims, observed)


@clause("PERM-07")
def test_may_hold_the_leader_lock(judge, observed):
    """Endpoints: create and update, needed for leader election on 1.13 only."""
    judge(perm.may_hold_the_leader_lock, observed)


@clause("PERM-08")
def test_endpoints_are_not_needed(judge, observed):
    """From 1.14 on the endpoints rights serve nothing: said when they are granted."""
    judge(perm.endpoints_are_not_needed, observed)


@clause("PERM-09")
def test_holds_nothing_beyond_the_table(judge, observed):
    """Least privilege: nothing beyond the page's table and what every authenticated user has."""
    judge(perm.holds_nothing_beyond_the_table, observed)


@clause("PERM-10")
def test_bootstrap_token_can_only_ask(judge, observed):
    """The bootstrap token itself can do nothing but ask for a certificate."""
    judge(perm.bootstrap_token_can_only_ask, observed)


@clause("PERM-11")
def test_what_the_node_role_opens(judge, observed):
    """What binding ``system:node`` by RBAC opens, since the Node authoriser does not apply here."""
    judge(perm.what_the_node_role_opens, observed)
