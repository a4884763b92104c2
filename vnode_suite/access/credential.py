"""Whose credential a VNode's kubeconfig holds, told from the credential itself: nobody is asked."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from vnode_suite.access.rights import VNODES_GROUP
from vnode_suite.clusters.kubeconfig import parse_kubeconfig
from vnode_suite.core.errors import UsageError
from vnode_suite.core.secrets import Secret
from vnode_suite.model import Identity

#: kubernetes.io/docs: a bootstrap token is an id of six and a secret of sixteen characters.
_BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.[a-z0-9]{16}")
_ACCOUNT = "system:serviceaccount:"
_BOOTSTRAP_USER = "system:bootstrap:"
_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class HeldCredential:
    """The credential of a kubeconfig that was handed to a VNode.

    :ivar text: the kubeconfig.
    :ivar username: as whom it authenticates, and *groups* beyond ``system:authenticated``, as far as it says so.
    :ivar token: empty where it is no token.
    :ivar expires: when the credential ends; ``None`` for never, or where only the server knows.
    """

    text: Secret
    file_name: str
    identity: Identity
    username: str
    groups: tuple[str, ...]
    token: Secret | None = None
    expires: datetime | None = None

    @property
    def bootstrap_token_id(self) -> str:
        """Id of its bootstrap token; empty where it has none."""
        name = self.username
        return name.removeprefix(_BOOTSTRAP_USER) if name.startswith(_BOOTSTRAP_USER) else ""


def read_credential(path: Path) -> HeldCredential:
    """Read the kubeconfig at *path*.

    :raises UsageError: it cannot be read. What else may be wrong with it is for its clauses (KCFG) to say.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"--vnode-kubeconfig {path} cannot be read", found=str(problem)) from None
    document = parse_kubeconfig(text, origin="--vnode-kubeconfig")
    user = _user(document)
    held = Secret(text, "kubeconfig")
    if token := str(user.get("token") or ""):
        return _of_token(held, path.name, Secret(token, "token"))
    if encoded := user.get("client-certificate-data"):
        return _of_certificate(held, path.name, str(encoded))
    return HeldCredential(held, path.name, Identity.UNKNOWN, "", ())


def _user(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The user of the current context, else the first one."""
    contexts = {entry.get("name"): entry.get("context") or {} for entry in document.get("contexts") or ()}
    wanted = contexts.get(document.get("current-context"), {}).get("user")
    users = [entry for entry in document.get("users") or () if isinstance(entry.get("user"), dict)]
    chosen = next((entry for entry in users if entry.get("name") == wanted), users[0] if users else {})
    return dict(chosen.get("user") or {})


def _of_token(text: Secret, file_name: str, token: Secret) -> HeldCredential:
    if found := _BOOTSTRAP_TOKEN.fullmatch(token.reveal()):
        name = f"{_BOOTSTRAP_USER}{found[1]}"
        return HeldCredential(text, file_name, Identity.BOOTSTRAP, name, ("system:bootstrappers",), token)
    claims = _claims(token.reveal())
    subject = str(claims.get("sub") or "")
    if not subject.startswith(_ACCOUNT):
        return HeldCredential(text, file_name, Identity.UNKNOWN, "", (), token)
    expires = datetime.fromtimestamp(float(claims["exp"]), UTC) if claims.get("exp") else None
    return HeldCredential(
        text, file_name, Identity.SERVICEACCOUNT, subject, groups_of_account(subject), token, expires
    )


def groups_of_account(user: str) -> tuple[str, ...]:
    """The groups that every API server puts the ServiceAccount *user* in; none for other users."""
    if not user.startswith(_ACCOUNT):
        return ()
    namespace = user.removeprefix(_ACCOUNT).partition(":")[0]
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def _claims(token: str) -> Mapping[str, Any]:
    """What a JWT says; empty for what is none. Its signature is for the server to check."""
    _, _, rest = token.partition(".")
    body = rest.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _of_certificate(text: Secret, file_name: str, encoded: str) -> HeldCredential:
    try:
        shown = x509.load_pem_x509_certificate(base64.standard_b64decode(encoded))
    except (ValueError, binascii.Error):
        return HeldCredential(text, file_name, Identity.UNKNOWN, "", ())
    names = [str(each.value) for each in shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(
        str(each.value) for each in shown.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    )
    name = names[0] if names else ""
    return HeldCredential(
        text, file_name, identity_of(name, groups), name, groups, expires=shown.not_valid_after_utc
    )


def identity_of(user: str, groups: tuple[str, ...]) -> Identity:
    """Which of the page's modes *user* belongs to, as far as the names tell."""
    if user.startswith(_ACCOUNT):
        return Identity.SERVICEACCOUNT
    if VNODES_GROUP in groups or user.startswith(("system:vnode:", _BOOTSTRAP_USER)):
        return Identity.BOOTSTRAP
    return Identity.ADMIN if _MASTERS in groups else Identity.UNKNOWN
