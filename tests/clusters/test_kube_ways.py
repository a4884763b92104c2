"""A server that the user's kubeconfig reaches through a proxy is reached so with every credential."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.certificates import Authority
from vnode_suite.clusters.kube import KubeClient

#: A name that only the proxy could resolve (RFC 6761).
_SERVER = "http://api.behind-a-proxy.invalid"


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that answers for every server itself, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"gitVersion": "v1.22.15"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_other_credentials_go_the_way_of_the_users_kubeconfig(
    proxy: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of `proxy-url` serves a new token for the same server, and no other server."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url, asked = proxy
    file = tmp_path / "config"
    file.write_text(
        json.dumps(
            {
                "clusters": [{"name": "it", "cluster": {"server": _SERVER, "proxy-url": url}}],
                "users": [{"name": "it", "user": {"token": "theirs"}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "current-context": "it",
            }
        )
    )
    with KubeClient.from_kubeconfig_file(file) as user:
        assert user.server_version()["gitVersion"] == "v1.22.15"
    with KubeClient.with_token(_SERVER, "", "new") as other:
        assert other.server_version()["gitVersion"] == "v1.22.15"
    assert asked == [f"{_SERVER}/version"] * 2


def test_client_certificate_and_authority_are_found_by_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths stand for files beside the kubeconfig, whichever folder the run is started in; the current context
    leads nowhere, the chosen one to a server that wants a certificate."""
    authority = Authority.make()
    (tmp_path / "pki").mkdir()
    for name, subject in (("server", "127.0.0.1"), ("client", "somebody")):
        certificate, key = authority.issue(subject)
        (tmp_path / "pki" / f"{name}.crt").write_bytes(certificate)
        (tmp_path / "pki" / f"{name}.key").write_bytes(key)
    (tmp_path / "pki" / "ca.crt").write_bytes(authority.pem)
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            peer: Any = self.connection
            shown.append(
                dict(pair for pairs in peer.getpeercert()["subject"] for pair in pairs)["commonName"]
            )
            body = b'{"gitVersion": "v1.22.15"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pki" / "server.crt", tmp_path / "pki" / "server.key")
    context.load_verify_locations(tmp_path / "pki" / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = {
            "server": f"https://127.0.0.1:{server.server_port}",
            "certificate-authority": "pki/ca.crt",
        }
        file = tmp_path / "config"
        file.write_text(
            json.dumps(
                {
                    "clusters": [
                        {"name": "there", "cluster": there},
                        {"name": "nowhere", "cluster": {"server": "https://192.0.2.1:6443"}},
                    ],
                    "users": [
                        {
                            "name": "me",
                            "user": {"client-certificate": "pki/client.crt", "client-key": "pki/client.key"},
                        }
                    ],
                    "contexts": [
                        {"name": name, "context": {"cluster": name, "user": "me"}}
                        for name in ("nowhere", "there")
                    ],
                    "current-context": "nowhere",
                }
            )
        )
        monkeypatch.chdir("/")
        with KubeClient.from_kubeconfig_file(file, "there") as kube:
            assert kube.server_version()["gitVersion"] == "v1.22.15"
        server.shutdown()
    assert shown == ["somebody"]


def _jwt(**claims: Any) -> str:
    parts = (json.dumps(each).encode() for each in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "signature"])


def test_an_oidc_users_token_is_presented(tmp_path: Path) -> None:
    """A kubeconfig of kubectl's OIDC provider: its id-token is what the server sees."""
    token, seen = _jwt(exp=int(time.time()) + 3600, sub="somebody"), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            body = b'{"gitVersion": "v1.22.15"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        provider = {
            "name": "oidc",
            "config": {"client-id": "kubernetes", "id-token": token, "idp-issuer-url": "https://idp.invalid"},
        }
        file = tmp_path / "config"
        file.write_text(
            json.dumps(
                {
                    "clusters": [
                        {"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
                    ],
                    "users": [{"name": "me", "user": {"auth-provider": provider}}],
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
                    "current-context": "it",
                }
            )
        )
        with KubeClient.from_kubeconfig_file(file) as kube:
            kube.server_version()
        server.shutdown()
    assert seen == [f"Bearer {token}"]
