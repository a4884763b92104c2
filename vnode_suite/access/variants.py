"""Kubeconfigs broken on purpose, one named way each: what shows that the checks of KCFG can fail."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vnode_suite.core.documents import dump_yaml, load_yaml

Json = dict[str, Any]
Breaking = Callable[[Json], None]


def _cluster(document: Json) -> Json:
    return document["clusters"][0]["cluster"]  # type: ignore[no-any-return]


def _user(document: Json) -> Json:
    return document["users"][0]["user"]  # type: ignore[no-any-return]


def _context(document: Json) -> Json:
    return document["contexts"][0]["context"]  # type: ignore[no-any-return]


def _server_http(document: Json) -> None:
    _cluster(document)["server"] = _cluster(document)["server"].replace("https://", "http://", 1)


def _no_current_context(document: Json) -> None:
    del document["current-context"]


def _context_unresolved(document: Json) -> None:
    document["current-context"] = "nowhere"


def _user_unresolved(document: Json) -> None:
    _context(document)["user"] = "nobody"


def _ca_path(document: Json) -> None:
    del _cluster(document)["certificate-authority-data"]
    _cluster(document)["certificate-authority"] = "/etc/kubernetes/pki/ca.crt"


def _ca_empty(document: Json) -> None:
    # What the vendor's script leaves when the admin kubeconfig holds the CA as a path.
    _cluster(document)["certificate-authority-data"] = ""


def _wrong_ca(document: Json) -> None:
    _cluster(document)["certificate-authority-data"] = _base64(_foreign_ca())


def _tls_not_verified(document: Json) -> None:
    del _cluster(document)["certificate-authority-data"]
    _cluster(document)["insecure-skip-tls-verify"] = True


def _no_credential(document: Json) -> None:
    _user(document).clear()


def _two_credentials(document: Json) -> None:
    _user(document).update(_foreign_client())


def _exec(document: Json) -> None:
    _replace_user(
        document, {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "get-token"}}
    )


def _oidc(document: Json) -> None:
    _replace_user(document, {"auth-provider": {"name": "oidc", "config": {"client-id": "vnode"}}})


def _token_file(document: Json) -> None:
    _replace_user(document, {"tokenFile": "/var/run/secrets/token"})


def _wrong_token(document: Json) -> None:
    # The shape stays (KCFG-08 must not notice), the token is one that no server has issued.
    token = _user(document)["token"]
    _user(document)["token"] = "000000.0000000000000000" if len(token) == 23 else token[:-8] + "AAAAAAAA"


def _foreign_client_certificate(document: Json) -> None:
    _replace_user(document, _foreign_client())


def _second_cluster(document: Json) -> None:
    other = {"name": "other", "cluster": {**_cluster(document), "server": "https://192.0.2.1:6443"}}
    document["clusters"].append(other)


def _user_name(document: Json) -> None:
    document["users"][0]["name"] = _context(document)["user"] = "admin"


def _namespace(document: Json) -> None:
    _context(document)["namespace"] = "default"


def _server_name_unresolvable(document: Json) -> None:
    # The page's own example of a name that no VPC resolves.
    server = _cluster(document)["server"]
    port = server.rpartition(":")[2]
    _cluster(document)["server"] = f"https://lb.kubesphere.local:{port}"


def _loopback_server(document: Json) -> None:
    port = _cluster(document)["server"].rpartition(":")[2]
    _cluster(document)["server"] = f"https://127.0.0.1:{port}"


def _replace_user(document: Json, user: Json) -> None:
    _user(document).clear()
    _user(document).update(user)


#: Name of the defect to what it does to a sound kubeconfig.
VARIANTS: Mapping[str, Breaking] = {
    "kubeconfig-server-http": _server_http,
    "kubeconfig-no-current-context": _no_current_context,
    "kubeconfig-context-unresolved": _context_unresolved,
    "kubeconfig-user-unresolved": _user_unresolved,
    "kubeconfig-ca-path": _ca_path,
    "kubeconfig-ca-empty": _ca_empty,
    "kubeconfig-wrong-ca": _wrong_ca,
    "kubeconfig-tls-not-verified": _tls_not_verified,
    "kubeconfig-no-credential": _no_credential,
    "kubeconfig-two-credentials": _two_credentials,
    "kubeconfig-exec-credential": _exec,
    "kubeconfig-oidc-credential": _oidc,
    "kubeconfig-token-file": _token_file,
    "kubeconfig-wrong-token": _wrong_token,
    "client-certificate-of-other-ca": _foreign_client_certificate,
    "kubeconfig-two-clusters": _second_cluster,
    "kubeconfig-other-user": _user_name,
    "kubeconfig-other-namespace": _namespace,
    "kubeconfig-server-name-unresolvable": _server_name_unresolvable,
    "kubeconfig-loopback-server": _loopback_server,
}


def broken(text: str, variant: str) -> str:
    """A sound kubeconfig's text, broken in the way called `variant` (KeyError if there is none)."""
    document = load_yaml(text)
    VARIANTS[variant](document)
    return dump_yaml(document)


def with_token(text: str, token: str) -> str:
    """The same kubeconfig with somebody else's token: the defect `credential-of-another`."""
    document = load_yaml(text)
    _replace_user(document, {"token": token})
    return dump_yaml(document)


def _foreign_ca() -> str:
    """A CA that signed nothing, with the name that kubeadm gives: only the key tells it apart."""
    return _self_signed("kubernetes", ca=True)[0]


def _foreign_client() -> Json:
    certificate, key = _self_signed("kubernetes-admin", ca=False)
    return {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def _self_signed(common_name: str, *, ca: bool) -> tuple[str, str]:
    """A certificate that nobody trusts and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, unencrypted = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted)
    return certificate.public_bytes(pem).decode("ascii"), private.decode("ascii")
