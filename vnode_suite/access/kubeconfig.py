"""The kubeconfig that is handed to a VNode: building it, and reading one as facts.

The shape is the page's: one cluster, user `vnode`, namespace `kube-system`, and the names of context and
cluster copied from the admin's current context (the page's sample shows the same name for both).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vnode_suite.clusters.kubeconfig import check_context, parse_kubeconfig
from vnode_suite.core.documents import dump_yaml
from vnode_suite.core.errors import SuiteError, UsageError

FILE_NAME = "vnode-config"
USER = "vnode"
NAMESPACE = "kube-system"
_BEGIN_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class AccessError(SuiteError):
    """An identity could not be made; says which step, and what to do.

    :ivar reason: a slug for reports.
    """

    reason = "access-refused"


class RightMissing(AccessError):
    """The user of the admin kubeconfig lacks a right; the summary names it."""

    reason = "right-missing"


@dataclass(frozen=True, slots=True)
class AdminCluster:
    """What an admin kubeconfig says of its cluster."""

    server: str
    ca_pem: str = field(repr=False)
    context: str
    #: The file that the CA was read from; None where it stands inline. The vendor's script leaves
    #: `certificate-authority-data` empty in that case.
    ca_path: Path | None = None

    @property
    def host(self) -> str:
        """Host name or address of the server, without port or brackets."""
        return _split(self.server)[1]

    @property
    def server_is_loopback(self) -> bool:
        """Whether the address means "this machine" to whoever uses it, hence the VNode itself on a VNode."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback, link-local or unspecified address, or a name for one."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified


def admin_cluster(document: Mapping[str, Any], context: str | None = None) -> AdminCluster:
    """The cluster of `context` (default: the current one) in an admin kubeconfig.

    :param document: as `vnode_suite.clusters.kubeconfig` reads it, paths absolute.
    :raises AccessError: no server, no CA, or a CA file that cannot be read.
    """
    chosen = check_context(document, context)
    context_entry = _named(document, "contexts", "context", chosen) or {}
    cluster = _named(document, "clusters", "cluster", context_entry.get("cluster")) or {}
    server = str(cluster.get("server") or "")
    if not server:
        raise UsageError(f"context {chosen!r} of the admin kubeconfig names no server")
    inline, path = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    if inline:
        return AdminCluster(server, _decode_ca(str(inline)), chosen)
    if not path:
        raise AccessError(
            "the admin kubeconfig has no certificate authority",
            wanted="certificate-authority-data, or certificate-authority with the path of a file",
            found="insecure-skip-tls-verify" if cluster.get("insecure-skip-tls-verify") else "neither",
            remedy="put the cluster's CA (on kubeadm: /etc/kubernetes/pki/ca.crt) into the admin kubeconfig",
        )
    try:
        pem = Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError) as problem:
        raise AccessError(
            f"the CA file {path} of the admin kubeconfig cannot be read", found=str(problem)
        ) from None
    if _BEGIN_CERTIFICATE not in pem:
        raise AccessError(f"the CA file {path} of the admin kubeconfig holds no PEM certificate")
    return AdminCluster(server, pem, chosen, Path(path))


def build(cluster: AdminCluster, credential: Mapping[str, Any], *, server: str | None = None) -> str:
    """The kubeconfig for a VNode, as YAML.

    :param credential: the `user` entry, `{"token": ...}` for both generated identities.
    :param server: instead of the admin's server address, one that the VNode's network reaches.
    """
    encoded = base64.b64encode(cluster.ca_pem.encode()).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster.context,
        "contexts": [
            {
                "name": cluster.context,
                "context": {"cluster": cluster.context, "user": USER, "namespace": NAMESPACE},
            }
        ],
        "clusters": [
            {
                "name": cluster.context,
                "cluster": {"certificate-authority-data": encoded, "server": server or cluster.server},
            }
        ],
        "users": [{"name": USER, "user": dict(credential)}],
    }
    return dump_yaml(document)


class Credential(StrEnum):
    """The form of one credential in a kubeconfig."""

    TOKEN = "token"  # noqa: S105 - the name of a form
    CERTIFICATE = "client-certificate-data"
    BASIC = "username"
    EXEC = "exec"
    PROVIDER = "auth-provider"
    TOKEN_FILE = "tokenFile"  # noqa: S105 - the name of a form
    CERTIFICATE_FILE = "client-certificate"


#: A VNode is handed text and nothing else: no program, no provider's session and no file comes with it.
PORTABLE = frozenset({Credential.TOKEN, Credential.CERTIFICATE, Credential.BASIC})


class Problem(StrEnum):
    """One fact that is wrong with a kubeconfig; the value is the machine-readable reason."""

    # What makes it unusable (KCFG-08).
    NOT_A_KUBECONFIG = "not-a-kubeconfig"
    NO_CURRENT_CONTEXT = "no-current-context"
    CONTEXT_UNRESOLVED = "current-context-unresolved"
    CLUSTER_UNRESOLVED = "cluster-unresolved"
    USER_UNRESOLVED = "user-unresolved"
    NO_SERVER = "no-server"
    SERVER_NOT_HTTPS = "server-not-https"
    TLS_NOT_VERIFIED = "tls-not-verified"
    CA_IS_A_PATH = "ca-is-a-path"
    NO_CREDENTIAL = "no-credential"
    SEVERAL_CREDENTIALS = "several-credentials"
    CREDENTIAL_NOT_PORTABLE = "credential-not-portable"
    CREDENTIAL_OF_OTHER_MODE = "credential-of-other-mode"
    # The certificate authority (KCFG-09).
    CA_EMPTY = "ca-data-empty"
    CA_UNREADABLE = "ca-data-unreadable"
    # The page's shape (KCFG-14).
    SEVERAL_CLUSTERS = "several-clusters"
    OTHER_USER_NAME = "other-user-name"
    OTHER_NAMESPACE = "other-namespace"
    OTHER_FILE_NAME = "other-file-name"


_AUTHORITY = frozenset({Problem.CA_EMPTY, Problem.CA_UNREADABLE})
_SHAPE = frozenset(
    {Problem.SEVERAL_CLUSTERS, Problem.OTHER_USER_NAME, Problem.OTHER_NAMESPACE, Problem.OTHER_FILE_NAME}
)


@dataclass(frozen=True, slots=True)
class KubeconfigView:
    """A kubeconfig as facts; no secret in its representation."""

    problems: tuple[Problem, ...]
    current_context: str = ""
    server: str = ""
    namespace: str = ""
    user: str = ""
    clusters: int = 0
    credentials: tuple[Credential, ...] = ()
    #: The CA's PEM text; empty where it is missing, a path or unreadable.
    ca_pem: str = field(default="", repr=False)
    file_name: str | None = None

    @property
    def host(self) -> str:
        """Host name or address of the server."""
        return _split(self.server)[1]

    @property
    def port(self) -> int:
        """Port of the server; 443 where none is given."""
        return _split(self.server)[2] or 443

    @property
    def unusable(self) -> tuple[str, ...]:
        """Reasons why it cannot be used as it stands (KCFG-08)."""
        return tuple(str(one) for one in self.problems if one not in _AUTHORITY | _SHAPE)

    @property
    def authority_problems(self) -> tuple[str, ...]:
        """Reasons why its certificate authority is none (KCFG-09)."""
        return tuple(str(one) for one in self.problems if one in _AUTHORITY)

    @property
    def shape_problems(self) -> tuple[str, ...]:
        """In what it differs from the page's shape (KCFG-14)."""
        return tuple(str(one) for one in self.problems if one in _SHAPE)

    @property
    def server_is_name(self) -> bool:
        """Whether the server is given as a name, which must then resolve where the VNode lives (KCFG-10)."""
        try:
            ip_address(self.host)
        except ValueError:
            return bool(self.host)
        return False


def view(text: str, *, wanted: Credential | None = None, file_name: str | None = None) -> KubeconfigView:
    """Read a kubeconfig as facts; whatever is wrong becomes a `Problem`, never an exception.

    :param wanted: the form of credential that the mode hands out; None takes any that can be handed over.
    :param file_name: what the file is called, where it is one.
    """
    try:
        document = parse_kubeconfig(text, origin="the kubeconfig")
    except UsageError:
        return KubeconfigView((Problem.NOT_A_KUBECONFIG,), file_name=file_name)
    problems: list[Problem] = []
    current = str(document.get("current-context") or "")
    context = _named(document, "contexts", "context", current)
    if not current:
        problems.append(Problem.NO_CURRENT_CONTEXT)
    elif context is None:
        problems.append(Problem.CONTEXT_UNRESOLVED)
    if context is None:
        # The only cluster and user are looked at all the same: each fact is told for itself.
        context = {}
        cluster, user = _only(document, "clusters", "cluster"), _only(document, "users", "user")
    else:
        cluster = _named(document, "clusters", "cluster", context.get("cluster"))
        user = _named(document, "users", "user", context.get("user"))
        if cluster is None:
            problems.append(Problem.CLUSTER_UNRESOLVED)
        if user is None:
            problems.append(Problem.USER_UNRESOLVED)
    cluster, user = cluster or {}, user or {}
    server = str(cluster.get("server") or "")
    problems += _server_problems(cluster, server)
    ca_pem, ca_problems = _read_ca(cluster)
    credentials = tuple(form for form in Credential if user.get(form.value))
    problems += ca_problems + _credential_problems(credentials, wanted)
    clusters = len(_entries(document, "clusters", "cluster"))
    namespace, name = str(context.get("namespace") or ""), str(context.get("user") or "")
    shape = {
        Problem.SEVERAL_CLUSTERS: clusters > 1,
        Problem.OTHER_USER_NAME: name != USER,
        Problem.OTHER_NAMESPACE: namespace != NAMESPACE,
        Problem.OTHER_FILE_NAME: file_name not in (None, FILE_NAME),
    }
    problems += [problem for problem, there in shape.items() if there]
    return KubeconfigView(
        tuple(problems), current, server, namespace, name, clusters, credentials, ca_pem, file_name
    )


def _server_problems(cluster: Mapping[str, Any], server: str) -> list[Problem]:
    found = []
    if not server:
        found.append(Problem.NO_SERVER)
    elif _split(server)[0] != "https":
        found.append(Problem.SERVER_NOT_HTTPS)
    if cluster.get("insecure-skip-tls-verify"):
        found.append(Problem.TLS_NOT_VERIFIED)
    return found


def _read_ca(cluster: Mapping[str, Any]) -> tuple[str, list[Problem]]:
    data = cluster.get("certificate-authority-data")
    path_given = [Problem.CA_IS_A_PATH] if cluster.get("certificate-authority") else []
    if not data:
        return "", [*path_given, Problem.CA_EMPTY]
    try:
        return _decode_ca(str(data)), path_given
    except AccessError:
        return "", [*path_given, Problem.CA_UNREADABLE]


def _credential_problems(credentials: tuple[Credential, ...], wanted: Credential | None) -> list[Problem]:
    if not credentials:
        return [Problem.NO_CREDENTIAL]
    found = []
    if len(credentials) > 1:
        found.append(Problem.SEVERAL_CREDENTIALS)
    if not PORTABLE.issuperset(credentials):
        found.append(Problem.CREDENTIAL_NOT_PORTABLE)
    if wanted is not None and wanted not in credentials:
        found.append(Problem.CREDENTIAL_OF_OTHER_MODE)
    return found


def _decode_ca(data: str) -> str:
    try:
        pem = base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise AccessError("certificate-authority-data is not Base64 of PEM text") from None
    if _BEGIN_CERTIFICATE not in pem:
        raise AccessError("certificate-authority-data holds no PEM certificate")
    return pem


def _named(document: Mapping[str, Any], section: str, key: str, name: object) -> dict[str, Any] | None:
    """What the first entry of that name holds; None where there is none."""
    found = (entry for entry in _entries(document, section, key) if entry["name"] == name)
    return next((dict(entry[key]) for entry in found), None)


def _only(document: Mapping[str, Any], section: str, key: str) -> dict[str, Any] | None:
    """What the only entry holds; None where there is none, or several."""
    entries = _entries(document, section, key)
    return dict(entries[0][key]) if len(entries) == 1 else None


def _entries(document: Mapping[str, Any], section: str, key: str) -> list[dict[str, Any]]:
    entries = document.get(section)
    if not isinstance(entries, list):
        return []
    return [
        one for one in entries if isinstance(one, dict) and "name" in one and isinstance(one.get(key), dict)
    ]


def _split(server: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; empty where it is malformed."""
    try:
        parts = urlsplit(server)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None
