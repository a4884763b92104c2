"""A server that the user's kubeconfig reaches through a proxy is reached so with every credential."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

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
