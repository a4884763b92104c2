"""KCFG: the identity, and the kubeconfig that holds it."""

from vnode_suite.checks import kcfg
from vnode_suite.pytest_plugin.marks import clause


@clause("KCFG-01")
def test_bootstrap_kubeconfig_is_generated(judge, observed):
    """A bootstrap kubeconfig can be generated (1.14 and later)."""
    judge(kcfg.bootstrap_kubeconfig_is_generated, observed)


@clause("KCFG-02")
def test_bootstrap_kubeconfig_is_generated_with_extra_rights(judge, observed):
    """On 1.13 a bootstrap kubeconfig can be generated with the extra rights on endpoints."""
    judge(kcfg.bootstrap_kubeconfig_is_generated_with_extra_rights, observed)


@clause("KCFG-03")
def test_approver_approves_a_proper_request(judge, observed):
    """An approver approves a proper VNode CSR, and the certificate is issued in time."""
    judge(kcfg.approver_approves_a_proper_request, observed)


@clause("KCFG-04")
def test_approver_refuses_improper_requests(judge, observed):
    """Every improper CSR stays unapproved."""
    judge(kcfg.approver_refuses_improper_requests, observed)


@clause("KCFG-05")
def test_serviceaccount_kubeconfig_is_generated(judge, observed):
    """A ServiceAccount kubeconfig can be generated."""
    judge(kcfg.serviceaccount_kubeconfig_is_generated, observed)


@clause("KCFG-06")
def test_token_outlives_its_use(judge, observed):
    """The ServiceAccount's token never expires, or not before the planned use ends."""
    judge(kcfg.token_outlives_its_use, observed)


@clause("KCFG-07")
def test_no_rotation_in_this_mode(judge, observed):
    """A ServiceAccount's token is never rotated by the VNode: said, not judged."""
    judge(kcfg.no_rotation_in_this_mode, observed)


@clause("KCFG-08")
def test_kubeconfig_is_usable_as_it_stands(judge, observed):
    """https server, a context that resolves, inline CA, one credential of the mode's form, nothing of another host."""
    judge(kcfg.kubeconfig_is_usable_as_it_stands, observed)


@clause("KCFG-09")
def test_authority_is_the_servers(judge, observed):
    """The CA is there, and it is the one that the server presents."""
    judge(kcfg.authority_is_the_servers, observed)


@clause("KCFG-10")
def test_name_resolves_where_the_vnode_lives(judge, observed):
    """The server's name resolves inside the VPC, to the right address."""
    judge(kcfg.name_resolves_where_the_vnode_lives, observed)


@clause("KCFG-11")
def test_admin_credential_is_over_privileged(judge, observed):
    """A cluster-admin kubeconfig may be used; what it could do beyond need is said."""
    judge(kcfg.admin_credential_is_over_privileged, observed)


@clause("KCFG-12")
def test_credential_is_who_it_should_be(judge, observed):
    """The credential authenticates as the identity that the mode hands out."""
    judge(kcfg.credential_is_who_it_should_be, observed)


@clause("KCFG-13")
def test_identity_suits_the_security_requirements(judge, observed):
    """Where security requirements are declared, the identity is TLS bootstrap."""
    judge(kcfg.identity_suits_the_security_requirements, observed)


@clause("KCFG-14")
def test_generated_file_has_the_documented_shape(judge, observed):
    """Named ``vnode-config``, one cluster, user ``vnode``, namespace ``kube-system``."""
    judge(kcfg.generated_file_has_the_documented_shape, observed)


@clause("KCFG-15")
def test_published_approver_on_this_version(judge, observed):
    """The published approver's behaviour (certificates/v1 only) on this version."""
    judge(kcfg.published_approver_on_this_version, observed)


@clause("KCFG-16")
def test_days_left(judge, observed):
    """Days left of every token and certificate handed out."""
    judge(kcfg.days_left, observed)
