"""Whose credential a VNode's kubeconfig holds, told without asking anybody."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.certificates import Authority
from vnode_suite.access.credential import identity_of, read_credential
from vnode_suite.core.errors import UsageError
from vnode_suite.model import Identity


def _kubeconfig(folder: Path, user: dict[str, Any]) -> Path:
    path = folder / "vnode-config"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
                "users": [
                    {"name": "other", "user": {"token": "of another"}},
                    {"name": "vnode", "user": user},
                ],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "vnode"}}],
                "current-context": "c",
            }
        )
    )
    return path


def _jwt(**claims: Any) -> str:
    parts = (json.dumps(each).encode() for each in ({"alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "signature"])


def test_a_bootstrap_token_is_told_by_its_form(tmp_path: Path) -> None:
    """Its user is known by the token's id; which groups it gives only the server knows."""
    held = read_credential(_kubeconfig(tmp_path, {"token": "abcdef.0123456789abcdef"}))
    assert (held.identity, held.username) == (Identity.BOOTSTRAP, "system:bootstrap:abcdef")
    assert held.bootstrap_token_id == "abcdef"


def test_a_serviceaccounts_token_names_it(tmp_path: Path) -> None:
    """User, groups and end stand in the token."""
    token = _jwt(sub="system:serviceaccount:kube-system:vnode", exp=1_900_000_000)
    held = read_credential(_kubeconfig(tmp_path, {"token": token}))
    assert (held.identity, held.username) == (
        Identity.SERVICEACCOUNT,
        "system:serviceaccount:kube-system:vnode",
    )
    assert held.groups == ("system:serviceaccounts", "system:serviceaccounts:kube-system")
    assert held.expires is not None
    assert held.expires.year == 2030


def test_a_certificate_names_user_and_groups(tmp_path: Path) -> None:
    """An administrator's by its group."""
    certificate, key = Authority.make().issue("kubernetes-admin", ("system:masters",))
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    held = read_credential(_kubeconfig(tmp_path, user))
    assert (held.identity, held.username, held.groups) == (
        Identity.ADMIN,
        "kubernetes-admin",
        ("system:masters",),
    )
    assert held.expires is not None


@pytest.mark.parametrize("user", [{}, {"token": "opaque"}, {"client-certificate-data": "bm9uZQ=="}])
def test_what_tells_nothing_is_unknown(tmp_path: Path, user: dict[str, Any]) -> None:
    """It is for the clauses to say what is wrong with it."""
    held = read_credential(_kubeconfig(tmp_path, user))
    assert (held.identity, held.username) == (Identity.UNKNOWN, "")


def test_its_text_is_a_secret(tmp_path: Path) -> None:
    """Printing it shows no token."""
    held = read_credential(_kubeconfig(tmp_path, {"token": "abcdef.0123456789abcdef"}))
    assert "0123456789abcdef" not in repr(held)


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    """The option is named."""
    with pytest.raises(UsageError, match="--vnode-kubeconfig"):
        read_credential(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("user", "groups", "identity"),
    [
        ("system:serviceaccount:a:b", (), Identity.SERVICEACCOUNT),
        ("system:vnode:vnd-1", (), Identity.BOOTSTRAP),
        ("anybody", ("system:vnodes",), Identity.BOOTSTRAP),
        ("anybody", ("system:masters",), Identity.ADMIN),
        ("anybody", (), Identity.UNKNOWN),
        ("", (), Identity.UNKNOWN),
    ],
)
def test_the_mode_by_a_users_name(user: str, groups: tuple[str, ...], identity: Identity) -> None:
    """--vnode-user tells as much as its name does."""
    assert identity_of(user, groups) is identity
