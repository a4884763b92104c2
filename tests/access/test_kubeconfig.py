"""Building a kubeconfig, and reading one as facts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vnode_suite.access.kubeconfig import (
    AccessError,
    AdminCluster,
    Credential,
    admin_cluster,
    build,
    is_loopback,
    view,
)
from vnode_suite.access.variants import VARIANTS, broken, with_token
from vnode_suite.clusters.kubeconfig import read_kubeconfig_files
from vnode_suite.core.errors import UsageError

CA = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
TOKEN = "abcdef.0123456789abcdef"
ADMIN = AdminCluster("https://10.16.0.5:6443", CA, "kubernetes-admin@kubernetes")
SOUND = build(ADMIN, {"token": TOKEN})


def test_a_built_kubeconfig_has_the_pages_shape() -> None:
    """Nothing is wrong with what we build, whichever clause looks."""
    seen = view(SOUND, wanted=Credential.TOKEN, file_name="vnode-config")
    assert seen.problems == ()
    assert (seen.user, seen.namespace, seen.clusters) == ("vnode", "kube-system", 1)
    assert (seen.host, seen.port, seen.server_is_name) == ("10.16.0.5", 6443, False)
    assert seen.ca_pem == CA


def test_names_are_copied_from_the_admins_context() -> None:
    """Context and cluster are called as the admin's context, as in the page's sample."""
    document = yaml.safe_load(SOUND)
    names = {document["current-context"], document["contexts"][0]["name"], document["clusters"][0]["name"]}
    assert names == {"kubernetes-admin@kubernetes"}


def test_the_server_can_be_another_than_the_admins() -> None:
    """A VNode may have to use another address than the administrator."""
    assert (
        view(build(ADMIN, {"token": TOKEN}, server="https://lb.example:443")).server
        == "https://lb.example:443"
    )


def test_a_views_representation_holds_no_token() -> None:
    """Facts are fit for a log."""
    assert TOKEN not in repr(view(SOUND))


#: Defect to the first reason of KCFG-08, KCFG-09 and KCFG-14; as the catalogue of defects declares them.
REASONS = {
    "kubeconfig-server-http": ("server-not-https", None, None),
    "kubeconfig-no-current-context": ("no-current-context", None, "other-user-name"),
    "kubeconfig-context-unresolved": ("current-context-unresolved", None, "other-user-name"),
    "kubeconfig-user-unresolved": ("user-unresolved", None, "other-user-name"),
    "kubeconfig-ca-path": ("ca-is-a-path", "ca-data-empty", None),
    "kubeconfig-ca-empty": (None, "ca-data-empty", None),
    "kubeconfig-tls-not-verified": ("tls-not-verified", "ca-data-empty", None),
    "kubeconfig-no-credential": ("no-credential", None, None),
    "kubeconfig-two-credentials": ("several-credentials", None, None),
    "kubeconfig-exec-credential": ("credential-not-portable", None, None),
    "kubeconfig-oidc-credential": ("credential-not-portable", None, None),
    "kubeconfig-token-file": ("credential-not-portable", None, None),
    "client-certificate-of-other-ca": ("credential-of-other-mode", None, None),
    "kubeconfig-two-clusters": (None, None, "several-clusters"),
    "kubeconfig-other-user": (None, None, "other-user-name"),
    "kubeconfig-other-namespace": (None, None, "other-namespace"),
    # What only the server, its certificate or a resolver can tell.
    "kubeconfig-wrong-ca": (None, None, None),
    "kubeconfig-wrong-token": (None, None, None),
    "kubeconfig-server-name-unresolvable": (None, None, None),
    "kubeconfig-loopback-server": (None, None, None),
}


def test_every_variant_has_its_reasons_here() -> None:
    """A new variant must say what it is noticed by."""
    assert set(REASONS) == set(VARIANTS)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_broken_kubeconfig_is_noticed_for_its_own_reason(variant: str) -> None:
    """Each variant is seen by exactly the clauses that it is meant for."""
    text = broken(SOUND, variant)
    seen = view(text, wanted=Credential.TOKEN, file_name="vnode-config")
    groups = (seen.unusable, seen.authority_problems, seen.shape_problems)
    assert tuple(group[0] if group else None for group in groups) == REASONS[variant]
    assert text != SOUND


def test_a_wrong_token_keeps_its_shape() -> None:
    """Only the server can tell a revoked token, so nothing else may change."""
    token = yaml.safe_load(broken(SOUND, "kubeconfig-wrong-token"))["users"][0]["user"]["token"]
    assert token != TOKEN
    assert [len(part) for part in token.split(".")] == [6, 16]


def test_the_foreign_ca_is_a_certificate_of_another() -> None:
    """It parses, and is not the cluster's."""
    from cryptography import x509

    pem = view(broken(SOUND, "kubeconfig-wrong-ca")).ca_pem
    assert pem != CA
    assert x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string() == "CN=kubernetes"


def test_another_file_name_is_noticed() -> None:
    """The page calls the file vnode-config."""
    assert view(SOUND, file_name="config").shape_problems == ("other-file-name",)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just words", "clusters: 3", "clusters: [3]"])
def test_what_is_no_kubeconfig_is_a_problem_not_an_exception(text: str) -> None:
    """Whatever a user hands over, the clause says what is wrong with it."""
    assert view(text).unusable


@pytest.mark.parametrize("server", ["https://[::1", "https://h:port", "h:6443", "ftp://h"])
def test_a_malformed_server_is_a_problem_not_an_exception(server: str) -> None:
    """An address that cannot be read is none that can be used."""
    seen = view(SOUND.replace("https://10.16.0.5:6443", server))
    assert seen.unusable == ("server-not-https",)


def test_somebody_elses_token_changes_nothing_but_the_token() -> None:
    """The defect credential-of-another is well-formed."""
    assert view(with_token(SOUND, "other"), wanted=Credential.TOKEN).problems == ()


def admin_file(folder: Path, cluster: dict[str, object]) -> Path:
    document = {
        "current-context": "me",
        "contexts": [{"name": "me", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **cluster}}],
        "users": [{"name": "u", "user": {}}],
    }
    path = folder / "admin.conf"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_ca_given_as_a_path_is_read_and_said(tmp_path: Path) -> None:
    """The vendor's script leaves the CA empty here; a relative path counts from the kubeconfig."""
    (tmp_path / "ca.crt").write_text(CA, encoding="ascii")
    found = admin_cluster(read_kubeconfig_files(admin_file(tmp_path, {"certificate-authority": "ca.crt"})))
    assert found.ca_pem == CA
    assert found.ca_path == tmp_path / "ca.crt"


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    """The error says which file."""
    with pytest.raises(AccessError, match=r"gone\.crt"):
        admin_cluster(read_kubeconfig_files(admin_file(tmp_path, {"certificate-authority": "gone.crt"})))


def test_an_admin_kubeconfig_without_ca_is_refused(tmp_path: Path) -> None:
    """Skipping verification is nothing that can be handed on."""
    path = admin_file(tmp_path, {"insecure-skip-tls-verify": True})
    with pytest.raises(AccessError, match="insecure-skip-tls-verify"):
        admin_cluster(read_kubeconfig_files(path))


def test_an_unknown_context_names_those_there_are(tmp_path: Path) -> None:
    """A wrong --context says what would have been right."""
    path = admin_file(tmp_path, {"certificate-authority": "x"})
    with pytest.raises(UsageError, match="one of: me"):
        admin_cluster(read_kubeconfig_files(path), "other")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", True),
        ("169.254.1.1", True),
        ("10.0.0.1", False),
        ("kubernetes.local", False),
        ("notlocalhost", False),
    ],
)
def test_addresses_that_mean_the_vnode_itself(host: str, expected: bool) -> None:
    """Loopback and link-local addresses reach no API server from elsewhere."""
    assert is_loopback(host) is expected
